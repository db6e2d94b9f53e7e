"""MSRResNet: SRResNet without normalisation, as BasicSR modified it.

Source: XPixelGroup/BasicSR, basicsr/archs/srresnet_arch.py; checked against it. There
is no convolution after the last block and no skip over the blocks; the output is added
to the bilinearly enlarged input.
"""

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from jaxsr.imaging.any_size import enlarge_any_size
from jaxsr.layers.convolution import Conv
from jaxsr.layers.pixel_shuffle import pixel_shuffle
from jaxsr.models.base import Network

_UPSAMPLING_STEPS = {2: (2,), 3: (3,), 4: (2, 2)}
# A tenth of He's standard deviation, so that every residual starts small.
_SMALL_HE_INIT = nn.initializers.variance_scaling(2.0 * 0.1**2, "fan_in", "normal")


def _leaky_relu(x):
    # By its name the slope is a constant for jax2onnx, which knows no other.
    return nn.leaky_relu(x, negative_slope=0.1)


class MSRResNet(Network):
    """3x3 convolutions only; leaky ReLU outside the residual blocks, ReLU inside."""

    features: int = 64
    depth: int = 16

    knows_canvases = True

    def check(self) -> None:
        super().check()
        if self.scale not in _UPSAMPLING_STEPS:
            self.refuse("scale", f"expected one of 2, 3 or 4, got {self.scale}")

    @property
    def receptive_radius(self) -> int:
        return 1 + 2 * self.depth + 3  # head, blocks, and what is behind

    @nn.compact
    def forward(
        self, lr: Float[jax.Array, "n h w c"], *, train: bool
    ) -> Float[jax.Array, "n {self.scale}*h {self.scale}*w c"]:
        del train  # nothing differs between training and use

        def conv(x, features: int, name: str):
            return Conv(
                features,
                kernel_init=_SMALL_HE_INIT,
                dtype=self.dtype,
                name=name,
            )(x)

        x = _leaky_relu(conv(lr, self.features, "head"))
        for i in range(self.depth):
            y = nn.relu(conv(x, self.features, f"block{i:02d}_conv1"))
            x = x + conv(y, self.features, f"block{i:02d}_conv2")
        for i, step in enumerate(_UPSAMPLING_STEPS[self.scale]):
            x = conv(x, self.features * step**2, f"up{i}")
            x = _leaky_relu(pixel_shuffle(x, step))
        x = _leaky_relu(conv(x, self.features, "hr"))
        x = conv(x, self.channels, "tail").astype(jnp.float32)
        return x + _bilinear(lr.astype(jnp.float32), self.scale)


def _bilinear(lr: jax.Array, scale: int) -> jax.Array:
    n, h, w, c = lr.shape
    if isinstance(n, int) and isinstance(h, int) and isinstance(w, int):
        return jax.image.resize(lr, (n, scale * h, scale * w, c), "bilinear")
    return enlarge_any_size(lr, scale, _triangle, 1, "replicate")


def _triangle(x: np.ndarray) -> np.ndarray:
    return np.maximum(1 - np.abs(x), 0)
