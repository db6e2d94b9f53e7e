"""Single-image super-resolution in JAX: train, evaluate and run.

`import jaxsr` is light: it imports neither TensorFlow nor the training code. Parts are
imported when they are first used, so both `jaxsr.models.create(...)` and
`import jaxsr.models` work. `jaxsr.load("rcbam_lite_x2")` is a trained network.
"""

import importlib
from typing import Any

__version__ = "0.1.0.dev0"

_PARTS = (
    "convert",
    "data",
    "errors",
    "export",
    "imaging",
    "inference",
    "layers",
    "loading",
    "metrics",
    "models",
    "protocols",
    "scoring",
    "training",
    "weights",
)
_DOORS = ("load", "load_weights")  # of jaxsr.loading


def __getattr__(name: str) -> Any:
    if name in _PARTS:
        return importlib.import_module(f"jaxsr.{name}")
    if name in _DOORS:
        return getattr(importlib.import_module("jaxsr.loading"), name)
    raise AttributeError(f"module 'jaxsr' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted([*_PARTS, *_DOORS, "__version__"])
