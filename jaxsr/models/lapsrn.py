"""LapSRN: a Laplacian pyramid that doubles the picture level by level.

Source: Lai, Huang, Ahuja and Yang, "Deep Laplacian Pyramid Networks for Fast and
Accurate Super-Resolution", CVPR 2017, https://arxiv.org/abs/1704.03915. The defaults
are those of the authors' code and released weights (phoenix104104/LapSRN), with which
this module reaches 37.46 dB (x2) and 31.52 dB (x4) on Set5.

Variants, each a field below:

- `upsample_kernel`: the features are enlarged by a 3x3 transposed convolution, with
  biases, in the released networks; the paper's text says 4x4. twtygqyy/pytorch-LapSRN
  has 4x4 and no biases anywhere (`upsample_kernel=4, use_bias=False`).
- The alignment follows the kernel: 3x3 crops the last row and column, 4x4 one pixel on
  each side. The wrong crop costs 6 to 9 dB.
- x3 runs the x4 pyramid and shrinks its output by bicubic, as the authors do; they have
  no x3 weights, their x3 column uses those of x4. Training at x3 takes the loss behind
  the shrinking.
- The released x8 network has `depth` 5.

Levels do not share weights (that is MS-LapSRN). While training, the output of every
level but the last is sown as `supervision/prediction<i>`.
"""

from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
from flax.linen.initializers import Initializer
from jaxtyping import Float

from jaxsr.imaging import imresize_jnp
from jaxsr.layers.canvas import mirror_picture
from jaxsr.layers.convolution import Conv
from jaxsr.layers.initializers import he_init
from jaxsr.layers.transposed_convolution import TransposedConv
from jaxsr.models.base import Network

_SLOPE = 0.2  # given by name, a constant for jax2onnx, which knows no other


def _bilinear_init(key, shape, dtype=jnp.float32):
    """The 4x4 kernel that doubles an image bilinearly, channel by channel."""
    del key  # nothing is random
    taps = np.array([0.25, 0.75, 0.75, 0.25])
    kernel = np.multiply.outer(np.outer(taps, taps), np.eye(*shape[2:]))
    return jnp.asarray(kernel, dtype)


class PyramidLevel(nn.Module):
    """One doubling: features `[N, h, w, F]` and image `[N, h, w, C]`, both to 2h x 2w.

    Feature extraction (convolutions, enlarging), then the residual between the
    bilinearly enlarged image and the finer one (Sec. 3.1, Fig. 1).
    """

    features: int
    depth: int
    upsample_kernel: int
    use_bias: bool
    dtype: Any = jnp.float32

    @nn.compact
    def __call__(
        self, x: Float[jax.Array, "n h w f"], image: Float[jax.Array, "n h w c"]
    ) -> tuple[Float[jax.Array, "n 2*h 2*w f"], Float[jax.Array, "n 2*h 2*w c"]]:
        for i in range(self.depth):
            x = Conv(
                self.features,
                use_bias=self.use_bias,
                kernel_init=he_init,
                dtype=self.dtype,
                name=f"conv{i:02d}",
            )(x)
            x = nn.leaky_relu(x, negative_slope=_SLOPE)
        x = TransposedConv(
            self.features,
            self.upsample_kernel,
            crop=(self.upsample_kernel - 2) // 2,
            use_bias=self.use_bias,
            kernel_init=he_init,
            dtype=self.dtype,
            name="upsample",
        )(x)
        x = nn.leaky_relu(x, negative_slope=_SLOPE)
        channels = image.shape[-1]
        residual = Conv(
            channels,
            use_bias=self.use_bias,
            kernel_init=he_init,
            dtype=self.dtype,
            name="residual",
        )(x)
        # The image branch stays in float32: its rounding would be seen in the output.
        enlarged = TransposedConv(
            channels,
            4,
            crop=1,
            use_bias=False,
            kernel_init=_bilinear_init,
            name="image_upsample",
        )(image)
        return x, enlarged + residual.astype(jnp.float32)


class LapSRN(Network):
    """The pyramid; fields and variants are explained at the top of the module.

    Any `scale` from 2 has its pyramid, the next power of two.
    """

    features: int = 64
    depth: int = 10
    upsample_kernel: int = 3
    use_bias: bool = True
    channels: int = 1

    knows_canvases = True

    def check(self) -> None:
        super().check()
        if self.scale < 2:
            self.refuse("scale", f"expected at least 2, got {self.scale}")

    @nn.compact
    def forward(
        self, lr: Float[jax.Array, "n h w c"], *, train: bool
    ) -> Float[jax.Array, "n {self.scale}*h {self.scale}*w c"]:
        levels = (self.scale - 1).bit_length()
        stem_init: Initializer = nn.initializers.normal(1e-3)
        x = Conv(
            self.features,
            use_bias=self.use_bias,
            kernel_init=stem_init,
            dtype=self.dtype,
            name="head",
        )(lr)
        x = nn.leaky_relu(x, negative_slope=_SLOPE)
        sr = lr.astype(jnp.float32)
        for i in range(levels):
            x, sr = PyramidLevel(
                self.features,
                self.depth,
                self.upsample_kernel,
                self.use_bias,
                dtype=self.dtype,
                name=f"level{i}",
            )(x, sr)
            if train and i < levels - 1:
                self.sow("supervision", f"prediction{i}", sr)
        if self.scale != 2**levels:
            sr = imresize_jnp(mirror_picture(sr), self.scale / 2**levels)
        return sr
