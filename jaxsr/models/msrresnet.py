"""MSRResNet: SRResNet without normalisation, as BasicSR modified it.

Source: XPixelGroup/BasicSR, basicsr/archs/srresnet_arch.py; checked against it. There
is no convolution after the last block and no skip over the blocks; the output is added
to the bilinearly enlarged input.
"""

from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
from jaxtyping import Float

from jaxsr.errors import InputError
from jaxsr.layers.pixel_shuffle import pixel_shuffle

_UPSAMPLING_STEPS = {2: (2,), 3: (3,), 4: (2, 2)}
# A tenth of He's standard deviation, so that every residual starts small.
_SMALL_HE_INIT = nn.initializers.variance_scaling(2.0 * 0.1**2, "fan_in", "normal")


def _leaky_relu(x):
    return nn.leaky_relu(x, 0.1)


class MSRResNet(nn.Module):
    """3x3 convolutions only; leaky ReLU outside the residual blocks, ReLU inside."""

    scale: int
    features: int = 64
    depth: int = 16
    channels: int = 3
    dtype: Any = jnp.float32

    @nn.compact
    def __call__(
        self, lr: Float[jax.Array, "n h w c"], *, train: bool = False
    ) -> Float[jax.Array, "n {self.scale}*h {self.scale}*w c"]:
        del train  # nothing differs between training and use
        if self.scale not in _UPSAMPLING_STEPS:
            raise InputError(f"MSRResNet has scales 2, 3 and 4, got {self.scale}")

        def conv(x, features: int, name: str):
            return nn.Conv(
                features,
                (3, 3),
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
        return x + jax.image.resize(lr.astype(jnp.float32), x.shape, "bilinear")
