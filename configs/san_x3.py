"""SAN x3; recipes: paper (the default), cpu, sample. See configs/san.py."""

from configs import san


def get_config(recipe: str = "paper"):
    return san.get_config(3, recipe or "paper")
