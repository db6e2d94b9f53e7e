"""Single-image super-resolution in JAX: train, evaluate and run.

`import jaxsr` is light: it imports neither TensorFlow nor the training code. Parts are
imported when they are first used, so both `jaxsr.models.create(...)` and
`import jaxsr.models` work. `jaxsr.load("rcbam_lite", scale=2)` is a trained network.
"""

import importlib
from typing import Any

__version__ = "0.1.0.dev0"

_PARTS = (
    "benchmark",
    "convert",
    "data",
    "errors",
    "imaging",
    "inference",
    "layers",
    "metrics",
    "models",
    "training",
    "weights",
)


def __getattr__(name: str) -> Any:
    if name in _PARTS:
        return importlib.import_module(f"jaxsr.{name}")
    if name == "load":
        return importlib.import_module("jaxsr.weights.zoo").load
    raise AttributeError(f"module 'jaxsr' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted([*globals(), *_PARTS, "load"])
