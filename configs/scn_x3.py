"""SCN x3; recipes: paper (the default), cpu, sample. See configs/scn.py."""

from configs import scn


def get_config(recipe: str = "paper"):
    return scn.get_config(3, recipe or "paper")
