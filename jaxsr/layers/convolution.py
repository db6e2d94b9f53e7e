"""A stride-1 convolution with PyTorch's default initialisation."""

from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
from jaxtyping import Float

from jaxsr.layers.initializers import torch_bias_init, torch_kernel_init


class Conv(nn.Module):
    """`kernel_size` x `kernel_size` convolution, zero-padded to the input's size.

    Same as `nn.Conv` but for the start: U(-1/sqrt(fan_in), 1/sqrt(fan_in)) for weight
    and bias, as in `torch.nn.Conv2d`. Parameters are named `kernel` and `bias`.
    """

    features: int
    kernel_size: int = 3
    use_bias: bool = True
    dtype: Any = jnp.float32

    @nn.compact
    def __call__(self, x: Float[jax.Array, "n h w c"]) -> Float[jax.Array, "n h w d"]:
        k = self.kernel_size
        fan_in = k * k * x.shape[-1]
        kernel = self.param(
            "kernel", torch_kernel_init, (k, k, x.shape[-1], self.features), jnp.float32
        )
        y = jax.lax.conv_general_dilated(
            x.astype(self.dtype),
            kernel.astype(self.dtype),
            window_strides=(1, 1),
            padding="SAME",
            dimension_numbers=("NHWC", "HWIO", "NHWC"),
        )
        if self.use_bias:
            bias = self.param(
                "bias", torch_bias_init(fan_in), (self.features,), jnp.float32
            )
            y = y + bias.astype(self.dtype)
        return y
