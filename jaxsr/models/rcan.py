"""RCAN (Zhang et al., 2018), https://arxiv.org/abs/1807.02758, Sec. 3.

Checked against the RCAN of thstkdgus35/EDSR-PyTorch (the authors' code in
yulunzhang/RCAN is the same network) and of XPixelGroup/BasicSR. Values run over 0..255
inside; see `jaxsr.models.edsr` for why, and for `mean` and `image_range`. BasicSR's
default is 16 blocks a group; the paper has 20.

The channel gates pool over the whole picture, so a tile of a picture comes out a little
different from the same place in the whole.
"""

import dataclasses
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
from jaxtyping import Float

from jaxsr.layers.block_loop import BlockLoop
from jaxsr.layers.channel_attention import ChannelAttention
from jaxsr.layers.convolution import Conv
from jaxsr.layers.mean_shift import DIV2K_MEAN, mean_colour
from jaxsr.layers.upsampler import Upsampler, upsampling_steps
from jaxsr.models.base import Network


class RCAB(nn.Module):
    """Residual channel attention block: `x + CA(conv(relu(conv(x))))` (Fig. 4)."""

    features: int
    reduction: int
    dtype: Any = jnp.float32

    @nn.compact
    def __call__(self, x: Float[jax.Array, "n h w c"]) -> Float[jax.Array, "n h w c"]:
        y = nn.relu(Conv(self.features, dtype=self.dtype, name="conv1")(x))
        y = Conv(self.features, dtype=self.dtype, name="conv2")(y)
        return x + ChannelAttention(self.reduction, self.dtype, name="attention")(y)


class ResidualGroup(nn.Module):
    """`depth` RCABs and a convolution, with a skip over all (Eq. 5)."""

    features: int
    depth: int
    reduction: int
    dtype: Any = jnp.float32
    block_loop: BlockLoop = BlockLoop()

    @nn.compact
    def __call__(self, x: Float[jax.Array, "n h w c"]) -> Float[jax.Array, "n h w c"]:
        blocks = [
            RCAB(self.features, self.reduction, self.dtype, name=f"block{i:02d}")
            for i in range(self.depth)
        ]
        y = self.block_loop(blocks, x)
        return x + Conv(self.features, dtype=self.dtype, name="end")(y)


class RCAN(Network):
    """Residual in residual (Fig. 2): `groups` groups of `depth` RCABs."""

    features: int = 64
    groups: int = 10
    depth: int = 20
    reduction: int = 16
    mean: tuple[float, ...] = DIV2K_MEAN
    image_range: float = 255.0
    block_loop: BlockLoop = BlockLoop()

    knows_canvases = True

    def check(self) -> None:
        super().check()
        upsampling_steps(self.scale)

    @nn.compact
    def forward(
        self, lr: Float[jax.Array, "n h w c"], *, train: bool
    ) -> Float[jax.Array, "n {self.scale}*h {self.scale}*w c"]:
        del train  # nothing differs between training and use
        mean = mean_colour(self.mean)
        x = (lr.astype(jnp.float32) - mean) * self.image_range
        x = shallow = Conv(self.features, dtype=self.dtype, name="head")(x)
        groups = [
            ResidualGroup(
                self.features,
                self.depth,
                self.reduction,
                self.dtype,
                self.block_loop,
                name=f"group{i:02d}",
            )
            for i in range(self.groups)
        ]
        x = dataclasses.replace(self.block_loop, remat=False)(groups, x)
        x = shallow + Conv(self.features, dtype=self.dtype, name="body_end")(x)
        x = Upsampler(self.scale, self.dtype, name="upsampler")(x)
        x = Conv(self.channels, dtype=self.dtype, name="tail")(x)
        return x.astype(jnp.float32) / self.image_range + mean
