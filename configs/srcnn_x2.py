"""SRCNN x2; recipes: paper (the default), cpu, sample. See configs/srcnn.py."""

from configs import srcnn


def get_config(recipe: str = "paper"):
    return srcnn.get_config(2, recipe or "paper")
