"""Channel attention: one gate per channel, from pooled features."""

from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
from jaxtyping import Float

from jaxsr.layers.canvas import mean_over_picture


class GateMLP(nn.Module):
    """The bottleneck C -> C/reduction -> C of channel attentions, before the sigmoid.

    At least one hidden unit is kept, so that narrow networks work.
    """

    reduction: int = 16
    dtype: Any = jnp.float32

    @nn.compact
    def __call__(self, pooled: Float[jax.Array, "*n c"]) -> Float[jax.Array, "*n c"]:
        c = pooled.shape[-1]
        squeeze = nn.Dense(
            max(c // self.reduction, 1), dtype=self.dtype, name="squeeze"
        )
        expand = nn.Dense(c, dtype=self.dtype, name="expand")
        return expand(nn.relu(squeeze(pooled)))


class ChannelAttention(nn.Module):
    """`x * sigmoid(MLP(mean(x)))`: squeeze and excitation, as RCAN uses it.

    The mean runs over the whole image, in float32; a tile of an image is therefore
    gated a little differently from the whole.

    Source: https://arxiv.org/abs/1709.01507, Sec. 3; https://arxiv.org/abs/1807.02758,
    Eq. 9. Biases are present, as in the authors' code.
    """

    reduction: int = 16
    dtype: Any = jnp.float32

    @nn.compact
    def __call__(self, x: Float[jax.Array, "n h w c"]) -> Float[jax.Array, "n h w c"]:
        pooled = mean_over_picture(x)
        gate = GateMLP(self.reduction, dtype=self.dtype, name="mlp")(pooled)
        return x * nn.sigmoid(gate).astype(x.dtype)
