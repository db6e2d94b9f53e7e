"""VDSR x4; recipes: paper (the default), cpu, sample. See configs/vdsr.py."""

from configs import vdsr


def get_config(recipe: str = "paper"):
    return vdsr.get_config(4, recipe or "paper")
