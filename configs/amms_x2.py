"""AMMS x2; recipes: paper (the default), cpu, sample. See configs/amms.py."""

from configs import amms
from configs.base import Config


def get_config(recipe: str = "paper") -> Config:
    return amms.get_config(f"x2,{recipe}")
