"""RCAN x3; recipes: paper (the default), cpu, sample. See configs/rcan.py."""

from configs import rcan


def get_config(recipe: str = "paper"):
    return rcan.get_config(3, recipe or "paper")
