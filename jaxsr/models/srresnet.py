"""SRResNet (Ledig et al., 2017), https://arxiv.org/abs/1609.04802, Sec. 2.1 and Fig. 4.

The generator of SRGAN, trained on the squared error. As in the paper, images enter in
[0, 1] and the last convolution gives [-1, 1]; the end brings that back to [0, 1], so a
squared error on [0, 1] is a quarter of the paper's.

Checked against Lornatang/SRGAN-PyTorch (one PReLU slope per layer there, no biases in
front of normalisations, output in [0, 1]). What the paper leaves open: convolutions
have biases, PReLU has a slope per channel (the default of its framework, Lasagne),
normalisation has epsilon 1e-5 and running averages of decay 0.9. The paper has x4 only;
x2 has one upsampling stage, x3 one by 3.

Running statistics live in the collection "batch_stats": give `train=True` together with
`mutable=["batch_stats"]`.
"""

from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
from jaxtyping import Float

from jaxsr.layers.batch_norm import batch_norm
from jaxsr.layers.block_loop import BlockLoop
from jaxsr.layers.convolution import Conv
from jaxsr.layers.pixel_shuffle import pixel_shuffle
from jaxsr.layers.prelu import PReLU
from jaxsr.models.base import Network

_UPSAMPLING_STEPS = {2: (2,), 3: (3,), 4: (2, 2), 8: (2, 2, 2)}


class ConvBatchNorm(nn.Module):
    """3x3 convolution and batch normalisation."""

    features: int
    dtype: Any = jnp.float32

    @nn.compact
    def __call__(
        self, x: Float[jax.Array, "n h w c"], *, train: bool
    ) -> Float[jax.Array, "n h w d"]:
        x = Conv(self.features, dtype=self.dtype, name="conv")(x)
        return batch_norm(x, train=train, dtype=self.dtype, name="norm")


class ResidualBlock(nn.Module):
    """`x + BN(conv(PReLU(BN(conv(x)))))`."""

    features: int
    dtype: Any = jnp.float32

    @nn.compact
    def __call__(
        self, x: Float[jax.Array, "n h w c"], *, train: bool
    ) -> Float[jax.Array, "n h w c"]:
        y = ConvBatchNorm(self.features, self.dtype, name="part1")(x, train=train)
        y = PReLU(dtype=self.dtype, name="prelu")(y)
        y = ConvBatchNorm(self.features, self.dtype, name="part2")(y, train=train)
        return x + y


class SRResNet(Network):
    """9x9 convolution, residual blocks, sub-pixel stages, 9x9 convolution (Fig. 4)."""

    features: int = 64
    depth: int = 16
    block_loop: BlockLoop = BlockLoop()

    knows_canvases = True

    def check(self) -> None:
        super().check()
        if self.scale not in _UPSAMPLING_STEPS:
            self.refuse("scale", f"expected one of 2, 3, 4 or 8, got {self.scale}")

    @property
    def receptive_radius(self) -> int:
        return 4 + 2 * self.depth + 1 + 3  # head, blocks, body end, and what is behind

    @nn.compact
    def forward(
        self, lr: Float[jax.Array, "n h w c"], *, train: bool
    ) -> Float[jax.Array, "n {self.scale}*h {self.scale}*w c"]:
        x = Conv(self.features, 9, dtype=self.dtype, name="head")(lr)
        x = shallow = PReLU(dtype=self.dtype, name="head_prelu")(x)
        blocks = [
            ResidualBlock(self.features, self.dtype, name=f"block{i:02d}")
            for i in range(self.depth)
        ]
        x = self.block_loop(blocks, x, lambda block, x: block(x, train=train))
        x = ConvBatchNorm(self.features, self.dtype, name="body_end")(x, train=train)
        x = x + shallow
        for i, step in enumerate(_UPSAMPLING_STEPS[self.scale]):
            x = Conv(self.features * step**2, dtype=self.dtype, name=f"up{i}")(x)
            x = pixel_shuffle(x, step)
            x = PReLU(dtype=self.dtype, name=f"up{i}_prelu")(x)
        x = Conv(self.channels, 9, dtype=self.dtype, name="tail")(x)
        return (x.astype(jnp.float32) + 1.0) / 2.0
