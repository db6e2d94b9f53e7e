"""Bicubic interpolation as a network without parameters: the baseline of every
table."""

import flax.linen as nn
import jax
import jax.numpy as jnp
from jaxtyping import Float

from jaxsr.imaging import imresize_jnp
from jaxsr.models.base import Network


class Bicubic(Network):
    """MATLAB's `imresize(lr, scale, 'bicubic')`, in floating point and unrounded.

    `channels` is how many the baseline claims to work on. It defaults to 1, as in the
    papers' tables, whose bicubic row interpolates luma; the same code takes any number.
    """

    channels: int = 1

    knows_canvases = True

    @property
    def receptive_radius(self) -> int:
        return self.radius_behind_bicubic(0)

    @nn.compact
    def forward(
        self, lr: Float[jax.Array, "n h w c"], *, train: bool
    ) -> Float[jax.Array, "n {self.scale}*h {self.scale}*w c"]:
        del train  # nothing differs between training and use
        return imresize_jnp(lr.astype(jnp.float32), self.scale)
