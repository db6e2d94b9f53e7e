"""FSRCNN x3; recipes: paper (the default), cpu, sample. See configs/fsrcnn.py."""

from configs import fsrcnn


def get_config(recipe: str = "paper"):
    return fsrcnn.get_config(3, recipe or "paper")
