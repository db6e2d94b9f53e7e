"""SAN x2; recipes: paper (the default), cpu, sample. See configs/san.py."""

from configs import san


def get_config(recipe: str = "paper"):
    return san.get_config(2, recipe or "paper")
