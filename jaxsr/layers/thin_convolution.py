"""A convolution of a few channels to one, such as the 7x7 one in CBAM's spatial gate.

XLA's convolution on CPU is made for many channels: from two to one, 7x7, it takes three
quarters of the time of 3x3 from 32 to 32, which is 94 times the arithmetic. The product
below takes a sixth of it, and with the gradient a fifth (`docs/performance.md`).
"""

import math
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
from jaxtyping import Float

from jaxsr.layers.convolution import convolve

# Output columns that one product makes. More of them waste products with the zeros of
# the band, fewer of them repeat more of the input.
_COLUMNS = 48


class ThinConv(nn.Module):
    """`[N, H, W, C]` to `[N, H, W, 1]`, zero-padded, without bias.

    Same function and parameter (`kernel`, `[k, k, C, 1]`) as `nn.Conv(1, (k, k),
    use_bias=False)`; on CPU computed by `convolve_by_band`.
    """

    kernel_size: int
    dtype: Any = jnp.float32

    @nn.compact
    def __call__(self, x: Float[jax.Array, "n h w c"]) -> Float[jax.Array, "n h w 1"]:
        k = self.kernel_size
        kernel = self.param(
            "kernel",
            nn.initializers.lecun_normal(),
            (k, k, x.shape[-1], 1),
            jnp.float32,
        )
        if not isinstance(x.shape[2], int):  # traced for any width, as exporters do
            return convolve(x.astype(self.dtype), kernel.astype(self.dtype))
        return jax.lax.platform_dependent(
            x.astype(self.dtype),
            kernel.astype(self.dtype),
            cpu=convolve_by_band,
            default=convolve,
        )


def convolve_by_band(
    x: Float[jax.Array, "n h w c"], kernel: Float[jax.Array, "k k c 1"]
) -> Float[jax.Array, "n h w 1"]:
    """Returns the zero-padded convolution as one product with a banded matrix.

    The `k` input rows that an output row sees are one vector, and a stretch of that
    output row is the vector times a matrix whose columns hold the kernel, each a pixel
    further on. `k` is odd.
    """
    n, h, w, c = x.shape
    k = kernel.shape[0]
    count = math.ceil(w / _COLUMNS)
    columns = math.ceil(w / count)
    span = columns + k - 1  # input columns that a stretch sees

    before = k // 2
    after = count * columns - w + before
    x = jnp.pad(x, ((0, 0), (before, before), (before, after), (0, 0)))
    stretches = jnp.stack(
        [x[:, :, i * columns : i * columns + span] for i in range(count)], axis=2
    )
    stretches = stretches.reshape(n, h + k - 1, count, span * c)
    rows = jnp.concatenate([stretches[:, i : i + h] for i in range(k)], axis=-1)

    offset = jnp.arange(span)[:, None] - jnp.arange(columns)[None]
    inside = (offset >= 0) & (offset < k)
    band = kernel[..., 0][:, jnp.clip(offset, 0, k - 1)]  # [k, span, columns, c]
    band = jnp.where(inside[..., None], band, 0).swapaxes(2, 3)
    y = rows @ band.reshape(k * span * c, columns)
    return y.reshape(n, h, count * columns, 1)[:, :, :w]
