"""SRCNN x3; recipes: paper (the default), cpu, sample. See configs/srcnn.py."""

from configs import srcnn


def get_config(recipe: str = "paper"):
    return srcnn.get_config(3, recipe or "paper")
