"""RCBAM x4; recipes: paper (the default), cpu, sample. See configs/rcbam.py."""

from configs import rcbam


def get_config(recipe: str = "paper"):
    return rcbam.get_config(4, recipe or "paper")
