"""The mean colour that networks subtract and add back."""

import jax
import jax.numpy as jnp

from jaxsr.errors import InputError

# Mean RGB of DIV2K's training images in [0, 1].
# Source: EDSR-PyTorch, src/model/edsr.py.
DIV2K_MEAN = (0.4488, 0.4371, 0.4040)


def mean_colour(mean: tuple[float, ...], channels: int) -> jax.Array:
    """Returns a network's field `mean` as float32, `[C]` or, for one value, `[1]`.

    Raises:
        InputError: it holds neither one value for each channel nor one for all.
    """
    if len(mean) not in (1, channels):
        raise InputError(
            f"mean must hold one value per channel: expected {channels}, "
            f"got {len(mean)}"
        )
    return jnp.asarray(mean, jnp.float32)
