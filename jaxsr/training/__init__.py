"""Training: `train(config, workdir)` runs a config, from Python as from train.py.

    from jaxsr.training import default_config, train

The parts that it is made of are modules here, one thing each; none knows of the whole.
"""

import importlib
from typing import Any

# Imported when first used: `train` needs all of jaxsr, which the parts do not.
_NAMES = {"Trained": "run", "default_config": "config", "train": "run"}


def __getattr__(name: str) -> Any:
    if name in _NAMES:
        return getattr(importlib.import_module(f"jaxsr.training.{_NAMES[name]}"), name)
    raise AttributeError(f"module 'jaxsr.training' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted([*globals(), *_NAMES])
