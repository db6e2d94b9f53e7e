"""Multi-scale feature fusion: parallel convolutions of several sizes."""

from collections.abc import Sequence
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
from jaxtyping import Float

from jaxsr.layers.convolution import Conv


class MultiScaleFusion(nn.Module):
    """`x + fuse([ReLU(conv1x1(x)), ReLU(conv3x3(x)), ReLU(conv5x5(x))])`.

    Source: the second paper (see `jaxsr.models.amms`), Sec. 2.3.1 and Figure 2: a branch
    for each scale, as wide as the input and with its own nonlinearity, then joined. The
    joint is a 1x1 convolution of their concatenation: it weighs the scales channel by
    channel; a sum could not.
    """

    kernel_sizes: Sequence[int] = (1, 3, 5)
    dtype: Any = jnp.float32

    @nn.compact
    def __call__(self, x: Float[jax.Array, "n h w c"]) -> Float[jax.Array, "n h w c"]:
        c = x.shape[-1]
        branches = [
            nn.relu(Conv(c, size, dtype=self.dtype, name=f"conv{size}")(x))
            for size in self.kernel_sizes
        ]
        fuse = Conv(c, 1, dtype=self.dtype, name="fuse")
        return x + fuse(jnp.concatenate(branches, axis=-1))
