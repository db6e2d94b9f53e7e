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

    Source: the second paper (see `jaxsr.models.amms`), Sec. 2.3.1 and Figure 2: three
    sizes of convolution, a nonlinearity after each, joined. How wide the branches are
    and how they join is not stated. Here each is as wide as the input, and a 1x1
    convolution of their concatenation joins them: it weighs the scales channel by
    channel, which a sum could not. The input is added, so that the block changes the
    features instead of having to carry them.

    `kernel_sizes` are the branches; `(3,)` is the same block at a single scale.
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
