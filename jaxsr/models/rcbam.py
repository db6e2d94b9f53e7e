"""RCBAM: residual convolutions with channel and spatial attention.

Source: Huang, He and Luo, "Image Super-Resolution Reconstruction Based on Residual
Convolution and Double Attention Mechanism". Section 3.1 and Figure 4 give the network:
a convolution, cascaded residual dual attention blocks, a sub-pixel convolution. Section
3.2 and Figure 5 give the block.

How the paper's gaps are filled, each a field or a line below:

- Input. The text says that the LR image enters "after double triple interpolation", a
  slip of translation for bicubic: that is how the LR image is made. The sub-pixel layer
  at the end shows that the network reads the small image.
- `depth` and `features` are not stated: 16 and 64, as in the EDSR and SRResNet of its
  time.
- `feature_skip`: a convolution after the last block and a skip from the first features.
  Not stated; every network of this family has one, and without it the blocks must carry
  the image itself.
- `image_skip`: the bicubic picture is added to the output, so that the network learns
  what bicubic misses. Not stated; it makes the start of training as good as bicubic
  (the last convolution starts at zero).
- The image is centred by subtracting 0.5, so that zero padding is mid-gray.
- CBAM has no batch normalisation: see `jaxsr.layers.cbam`.
- `pool_size`: the channel gates pool over windows of so many LR pixels a side instead
  of the whole picture. Set to the size of the training patches it changes nothing in
  training, and pictures come out better (docs/results.md): the gates then see
  statistics such as they were trained on. Not the paper's; None pools over all.
- `channel_attention` and `spatial_attention` switch a gate off, to compare.
"""

from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
from jaxtyping import Float

from jaxsr.imaging import imresize_jnp
from jaxsr.layers.block_loop import BlockLoop
from jaxsr.layers.cbam import CBAM
from jaxsr.layers.convolution import Conv
from jaxsr.layers.pixel_shuffle import pixel_shuffle
from jaxsr.layers.prelu import PReLU
from jaxsr.models.base import Network

_CENTRE = 0.5
_INIT = nn.initializers.lecun_normal()


class ResidualDualAttentionBlock(nn.Module):
    """`x + CBAM(conv(PReLU(conv(x))))` (Sec. 3.2, Fig. 5)."""

    features: int
    reduction: int = 16
    pool_size: int | None = None
    channel_attention: bool = True
    spatial_attention: bool = True
    dtype: Any = jnp.float32

    @nn.compact
    def __call__(self, x: Float[jax.Array, "n h w c"]) -> Float[jax.Array, "n h w c"]:
        y = Conv(self.features, kernel_init=_INIT, dtype=self.dtype, name="conv1")(x)
        y = PReLU(dtype=self.dtype, name="prelu")(y)
        y = Conv(self.features, kernel_init=_INIT, dtype=self.dtype, name="conv2")(y)
        cbam = CBAM(
            self.reduction,
            self.pool_size,
            self.channel_attention,
            self.spatial_attention,
            dtype=self.dtype,
            name="cbam",
        )
        return x + cbam(y)


class RCBAM(Network):
    """The first paper's network; the fields are explained at the top of the module.

    The channel gates pool over the whole picture, or over windows, so a tile of a
    picture comes out a little different from the same place in the whole.
    """

    features: int = 64
    depth: int = 16
    reduction: int = 16
    feature_skip: bool = True
    image_skip: bool = True
    pool_size: int | None = None
    channel_attention: bool = True
    spatial_attention: bool = True
    block_loop: BlockLoop = BlockLoop()

    knows_canvases = True

    def check(self) -> None:
        super().check()
        if self.pool_size is not None and self.pool_size % 4:
            self.refuse("pool_size", f"expected a multiple of 4, got {self.pool_size}")

    @nn.compact
    def forward(
        self, lr: Float[jax.Array, "n h w c"], *, train: bool
    ) -> Float[jax.Array, "n {self.scale}*h {self.scale}*w c"]:
        del train  # nothing differs between training and use
        head = Conv(self.features, kernel_init=_INIT, dtype=self.dtype, name="head")
        x = shallow = head(lr - _CENTRE)
        blocks = [
            ResidualDualAttentionBlock(
                self.features,
                self.reduction,
                self.pool_size,
                self.channel_attention,
                self.spatial_attention,
                dtype=self.dtype,
                name=f"block{i:02d}",
            )
            for i in range(self.depth)
        ]
        x = self.block_loop(blocks, x)
        if self.feature_skip:
            x = Conv(
                self.features, kernel_init=_INIT, dtype=self.dtype, name="body_end"
            )(x)
            x = x + shallow
        x = Conv(
            self.channels * self.scale**2,
            kernel_init=(nn.initializers.zeros_init() if self.image_skip else _INIT),
            dtype=self.dtype,
            name="tail",
        )(x)
        sr = pixel_shuffle(x.astype(jnp.float32), self.scale)
        if self.image_skip:
            return sr + imresize_jnp(lr.astype(jnp.float32), self.scale)
        return sr + _CENTRE


class RCBAMLite(RCBAM):
    """A small RCBAM that a CPU can train and run; not in the paper."""

    features: int = 32
    depth: int = 6
    pool_size: int | None = 32
