"""EDSR-baseline x4; recipes: paper (the default), cpu, sample. See configs/edsr.py."""

from configs import edsr


def get_config(recipe: str = "paper"):
    return edsr.get_config(4, recipe or "paper", name="edsr_baseline")
