"""Batch normalisation as networks for super-resolution have it."""

from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
from jaxtyping import Float


def batch_norm(
    x: Float[jax.Array, "n h w c"], *, train: bool, dtype: Any, name: str
) -> Float[jax.Array, "n h w c"]:
    """Returns `x` normalised, in `dtype`: by the batch in training, else by averages.

    To be called inside a module, which gets the parameters under `name`.
    """
    norm = nn.BatchNorm(
        use_running_average=not train, momentum=0.9, epsilon=1e-5, name=name
    )
    # Flax computes in float32 whatever comes, and widens it only where JAX lets it.
    return norm(x.astype(jnp.float32)).astype(dtype)
