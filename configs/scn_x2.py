"""SCN x2; recipes: paper (the default), cpu, sample. See configs/scn.py."""

from configs import scn


def get_config(recipe: str = "paper"):
    return scn.get_config(2, recipe or "paper")
