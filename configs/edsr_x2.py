"""EDSR x2; recipes: paper (the default), cpu, sample. See configs/edsr.py."""

from configs import edsr


def get_config(recipe: str = "paper"):
    return edsr.get_config(2, recipe or "paper")
