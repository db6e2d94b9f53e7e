"""RCBAM x4; recipes: paper (the default), cpu, sample. See configs/rcbam.py."""

from configs import rcbam
from configs.base import Config


def get_config(recipe: str = "paper") -> Config:
    return rcbam.get_config(f"x4,{recipe}")
