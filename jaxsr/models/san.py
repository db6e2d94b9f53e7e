"""SAN: second-order channel attention in groups, non-local attention around them.

Source: Dai, Cai, Zhang, Xia and Zhang, "Second-order Attention Network for Single Image
Super-Resolution", CVPR 2019, and the authors' code, daitao/SAN, whose outputs this
module reproduces. Where paper and code differ the code is followed, since the weights
are the code's:

- In a group the convolution comes after the second-order attention; the paper's figure
  ends with the attention.
- Non-local attention (RL-NL) pools keys and values 2x2, although the code's call asks
  for none. It runs on four quarters of the picture, with the same weights before the
  groups and behind them.
- One scalar `gamma` weighs the share-source skip of all groups; it starts at 0.
- The code works on 0..255, as here inside: see `jaxsr.models.edsr` for why, and for
  `mean` and `image_range`. Its mean shifts are trained, by oversight; here the mean is
  a constant of the network.

The released state dict has 15,712,800 numbers at x2 and the paper says 15.7 M. 38,068
of them are not parameters here: 24 of the two mean shifts, and 38,044 that the forward
pass never uses (`conv_last`, `RG.<g>.gamma`, `non_local.soca`).

The code stops at pictures below 4x4, where a quarter is too small to be pooled. Here an
axis shorter than 4 is not cut and one of a single pixel is not pooled, so that any size
works. Covariance is of the whole picture (its centre of 1000x1000 if larger) and
attention of quarters, so a tile of a picture comes out different from the whole.
"""

import dataclasses
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
from jaxtyping import Float

from jaxsr.layers.block_loop import BlockLoop
from jaxsr.layers.convolution import Conv
from jaxsr.layers.mean_shift import DIV2K_MEAN, mean_colour
from jaxsr.layers.non_local import NonLocal
from jaxsr.layers.second_order_attention import SecondOrderAttention
from jaxsr.layers.upsampler import Upsampler, upsampling_steps
from jaxsr.models.base import Network

_LARGEST_COVARIANCE = 1000  # pixels a side


class ResidualBlock(nn.Module):
    """`x + conv(relu(conv(x)))`."""

    features: int
    dtype: Any = jnp.float32

    @nn.compact
    def __call__(self, x: Float[jax.Array, "n h w c"]) -> Float[jax.Array, "n h w c"]:
        y = nn.relu(Conv(self.features, dtype=self.dtype, name="conv1")(x))
        return x + Conv(self.features, dtype=self.dtype, name="conv2")(y)


class LSRAG(nn.Module):
    """Local-source residual attention group (Sec. 3.2, Fig. 2)."""

    features: int
    depth: int
    reduction: int
    dtype: Any = jnp.float32
    block_loop: BlockLoop = BlockLoop()

    @nn.compact
    def __call__(self, x: Float[jax.Array, "n h w c"]) -> Float[jax.Array, "n h w c"]:
        blocks = [
            ResidualBlock(self.features, self.dtype, name=f"block{i:02d}")
            for i in range(self.depth)
        ]
        y = self.block_loop(blocks, x)
        y = SecondOrderAttention(
            self.reduction,
            crop=_LARGEST_COVARIANCE,
            dtype=self.dtype,
            name="attention",
        )(y)
        return x + Conv(self.features, dtype=self.dtype, name="end")(y)


class SAN(Network):
    """Non-locally enhanced residual groups with share-source skips (Fig. 1)."""

    features: int = 64
    groups: int = 20
    depth: int = 10
    reduction: int = 16
    mean: tuple[float, ...] = DIV2K_MEAN
    image_range: float = 255.0
    block_loop: BlockLoop = BlockLoop()

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
        shallow = Conv(self.features, dtype=self.dtype, name="head")(x)
        non_local = NonLocal(
            max(self.features // 8, 1),
            regions=2,
            pool="after",
            dtype=self.dtype,
            name="non_local",
        )
        x = source = non_local(shallow)
        gamma = self.param("gamma", nn.initializers.zeros_init(), (1,), jnp.float32)
        shared = gamma.astype(self.dtype)[None, None, None] * source
        groups = [
            LSRAG(
                self.features,
                self.depth,
                self.reduction,
                self.dtype,
                self.block_loop,
                name=f"group{i:02d}",
            )
            for i in range(self.groups)
        ]
        x = dataclasses.replace(self.block_loop, remat=False)(
            groups, x, lambda group, x: group(x) + shared
        )
        x = shallow + non_local(x)
        x = Upsampler(self.scale, self.dtype, name="upsampler")(x)
        x = Conv(self.channels, dtype=self.dtype, name="tail")(x)
        return x.astype(jnp.float32) / self.image_range + mean
