"""FSRCNN x4; recipes: paper (the default), cpu, sample. See configs/fsrcnn.py."""

from configs import fsrcnn


def get_config(recipe: str = "paper"):
    return fsrcnn.get_config(4, recipe or "paper")
