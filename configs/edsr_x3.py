"""EDSR x3; recipes: paper (the default), cpu, sample. See configs/edsr.py."""

from configs import edsr


def get_config(recipe: str = "paper"):
    return edsr.get_config(3, recipe or "paper")
