"""PReLU with one slope per channel (He et al., 2015, https://arxiv.org/abs/1502.01852)."""

from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
from jaxtyping import Float


class PReLU(nn.Module):
    """`max(x, 0) + slope * min(x, 0)` with a learned slope for each channel.

    `flax.linen.PReLU` holds one slope for all channels; FSRCNN, SRResNet and RCBAM use
    one each. The start, 0.25, is the paper's.
    """

    initial_slope: float = 0.25
    dtype: Any = jnp.float32

    @nn.compact
    def __call__(self, x: Float[jax.Array, "n h w c"]) -> Float[jax.Array, "n h w c"]:
        slope = self.param(
            "slope",
            nn.initializers.constant(self.initial_slope),
            (x.shape[-1],),
            jnp.float32,
        ).astype(self.dtype)
        x = x.astype(self.dtype)
        return jnp.where(x >= 0, x, slope[None, None, None] * x)
