"""EDSR-baseline; see configs/edsr.py."""

from configs import edsr
from configs.base import Config


def get_config(choice: str = "") -> Config:
    """Returns the config of "x2", "x4,cpu", ...: see configs/recipes.py."""
    return edsr.get_config(choice, name="edsr_baseline")
