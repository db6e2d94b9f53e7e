"""RCBAM x3; recipes: paper (the default), cpu, sample. See configs/rcbam.py."""

from configs import rcbam


def get_config(recipe: str = "paper"):
    return rcbam.get_config(3, recipe or "paper")
