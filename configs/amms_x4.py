"""AMMS x4; recipes: paper (the default), cpu, sample. See configs/amms.py."""

from configs import amms


def get_config(recipe: str = "paper"):
    return amms.get_config(4, recipe or "paper")
