"""SCN x4; recipes: paper (the default), cpu, sample. See configs/scn.py."""

from configs import scn


def get_config(recipe: str = "paper"):
    return scn.get_config(4, recipe or "paper")
