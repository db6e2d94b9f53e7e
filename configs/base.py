"""Where each network's config starts: `get_config()` has every key, with its default.

The keys are explained in jaxsr/training/config.py.
"""

from jaxsr.training.config import Config
from jaxsr.training.config import default_config as get_config

__all__ = ["Config", "get_config"]
