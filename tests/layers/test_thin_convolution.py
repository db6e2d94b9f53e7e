import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxsr.layers.thin_convolution import ThinConv, convolve_by_band


@pytest.mark.parametrize("function", ["layer", "band"])
# One pixel; less than a kernel; one stretch of columns; two and three, uneven.
@pytest.mark.parametrize("shape", [(1, 1), (3, 5), (6, 48), (2, 49), (3, 131)])
def test_thin_conv_equals_flax_conv(function, shape):
    x = jax.random.normal(jax.random.key(0), (2, *shape, 3))
    reference = nn.Conv(1, (7, 7), use_bias=False)
    params = reference.init(jax.random.key(1), x)
    kernel = params["params"]["kernel"]
    if function == "band":
        y = convolve_by_band(x, kernel)
    else:
        y = jax.jit(ThinConv(7).apply)(params, x)
    np.testing.assert_allclose(y, reference.apply(params, x), atol=1e-5)


def test_thin_conv_gradient_equals_flax_conv():
    x = jax.random.normal(jax.random.key(0), (2, 9, 50, 2))
    reference, layer = nn.Conv(1, (7, 7), use_bias=False), ThinConv(7)
    params = layer.init(jax.random.key(1), x)

    def gradient(module):
        return jax.grad(lambda p, x: jnp.sum(jnp.sin(module.apply(p, x))), (0, 1))

    for ours, theirs in zip(
        jax.tree.leaves(jax.jit(gradient(layer))(params, x)),
        jax.tree.leaves(jax.jit(gradient(reference))(params, x)),
        strict=True,
    ):
        np.testing.assert_allclose(ours, theirs, atol=1e-4)
