"""VDSR (Kim et al., 2016), https://arxiv.org/abs/1511.04587, Sec. 3.

Twenty 3x3 convolutions predict what the bicubic-upsampled luma lacks. One set of
weights serves all scales: `scale` only says by how much the input is enlarged.

Checked against three implementations. The paper and the weights that its authors
released are the default.

- twtygqyy/pytorch-vdsr has no biases (`use_bias`).
- thstkdgus35/EDSR-PyTorch works on RGB: the convolutions see the picture less `mean`,
  times `image_range`.
- Coloquinte/torchSR does, over [0, 1], and enlarges with PyTorch's bicubic: another
  kernel, and pixels of the edge repeated outside the picture (`bicubic="torch"`).
"""

from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
from jaxtyping import Float

from jaxsr.imaging import imresize_jnp
from jaxsr.layers.convolution import Conv
from jaxsr.layers.initializers import he_init
from jaxsr.layers.mean_shift import mean_colour
from jaxsr.models.base import Network

# Whose bicubic -> how `imresize_jnp` comes to it.
_BICUBIC: dict[str, dict[str, Any]] = {
    "matlab": {},
    "torch": {"a": -0.75, "edge": "replicate"},
}


class VDSR(Network):
    """Bicubic plus a learned residual (Fig. 1).

    Attributes:
        depth: number of convolutions.
        bicubic: whose bicubic enlarges the input, "matlab" or "torch".
        mean: colour that the convolutions see subtracted, a value a channel or one.
        image_range: factor by which they see [0, 1] enlarged.
    """

    features: int = 64
    depth: int = 20
    use_bias: bool = True
    bicubic: str = "matlab"
    mean: tuple[float, ...] = (0.0,)
    image_range: float = 1.0
    channels: int = 1

    @property
    def knows_canvases(self) -> bool:  # pyright: ignore[reportIncompatibleVariableOverride]
        # A canvas continues the picture as MATLAB does; PyTorch repeats the last pixel.
        return self.bicubic == "matlab"

    def check(self) -> None:
        super().check()
        if self.bicubic not in _BICUBIC:
            self.refuse("bicubic", f"expected matlab or torch, got {self.bicubic!r}")

    @property
    def receptive_radius(self) -> int:
        return self.radius_behind_bicubic(self.depth)

    @nn.compact
    def forward(
        self, lr: Float[jax.Array, "n h w c"], *, train: bool
    ) -> Float[jax.Array, "n {self.scale}*h {self.scale}*w c"]:
        del train  # nothing differs between training and use

        def conv(x, features: int, name: str):
            return Conv(
                features,
                use_bias=self.use_bias,
                kernel_init=he_init,
                dtype=self.dtype,
                name=name,
            )(x)

        bicubic = imresize_jnp(
            lr.astype(jnp.float32), self.scale, **_BICUBIC[self.bicubic]
        )
        x = (bicubic - mean_colour(self.mean)) * self.image_range
        for i in range(self.depth - 1):
            x = nn.relu(conv(x, self.features, f"conv{i:02d}"))
        residual = conv(x, self.channels, f"conv{self.depth - 1:02d}")
        return bicubic + residual.astype(jnp.float32) / self.image_range
