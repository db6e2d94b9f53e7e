"""The mean colour that networks subtract and add back."""

import jax
import jax.numpy as jnp

# Mean RGB of DIV2K's training images in [0, 1].
# Source: EDSR-PyTorch, src/model/edsr.py.
DIV2K_MEAN = (0.4488, 0.4371, 0.4040)


def mean_colour(mean: tuple[float, ...]) -> jax.Array:
    """Returns a network's field `mean` as float32, `[1, 1, 1, C]`; C may be 1."""
    return jnp.asarray(mean, jnp.float32)[None, None, None]
