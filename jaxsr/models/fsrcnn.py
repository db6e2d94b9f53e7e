"""FSRCNN (Dong et al., 2016), https://arxiv.org/abs/1608.00367, Sec. 3.

Shrink, map and expand on the LR image, then one 9x9 transposed convolution; only that
layer depends on the scale. FSRCNN-s is `features=32, shrink=5, depth=1`.

Checked against yjn870/FSRCNN-pytorch, which pads the transposed convolution so that LR
pixel `i` lies on HR pixel `scale * i`. The paper's Caffe layer has the same alignment
and yields `scale - 1` fewer rows and columns at the bottom and right.
"""

import flax.linen as nn
import jax
import jax.numpy as jnp
from jaxtyping import Float

from jaxsr.layers.convolution import Conv
from jaxsr.layers.prelu import PReLU
from jaxsr.layers.transposed_convolution import TransposedConv
from jaxsr.models.base import Network

_DECONV_SIZE = 9
# He initialisation in the fan-out form, as in yjn870/FSRCNN-pytorch.
_HE_INIT = nn.initializers.variance_scaling(2.0, "fan_out", "normal")


class FSRCNN(Network):
    """FSRCNN(d, s, m) with d = `features`, s = `shrink`, m = `depth` (Fig. 2)."""

    features: int = 56
    shrink: int = 12
    depth: int = 4
    channels: int = 1

    knows_canvases = True

    @property
    def receptive_radius(self) -> int:
        return 2 + self.depth + -(-(_DECONV_SIZE // 2) // self.scale)

    @nn.compact
    def forward(
        self, lr: Float[jax.Array, "n h w c"], *, train: bool
    ) -> Float[jax.Array, "n {self.scale}*h {self.scale}*w c"]:
        del train  # nothing differs between training and use

        def layer(x, features: int, size: int, name: str):
            conv = Conv(
                features,
                size,
                kernel_init=_HE_INIT,
                dtype=self.dtype,
                name=name,
            )
            return PReLU(dtype=self.dtype, name=f"{name}_prelu")(conv(x))

        x = layer(lr, self.features, 5, "head")
        x = layer(x, self.shrink, 1, "shrink")
        for i in range(self.depth):
            x = layer(x, self.shrink, 3, f"map{i:02d}")
        x = layer(x, self.features, 1, "expand")

        deconv = TransposedConv(
            self.channels,
            _DECONV_SIZE,
            stride=self.scale,
            crop=_DECONV_SIZE // 2,  # LR pixel i is centred on HR pixel scale * i
            kernel_init=nn.initializers.normal(0.001),
            dtype=self.dtype,
            name="deconv",
        )
        return deconv(x).astype(jnp.float32)
