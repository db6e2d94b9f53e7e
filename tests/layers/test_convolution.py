"""Convolutions, and the gradient of a kernel in parts."""

import re

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxsr.layers import convolution
from jaxsr.layers.convolution import Conv, convolve
from jaxsr.models.complexity import count_products


def _draw(shape: tuple[int, ...], seed: int = 0) -> jax.Array:
    return jax.random.normal(jax.random.key(seed), shape)


def _whole(x: jax.Array, kernel: jax.Array) -> jax.Array:
    return jax.lax.conv_general_dilated(
        x, kernel, (1, 1), "SAME", dimension_numbers=("NHWC", "HWIO", "NHWC")
    )


def _loss(convolution, x: jax.Array, kernel: jax.Array) -> jax.Array:
    return jnp.sum(jnp.sin(convolution(x, kernel)))


@pytest.mark.parametrize(
    ("images", "cached", "products"), [(5, 2, 3), (5, 0.5, 5), (5, 9, 1), (1, 0.5, 1)]
)
def test_convolve_has_the_gradients_of_the_whole(monkeypatch, images, cached, products):
    """However many parts the images are taken in, of which the last may be smaller."""
    x, kernel = _draw((images, 9, 7, 4)), _draw((3, 3, 4, 6), 1)
    monkeypatch.setattr(convolution, "_CACHED_BYTES", int(cached * x[0].nbytes))
    gradients = jax.grad(lambda *given: _loss(convolve, *given), (0, 1))
    expected = jax.grad(lambda *given: _loss(_whole, *given), (0, 1))(x, kernel)
    for given, wanted in zip(jax.jit(gradients)(x, kernel), expected, strict=True):
        np.testing.assert_allclose(given, wanted, rtol=0, atol=2e-5)
    np.testing.assert_array_equal(convolve(x, kernel), _whole(x, kernel))
    # The output, the input's gradient, and the kernel's in so many parts.
    text = jax.jit(gradients).lower(x, kernel).as_text()
    assert len(re.findall("stablehlo.convolution", text)) == 2 + products
    assert count_products(gradients, x, kernel) == 3 * count_products(_whole, x, kernel)


def test_convolve_has_second_gradients(monkeypatch):
    monkeypatch.setattr(convolution, "_CACHED_BYTES", 300)
    x, kernel = _draw((2, 5, 4, 3)), _draw((3, 3, 3, 2), 1)

    def steepness(convolution, kernel: jax.Array) -> jax.Array:
        slope = jax.grad(lambda kernel: _loss(convolution, x, kernel))(kernel)
        return jnp.sum(slope**2)

    given, wanted = (
        jax.grad(lambda kernel, of=of: steepness(of, kernel))(kernel)
        for of in (convolve, _whole)
    )
    np.testing.assert_allclose(given, wanted, rtol=1e-4, atol=1e-3)


def test_convolve_of_one_image_has_forward_mode_gradients():
    x, kernel = _draw((1, 200, 200, 16)), _draw((3, 3, 16, 1), 1)
    _, given = jax.jvp(lambda x: convolve(x, kernel), (x,), (x,))
    np.testing.assert_allclose(given, _whole(x, kernel), rtol=0, atol=1e-4)


@pytest.mark.parametrize("size", [1, 3, 5])
def test_conv_is_flax_conv(size):
    """The same function, parameters and start."""
    x = _draw((2, 6, 5, 3))
    he = nn.initializers.he_normal()
    ours = Conv(4, size, kernel_init=he, name="conv")
    flax = nn.Conv(4, (size, size), kernel_init=he, name="conv")
    variables = ours.init(jax.random.key(2), x)
    jax.tree.map(
        np.testing.assert_array_equal, variables, flax.init(jax.random.key(2), x)
    )
    np.testing.assert_array_equal(ours.apply(variables, x), flax.apply(variables, x))


def test_conv_starts_as_pytorch():
    """Weight and bias within 1 / sqrt(inputs of an output), and up to it."""
    params = Conv(64).init(jax.random.key(0), jnp.ones((1, 4, 4, 64)))["params"]
    bound = (9 * 64) ** -0.5
    for values in (params["kernel"], params["bias"]):
        assert 0.9 * bound < np.abs(values).max() <= bound
