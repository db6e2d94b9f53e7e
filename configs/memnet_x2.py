"""MemNet x2; recipes: paper (the default), cpu, sample. See configs/memnet.py."""

from configs import memnet


def get_config(recipe: str = "paper"):
    return memnet.get_config(2, recipe or "paper")
