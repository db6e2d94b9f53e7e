"""Second-order channel attention (SOCA; Dai et al., SAN, CVPR 2019, Sec. 3.3)."""

from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
from jaxtyping import Float

from jaxsr.layers.channel_attention import GateMLP
from jaxsr.layers.covariance_pooling import covariance_pool


class SecondOrderAttention(nn.Module):
    """`x * sigmoid(MLP(z))`, z the row means of the root of the channels' covariance.

    Where squeeze and excitation gates a channel by its mean, this gates it by how it
    varies with the others. Covariance, root and MLP are float32 at any `dtype`. The
    covariance is of the whole picture, so a tile is gated a little differently.

    Fields:
        iterations: of the Newton-Schulz root, see `matrix_sqrt`.
        crop: largest height and width, in feature pixels, that the covariance sees: the
            centre is cut out of larger maps. SAN has 1000; None takes everything.

    Checked against daitao/SAN: reduction 16, biases, five iterations.
    """

    reduction: int = 16
    iterations: int = 5
    crop: int | None = None
    dtype: Any = jnp.float32

    @nn.compact
    def __call__(self, x: Float[jax.Array, "n h w c"]) -> Float[jax.Array, "n h w c"]:
        seen = x if self.crop is None else _centre(x, self.crop)
        descriptor = jnp.mean(covariance_pool(seen, self.iterations), axis=1)
        gate = GateMLP(self.reduction, name="mlp")(descriptor)
        gate = nn.sigmoid(gate)[:, None, None, :]
        return x.astype(self.dtype) * gate.astype(self.dtype)


def _centre(x: jax.Array, size: int) -> jax.Array:
    _, h, w, _ = x.shape
    top, left = max(h - size, 0) // 2, max(w - size, 0) // 2
    return x[:, top : top + size, left : left + size]
