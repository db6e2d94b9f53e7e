"""Which networks the benchmarks measure, and weights for them."""

import math
from typing import Any

import jax
import numpy as np
from measuring import on_accelerator

from jaxsr import models
from jaxsr.models.variables import abstract_variables
from jaxsr.weights import Weights

SCALE = 2


def network_fields(name: str) -> dict[str, int]:
    """Returns the fields with which a network is measured, here small enough for CPUs.

    RCBAM is smaller on a CPU. VDSR has no biases, as in twtygqyy/pytorch-vdsr, whose
    names of weights PyTorch's side takes.
    """
    if name == "rcbam":
        sizes = (64, 16) if on_accelerator() else (32, 6)
        return dict(zip(("features", "depth"), sizes, strict=True))
    return {"use_bias": False} if name == "vdsr" else {}


def draw_weights(name: str) -> Weights:
    """Returns a network with weights that leave no part of it silent.

    Some networks start with convolutions of zeros, behind which differences between two
    programs would not show.
    """
    model = models.create(name, scale=SCALE, **network_fields(name))
    random = np.random.default_rng(0)

    def draw(path: tuple[Any, ...], leaf: jax.ShapeDtypeStruct) -> np.ndarray:
        drawn = random.standard_normal(leaf.shape, np.float32)
        if path[-1].key == "kernel":
            return drawn / math.sqrt(math.prod(leaf.shape[:-1]))
        return 0.05 * drawn + (0.25 if path[-1].key == "slope" else 0)

    return Weights.of(model, jax.tree.map_with_path(draw, abstract_variables(model)))
