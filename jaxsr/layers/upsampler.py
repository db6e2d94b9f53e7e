"""EDSR's upsampler: convolution and pixel shuffle, by 2 or 3 at a time."""

from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
from jaxtyping import Float

from jaxsr.errors import InputError
from jaxsr.layers.convolution import Conv
from jaxsr.layers.pixel_shuffle import pixel_shuffle


def upsampling_steps(scale: int) -> list[int]:
    """Returns the factors by which `Upsampler` reaches a scale, one after the other.

    Raises:
        InputError: the scale is neither 3 nor a power of two.
    """
    if scale == 3:
        return [3]
    if scale & (scale - 1) == 0:
        return [2] * (scale.bit_length() - 1)
    raise InputError(f"scale: expected 3 or a power of two, got {scale}")


class Upsampler(nn.Module):
    """`[N, H, W, C]` to `[N, scale*H, scale*W, C]`, scale 1, 2, 3, 4, 8, ...

    A power of two is reached in steps of 2, each with its own weights; 3 in one step.

    Source: EDSR-PyTorch, src/model/common.py; used by EDSR, RCAN and SAN.
    """

    scale: int
    dtype: Any = jnp.float32

    @nn.compact
    def __call__(
        self, x: Float[jax.Array, "n h w c"]
    ) -> Float[jax.Array, "n {self.scale}*h {self.scale}*w c"]:
        c = x.shape[-1]
        for i, step in enumerate(upsampling_steps(self.scale)):
            x = Conv(c * step**2, dtype=self.dtype, name=f"conv{i}")(x)
            x = pixel_shuffle(x, step)
        return x
