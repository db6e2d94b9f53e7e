"""FSRCNN x2; recipes: paper (the default), cpu, sample. See configs/fsrcnn.py."""

from configs import fsrcnn


def get_config(recipe: str = "paper"):
    return fsrcnn.get_config(2, recipe or "paper")
