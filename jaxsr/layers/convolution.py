"""A stride-1 convolution with PyTorch's default initialisation."""

from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
from jaxtyping import Float

from jaxsr.layers.initializers import torch_bias_init, torch_kernel_init


def convolve(
    x: Float[jax.Array, "n h w c"], kernel: Float[jax.Array, "k k c d"]
) -> Float[jax.Array, "n h w d"]:
    """Returns the convolution at stride 1, zero-padded to the input's size."""
    return jax.lax.conv_general_dilated(
        x, kernel, (1, 1), "SAME", dimension_numbers=("NHWC", "HWIO", "NHWC")
    )


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
        y = convolve(x.astype(self.dtype), kernel.astype(self.dtype))
        if self.use_bias:
            bias = self.param(
                "bias", torch_bias_init(fan_in), (self.features,), jnp.float32
            )
            y = y + bias.astype(self.dtype)[None, None, None]
        return y
