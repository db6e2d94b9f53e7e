"""MemNet: memory blocks whose gates see all that came before.

Source: Tai, Yang, Liu and Xu, "MemNet: A Persistent Memory Network for Image
Restoration", ICCV 2017, https://arxiv.org/abs/1708.02209, and the authors' Caffe
definition (tyshiwo/MemNet, MemNet_M6R6_80C64_train.prototxt), which settles:

- every convolution is preceded by batch normalisation and ReLU, the first one included,
  so that the image itself is normalised;
- in a block the two convolutions are shared by all recursions, the normalisations are
  not;
- a gate reads [features, block 1, ..., block m-1, recursion 1, ..., recursion R] in
  this order;
- one reconstruction convolution serves the outputs of all blocks, each after its own
  normalisation; predictions are those plus the bicubic image;
- the final output is `sum_m w_m * prediction_m`, not normalised.

Departs: the w start at 1/M (Caffe's default of 1 starts M times too bright) and the
reconstruction near zero (He's start adds noise as strong as the image), so that
training starts at the bicubic image; running statistics have momentum 0.9 (Caffe's
0.999 corrects its start, Flax's does not and would need some thousand steps). Weights
of the authors could not be had: only the parameter count was checked, 695,497 trainable
for M6R6. The 212-layer network of the paper is `blocks=10, recursions=10`.

Pre-upsampling is MATLAB's bicubic, inside the network. While training, the prediction
of each block is sown as `supervision/prediction<m>`; all losses weigh the same (Eq.
13).
"""

from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
from jaxtyping import Float

from jaxsr.imaging import imresize_jnp
from jaxsr.layers.batch_norm import batch_norm
from jaxsr.layers.convolution import Conv
from jaxsr.layers.initializers import he_init
from jaxsr.models.base import Network


class NormReLU(nn.Module):
    """Batch normalisation and ReLU."""

    dtype: Any = jnp.float32

    @nn.compact
    def __call__(
        self, x: Float[jax.Array, "n h w c"], *, train: bool
    ) -> Float[jax.Array, "n h w c"]:
        return nn.relu(batch_norm(x, train=train, dtype=self.dtype, name="norm"))


class MemoryBlock(nn.Module):
    """A residual unit applied recursively, and the gate over short and long memory."""

    features: int
    recursions: int
    dtype: Any = jnp.float32

    @nn.compact
    def __call__(
        self, long_memory: list[Float[jax.Array, "n h w c"]], *, train: bool
    ) -> Float[jax.Array, "n h w c"]:
        def conv(name, size=3):
            return Conv(
                self.features,
                size,
                kernel_init=he_init,
                dtype=self.dtype,
                name=name,
            )

        def norm_relu(name):
            return NormReLU(dtype=self.dtype, name=name)

        conv1, conv2 = conv("conv1"), conv("conv2")
        x = long_memory[-1]
        short_memory = []
        for i in range(self.recursions):
            y = conv1(norm_relu(f"norm{i:02d}_1")(x, train=train))
            x = x + conv2(norm_relu(f"norm{i:02d}_2")(y, train=train))
            short_memory.append(x)
        memory = jnp.concatenate([*long_memory, *short_memory], axis=-1)
        return conv("gate", 1)(norm_relu("gate_norm")(memory, train=train))


class MemNet(Network):
    """Feature extraction, memory blocks, shared reconstruction, weighted ensemble."""

    features: int = 64
    blocks: int = 6
    recursions: int = 6
    channels: int = 1

    knows_canvases = True

    @property
    def receptive_radius(self) -> int:
        return self.radius_behind_bicubic(2 * self.blocks * self.recursions + 2)

    @nn.compact
    def forward(
        self, lr: Float[jax.Array, "n h w c"], *, train: bool
    ) -> Float[jax.Array, "n {self.scale}*h {self.scale}*w c"]:
        def conv(features: int, name: str, kernel_init: Any = he_init):
            return Conv(features, kernel_init=kernel_init, dtype=self.dtype, name=name)

        def norm_relu(name):
            return NormReLU(dtype=self.dtype, name=name)

        image = imresize_jnp(lr.astype(jnp.float32), self.scale)
        head = conv(self.features, "head")
        memory = [head(norm_relu("head_norm")(image, train=train))]
        tail = conv(self.channels, "tail", nn.initializers.normal(1e-3))
        ensemble = self.param(
            "ensemble",
            nn.initializers.constant(1.0 / self.blocks),
            (self.blocks,),
            jnp.float32,
        )
        sr = jnp.zeros_like(image)
        for i in range(self.blocks):
            block = MemoryBlock(
                self.features, self.recursions, dtype=self.dtype, name=f"block{i:02d}"
            )
            memory.append(block(memory, train=train))
            y = norm_relu(f"tail_norm{i:02d}")(memory[-1], train=train)
            prediction = image + tail(y).astype(jnp.float32)
            if train:
                self.sow("supervision", f"prediction{i:02d}", prediction)
            sr = sr + ensemble[i] * prediction
        return sr
