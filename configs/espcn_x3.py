"""ESPCN x3; recipes: paper (the default), cpu, sample. See configs/espcn.py."""

from configs import espcn


def get_config(recipe: str = "paper"):
    return espcn.get_config(3, recipe or "paper")
