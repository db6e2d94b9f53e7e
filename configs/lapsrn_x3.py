"""LapSRN x3; recipes: paper (the default), cpu, sample. See configs/lapsrn.py."""

from configs import lapsrn


def get_config(recipe: str = "paper"):
    return lapsrn.get_config(3, recipe or "paper")
