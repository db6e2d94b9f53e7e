"""A stride-1 convolution, whose gradient is taken in parts that a CPU's cache holds."""

from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
from flax.typing import Initializer
from jaxtyping import Float

from jaxsr.layers.initializers import torch_bias_init, torch_kernel_init

# Bytes of images at once for the gradient of a kernel: they stay in a core's cache of
# 1 to 2 MiB. XLA:CPU reads them once for each value of the kernel's gradient.
_CACHED_BYTES = 1_200_000


def convolve(
    x: Float[jax.Array, "n h w c"], kernel: Float[jax.Array, "k k c d"]
) -> Float[jax.Array, "n h w d"]:
    """Returns the convolution at stride 1, zero-padded to the input's size.

    Of several images that no cache holds it has no forward-mode gradient: there
    `jax.grad` adds up the kernel's gradient over a few images at a time, which on a CPU
    takes less than half of the time (docs/performance.md).
    """
    size_is_known = isinstance(x.size, int)  # not where exporters trace for any size
    if size_is_known and len(x) > 1 and x.nbytes > _CACHED_BYTES:
        return _convolve_in_parts(x, kernel)
    return _convolve(x, kernel)


def _convolve(x: jax.Array, kernel: jax.Array) -> jax.Array:
    return jax.lax.conv_general_dilated(
        x, kernel, (1, 1), "SAME", dimension_numbers=("NHWC", "HWIO", "NHWC")
    )


@jax.custom_vjp
def _convolve_in_parts(x: jax.Array, kernel: jax.Array) -> jax.Array:
    return _convolve(x, kernel)


def _forward(x: jax.Array, kernel: jax.Array) -> tuple[jax.Array, Any]:
    return _convolve(x, kernel), (x, kernel)


def _backward(
    inputs: tuple[jax.Array, jax.Array], cotangent: jax.Array
) -> tuple[jax.Array, jax.Array]:
    x, kernel = inputs
    # Of linear functions: nothing is computed to be thrown away.
    (of_x,) = jax.linear_transpose(lambda x: _convolve(x, kernel), x)(cotangent)

    def of_kernel(x: jax.Array, cotangent: jax.Array) -> jax.Array:
        transpose = jax.linear_transpose(lambda kernel: _convolve(x, kernel), kernel)
        return transpose(cotangent)[0]

    def in_parts(x: jax.Array, cotangent: jax.Array) -> jax.Array:
        count = max(_CACHED_BYTES * len(x) // x.nbytes, 1)
        parts = [slice(i, i + count) for i in range(0, len(x), count)]
        gradients = [of_kernel(x[part], cotangent[part]) for part in parts]
        return sum(gradients[1:], gradients[0])

    gradient = jax.lax.platform_dependent(x, cotangent, cpu=in_parts, default=of_kernel)
    return of_x, gradient


_convolve_in_parts.defvjp(_forward, _backward)


class Conv(nn.Module):
    """`kernel_size` x `kernel_size` convolution, zero-padded to the input's size.

    Parameters are named `kernel` and `bias`, as those of `nn.Conv`.

    Fields:
        kernel_init: how the kernel starts, and the bias at zero; None is the default of
            `torch.nn.Conv2d`, U(-1/sqrt(fan_in), 1/sqrt(fan_in)) for both.
    """

    features: int
    kernel_size: int = 3
    use_bias: bool = True
    kernel_init: Initializer | None = None
    dtype: Any = jnp.float32

    @nn.compact
    def __call__(self, x: Float[jax.Array, "n h w c"]) -> Float[jax.Array, "n h w d"]:
        k, c = self.kernel_size, x.shape[-1]
        kernel_init, bias_init = self.kernel_init, nn.initializers.zeros_init()
        if kernel_init is None:
            kernel_init, bias_init = torch_kernel_init, torch_bias_init(k * k * c)
        shape = (k, k, c, self.features)
        kernel = self.param("kernel", kernel_init, shape, jnp.float32)
        y = convolve(x.astype(self.dtype), jnp.asarray(kernel, self.dtype))
        if self.use_bias:
            bias = self.param("bias", bias_init, (self.features,), jnp.float32)
            y = y + bias.astype(self.dtype)[None, None, None]
        return y
