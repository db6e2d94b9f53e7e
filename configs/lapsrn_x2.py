"""LapSRN x2; recipes: paper (the default), cpu, sample. See configs/lapsrn.py."""

from configs import lapsrn


def get_config(recipe: str = "paper"):
    return lapsrn.get_config(2, recipe or "paper")
