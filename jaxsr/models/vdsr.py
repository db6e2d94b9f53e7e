"""VDSR (Kim et al., 2016), https://arxiv.org/abs/1511.04587, Sec. 3.

Twenty 3x3 convolutions predict what the bicubic-upsampled luma lacks. One set of
weights serves all scales: `scale` only says by how much the input is enlarged.

Checked against twtygqyy/pytorch-vdsr, whose convolutions have no biases (`use_bias`);
the authors' released weights have all of them.
"""

from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
from jaxtyping import Float

from jaxsr.imaging import imresize_jnp

# He et al. (2015), not truncated: Caffe's "msra" filler.
_HE_INIT = nn.initializers.variance_scaling(2.0, "fan_in", "normal")


class VDSR(nn.Module):
    """Bicubic plus a learned residual (Fig. 1); `depth` counts the convolutions."""

    scale: int
    features: int = 64
    depth: int = 20
    use_bias: bool = True
    channels: int = 1
    dtype: Any = jnp.float32

    @nn.compact
    def __call__(
        self, lr: Float[jax.Array, "n h w c"], *, train: bool = False
    ) -> Float[jax.Array, "n {self.scale}*h {self.scale}*w c"]:
        del train  # nothing differs between training and use

        def conv(x, features: int, name: str):
            return nn.Conv(
                features,
                (3, 3),
                use_bias=self.use_bias,
                kernel_init=_HE_INIT,
                dtype=self.dtype,
                name=name,
            )(x)

        x = bicubic = imresize_jnp(lr.astype(jnp.float32), self.scale)
        for i in range(self.depth - 1):
            x = nn.relu(conv(x, self.features, f"conv{i:02d}"))
        residual = conv(x, self.channels, f"conv{self.depth - 1:02d}")
        return bicubic + residual.astype(jnp.float32)
