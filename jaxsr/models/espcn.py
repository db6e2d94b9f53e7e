"""ESPCN (Shi et al., 2016), https://arxiv.org/abs/1609.05158, Sec. 2.

Three convolutions on the LR image, the last with `scale**2` outputs per channel, and
one pixel shuffle, at x4 too. Checked against yjn870/ESPCN-pytorch.
"""

import flax.linen as nn
import jax
import jax.numpy as jnp
from jaxtyping import Float

from jaxsr.layers.convolution import Conv
from jaxsr.layers.pixel_shuffle import pixel_shuffle
from jaxsr.models.base import Network

# The paper states no initialisation; both are those of yjn870/ESPCN-pytorch.
_HIDDEN_INIT = nn.initializers.variance_scaling(2.0, "fan_out", "normal")
_TAIL_INIT = nn.initializers.normal(0.001)


class ESPCN(Network):
    """Tanh network with a sub-pixel layer at its end (Fig. 1).

    Attributes:
        features: outputs of the first two convolutions.
    """

    features: tuple[int, int] = (64, 32)
    channels: int = 1

    knows_canvases = True

    @property
    def receptive_radius(self) -> int:
        return 4

    @nn.compact
    def forward(
        self, lr: Float[jax.Array, "n h w c"], *, train: bool
    ) -> Float[jax.Array, "n {self.scale}*h {self.scale}*w c"]:
        del train  # nothing differs between training and use
        x = lr
        for i, (features, size) in enumerate(zip(self.features, (5, 3), strict=True)):
            conv = Conv(
                features,
                size,
                kernel_init=_HIDDEN_INIT,
                dtype=self.dtype,
                name=f"conv{i + 1}",
            )
            x = jnp.tanh(conv(x))
        x = Conv(
            self.channels * self.scale**2,
            kernel_init=_TAIL_INIT,
            dtype=self.dtype,
            name="conv3",
        )(x)
        return pixel_shuffle(x.astype(jnp.float32), self.scale)
