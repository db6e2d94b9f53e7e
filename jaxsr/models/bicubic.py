"""Bicubic interpolation as a network without parameters: the baseline of every
table."""

from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
from jaxtyping import Float

from jaxsr.imaging import imresize_jnp


class Bicubic(nn.Module):
    """MATLAB's `imresize(lr, scale, 'bicubic')`, in floating point and unrounded.

    `channels` is how many the baseline claims to work on. It defaults to 1, as in the
    papers' tables, whose bicubic row interpolates luma; the same code takes any number.
    """

    scale: int
    channels: int = 1
    dtype: Any = jnp.float32

    @nn.compact
    def __call__(
        self, lr: Float[jax.Array, "n h w c"], *, train: bool = False
    ) -> Float[jax.Array, "n {self.scale}*h {self.scale}*w c"]:
        del train  # nothing differs between training and use
        return imresize_jnp(lr.astype(jnp.float32), self.scale)
