"""DRCN: one convolution applied sixteen times, every recursion supervised.

Source: Kim, Lee and Lee, "Deeply-Recursive Convolutional Network for Image
Super-Resolution", CVPR 2016, https://arxiv.org/abs/1511.04491, Sec. 3. The authors'
weights are not published; nothing but the parameter count could be checked.

The paper's equations leave open, and this module decides:

- Skip: the bicubic image enters the reconstruction net. Here it is added to each
  prediction. Concatenating it before the last convolution (jiny2001's code) costs
  9 weights more; the published count, 1,774K, is that without.
- The last convolution has no ReLU, so that residuals of both signs exist. The basic
  model's equation (before skips are introduced) has one on every layer.
- The final output is `sum_d w_d * prediction_d` with the w as they are, started at 1/D.
  Third-party codes divide by their sum; the equation does not.
- Start: He, and the recursive convolution is the identity with zero bias, so that at
  first all recursions agree.

Pre-upsampling is MATLAB's bicubic, inside the network. While training, the prediction
of each recursion d is sown as `supervision/prediction<d>`: the loss is
`alpha/D * sum_d MSE_d + (1 - alpha) * MSE_final`, or, with the final term at weight 1,
a weight of `alpha / (D * (1 - alpha))` for each.
"""

from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
from jaxtyping import Float

from jaxsr.imaging import imresize_jnp
from jaxsr.layers.convolution import Conv
from jaxsr.layers.initializers import he_init
from jaxsr.models.base import Network


def _identity_init(key, shape, dtype=jnp.float32):
    """A convolution kernel that returns its input."""
    del key  # nothing is random
    k, _, c, d = shape
    return jnp.zeros(shape, dtype).at[k // 2, k // 2].set(jnp.eye(c, d, dtype=dtype))


class DRCN(Network):
    """Embedding, recursive inference, shared reconstruction, weighted ensemble."""

    features: int = 256
    recursions: int = 16
    channels: int = 1

    knows_canvases = True

    @property
    def receptive_radius(self) -> int:
        return self.radius_behind_bicubic(self.recursions + 4)

    @nn.compact
    def forward(
        self, lr: Float[jax.Array, "n h w c"], *, train: bool
    ) -> Float[jax.Array, "n {self.scale}*h {self.scale}*w c"]:
        def conv(features: int, name: str, kernel_init: Any = he_init):
            return Conv(features, kernel_init=kernel_init, dtype=self.dtype, name=name)

        image = imresize_jnp(lr.astype(jnp.float32), self.scale)
        x = nn.relu(conv(self.features, "embed1")(image))
        x = nn.relu(conv(self.features, "embed2")(x))
        recursive = conv(self.features, "recursive", _identity_init)
        reconstruct1 = conv(self.features, "reconstruct1")
        reconstruct2 = conv(self.channels, "reconstruct2")
        ensemble = self.param(
            "ensemble",
            nn.initializers.constant(1.0 / self.recursions),
            (self.recursions,),
            jnp.float32,
        )
        sr = jnp.zeros_like(image)
        for i in range(self.recursions):
            x = nn.relu(recursive(x))
            residual = reconstruct2(nn.relu(reconstruct1(x)))
            prediction = image + residual.astype(jnp.float32)
            if train:
                self.sow("supervision", f"prediction{i:02d}", prediction)
            sr = sr + ensemble[i] * prediction
        return sr
