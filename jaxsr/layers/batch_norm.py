"""Batch normalisation as networks for super-resolution have it."""

from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
from jaxtyping import Float

DATA_AXIS = "data"
"""The mesh axis by which a training step has its batch split over devices."""


def batch_norm(
    x: Float[jax.Array, "n h w c"], *, train: bool, dtype: Any, name: str
) -> Float[jax.Array, "n h w c"]:
    """Returns `x` normalised, in `dtype`: by the batch in training, else by averages.

    The batch is that of all devices together: by their own shares, of a patch each in
    the end, the same training would be another on each number of cores.

    To be called inside a module, which gets the parameters under `name`.
    """
    norm = nn.BatchNorm(
        use_running_average=not train,
        momentum=0.9,
        epsilon=1e-5,
        axis_name=DATA_AXIS if _is_split() else None,
        name=name,
    )
    # Flax computes in float32 whatever comes, and widens it only where JAX lets it.
    return norm(x.astype(jnp.float32)).astype(dtype)


def _is_split() -> bool:
    """Whether this is traced for a device's share of a batch."""
    try:
        jax.lax.axis_size(DATA_AXIS)
    except NameError:
        return False
    return True
