"""RCAN x4; recipes: paper (the default), cpu, sample. See configs/rcan.py."""

from configs import rcan


def get_config(recipe: str = "paper"):
    return rcan.get_config(4, recipe or "paper")
