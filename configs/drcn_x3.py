"""DRCN x3; recipes: paper (the default), cpu, sample. See configs/drcn.py."""

from configs import drcn


def get_config(recipe: str = "paper"):
    return drcn.get_config(3, recipe or "paper")
