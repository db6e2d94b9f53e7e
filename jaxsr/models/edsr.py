"""EDSR (Lim et al., 2017), https://arxiv.org/abs/1707.02921, Sec. 3 and Table 1.

Checked against thstkdgus35/EDSR-PyTorch and XPixelGroup/BasicSR. As in both, the
layers see 0..255: the mean colour is subtracted and the rest multiplied by
`image_range`, by which the output is divided again. Weights of either repository
therefore fit as they are, although images enter and leave in [0, 1]; weights made for
layers that see [0, 1] want `image_range=1`. bfloat16 loses nothing by the range, since
its precision is relative.
"""

from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
from jaxtyping import Float

from jaxsr.layers.block_loop import BlockLoop
from jaxsr.layers.convolution import Conv
from jaxsr.layers.mean_shift import DIV2K_MEAN, mean_colour
from jaxsr.layers.upsampler import Upsampler, upsampling_steps
from jaxsr.models.base import Network


class ResidualBlock(nn.Module):
    """`x + res_scale * conv(relu(conv(x)))`, without normalisation (Fig. 2c)."""

    features: int
    res_scale: float = 1.0
    dtype: Any = jnp.float32

    @nn.compact
    def __call__(self, x: Float[jax.Array, "n h w c"]) -> Float[jax.Array, "n h w c"]:
        y = nn.relu(Conv(self.features, dtype=self.dtype, name="conv1")(x))
        y = Conv(self.features, dtype=self.dtype, name="conv2")(y)
        return x + self.res_scale * y


class EDSR(Network):
    """The full network: 32 blocks of 256 features (Fig. 3).

    Attributes:
        res_scale: factor on each block's residual; keeps wide networks stable.
        mean: colour subtracted at the start and added at the end, one value a channel.
        image_range: the factor by which images in [0, 1] are enlarged inside.
    """

    features: int = 256
    depth: int = 32
    res_scale: float = 0.1
    mean: tuple[float, ...] = DIV2K_MEAN
    image_range: float = 255.0
    block_loop: BlockLoop = BlockLoop()

    knows_canvases = True

    def check(self) -> None:
        super().check()
        upsampling_steps(self.scale)

    @property
    def receptive_radius(self) -> int:
        return 2 * self.depth + 4  # head, blocks, body end, and two behind

    @nn.compact
    def forward(
        self, lr: Float[jax.Array, "n h w c"], *, train: bool
    ) -> Float[jax.Array, "n {self.scale}*h {self.scale}*w c"]:
        del train  # nothing differs between training and use
        mean = mean_colour(self.mean)
        x = (lr.astype(jnp.float32) - mean) * self.image_range
        x = shallow = Conv(self.features, dtype=self.dtype, name="head")(x)
        blocks = [
            ResidualBlock(
                self.features, self.res_scale, self.dtype, name=f"block{i:02d}"
            )
            for i in range(self.depth)
        ]
        x = self.block_loop(blocks, x)
        x = shallow + Conv(self.features, dtype=self.dtype, name="body_end")(x)
        x = Upsampler(self.scale, self.dtype, name="upsampler")(x)
        x = Conv(self.channels, dtype=self.dtype, name="tail")(x)
        return x.astype(jnp.float32) / self.image_range + mean


class EDSRBaseline(EDSR):
    """The baseline of Table 1: 16 blocks of 64 features, residuals unscaled."""

    features: int = 64
    depth: int = 16
    res_scale: float = 1.0
