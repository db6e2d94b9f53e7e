"""Convolutional block attention (Woo et al., 2018, https://arxiv.org/abs/1807.06521).

Read off Jongchan/attention-module, the authors' code: channel gate first, then spatial;
one MLP shared by both poolings; the 7x7 convolution reads [max, mean] and has no bias.
Departs: no batch normalisation behind the 7x7 convolution. Super-resolution trains on
small batches of small patches and runs on whole pictures, where running statistics of
the two differ; the first paper's equation for M_s has none either.
"""

from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
from jaxtyping import Float

from jaxsr.layers.canvas import max_over_picture, mean_over_picture
from jaxsr.layers.channel_attention import GateMLP
from jaxsr.layers.thin_convolution import ThinConv
from jaxsr.layers.window_pooling import pool_windows, spread_windows


class CBAMChannelGate(nn.Module):
    """`x * sigmoid(MLP(mean(x)) + MLP(max(x)))` (Eq. 2).

    Pooled over the image, or, with `pool_size`, over windows of that many pixels a
    side, see `jaxsr.layers.window_pooling`.
    """

    reduction: int = 16
    pool_size: int | None = None
    dtype: Any = jnp.float32

    @nn.compact
    def __call__(self, x: Float[jax.Array, "n h w c"]) -> Float[jax.Array, "n h w c"]:
        mlp = GateMLP(self.reduction, dtype=self.dtype, name="mlp")
        _, h, w, _ = x.shape
        size = self.pool_size
        known = isinstance(h, int) and isinstance(w, int)
        if size is None or (known and max(h, w) <= size):
            mean, peak = mean_over_picture(x), max_over_picture(x)
        else:
            mean, peak = pool_windows(x, size)
        gate = nn.sigmoid(mlp(mean) + mlp(peak.astype(jnp.float32))).astype(x.dtype)
        return x * (gate if size is None else spread_windows(gate, size, h, w))


class CBAMSpatialGate(nn.Module):
    """`x * sigmoid(conv7x7([max over channels, mean over channels]))` (Eq. 3)."""

    kernel_size: int = 7
    dtype: Any = jnp.float32

    @nn.compact
    def __call__(self, x: Float[jax.Array, "n h w c"]) -> Float[jax.Array, "n h w c"]:
        peak = jnp.max(x, axis=-1, keepdims=True)
        mean = jnp.mean(x, axis=-1, keepdims=True, dtype=jnp.float32).astype(x.dtype)
        conv = ThinConv(self.kernel_size, dtype=self.dtype, name="conv")
        gate = nn.sigmoid(conv(jnp.concatenate([peak, mean], axis=-1)))
        return x * gate.astype(x.dtype)


class CBAM(nn.Module):
    """Channel gate, then spatial gate, or the one of them that is not switched off."""

    reduction: int = 16
    pool_size: int | None = None
    channel_attention: bool = True
    spatial_attention: bool = True
    dtype: Any = jnp.float32

    @nn.compact
    def __call__(self, x: Float[jax.Array, "n h w c"]) -> Float[jax.Array, "n h w c"]:
        if self.channel_attention:
            x = CBAMChannelGate(
                self.reduction, self.pool_size, dtype=self.dtype, name="channel"
            )(x)
        if self.spatial_attention:
            x = CBAMSpatialGate(dtype=self.dtype, name="spatial")(x)
        return x
