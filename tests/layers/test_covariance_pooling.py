"""Covariance and its root against NumPy and SciPy in float64."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.linalg

from jaxsr.layers.covariance_pooling import covariance, covariance_pool, matrix_sqrt


def _features(shape=(2, 9, 11, 16), spread=1.0):
    """Correlated features; `spread` is the ratio of largest to smallest deviation."""
    generator = np.random.default_rng(0)
    c = shape[-1]
    mixing = generator.normal(size=(c, c)) / np.sqrt(c)
    deviations = np.geomspace(1, 1 / spread, c)
    x = (generator.normal(size=shape) * deviations) @ mixing + 3.0
    return x.astype(np.float32)


def _newton_schulz(a, iterations):
    """The authors' order of operations (MPNCOV.py), in float64."""
    identity = np.eye(len(a))
    trace = np.trace(a)
    y = a / trace
    z = identity
    for _ in range(iterations):
        y, z = 0.5 * y @ (3 * identity - z @ y), 0.5 * (3 * identity - z @ y) @ z
    return np.sqrt(trace) * y


def test_covariance_equals_numpy():
    x = _features()
    for image, got in zip(x, covariance(jnp.asarray(x)), strict=True):
        pixels = image.reshape(-1, 16).astype(np.float64)
        expected = np.cov(pixels, rowvar=False, bias=True)
        np.testing.assert_allclose(got, expected, atol=1e-5)


@pytest.mark.parametrize("iterations", [1, 2, 5])
def test_matrix_sqrt_equals_float64_iteration(iterations):
    a = covariance(jnp.asarray(_features(spread=100.0)))
    for matrix, got in zip(
        a, jax.jit(matrix_sqrt, static_argnums=1)(a, iterations), strict=True
    ):
        expected = _newton_schulz(np.asarray(matrix, np.float64), iterations)
        np.testing.assert_allclose(got, expected, atol=1e-5 * np.abs(expected).max())


def test_matrix_sqrt_converges_to_scipy_root():
    pixels = np.random.default_rng(1).normal(size=(500, 8))
    a = np.cov(pixels @ np.diag(np.linspace(1, 3, 8)), rowvar=False)
    got = jax.jit(partial(matrix_sqrt, iterations=20))(
        jnp.asarray(a[None], jnp.float32)
    )[0]
    np.testing.assert_allclose(got, scipy.linalg.sqrtm(a), atol=1e-5)


def test_matrix_sqrt_of_five_iterations_is_no_exact_root():
    """The definition: 5 steps leave the share of small eigenvalues below its root."""
    a = np.diag([1.0, 1e-6])
    got = matrix_sqrt(jnp.asarray(a[None], jnp.float32))[0, 1, 1]
    np.testing.assert_allclose(got, 1.5**5 * 1e-6, rtol=1e-3)


def test_covariance_pool_gradient_equals_finite_difference():
    x = _features((1, 5, 4, 6))
    weights = np.random.default_rng(2).normal(size=(6, 6))
    direction = np.random.default_rng(3).normal(size=x.shape)

    def loss(x):
        pixels = x.reshape(-1, 6)
        root = _newton_schulz(np.cov(pixels, rowvar=False, bias=True), 5)
        return np.sum(root * weights)

    step = 1e-5
    x64 = x.astype(np.float64)
    expected = (loss(x64 + step * direction) - loss(x64 - step * direction)) / (
        2 * step
    )
    gradient = jax.jit(jax.grad(lambda x: jnp.sum(covariance_pool(x)[0] * weights)))(x)
    np.testing.assert_allclose(np.sum(gradient * direction), expected, rtol=1e-3)


# Zeros, a constant whose mean rounds, and a single pixel.
@pytest.mark.parametrize(
    "x", [np.zeros((1, 4, 4, 8)), np.full((1, 7, 3, 8), 0.1), np.ones((1, 1, 1, 8))]
)
def test_covariance_pool_of_constant_features_is_finite(x):
    pooled = jax.jit(jax.value_and_grad(lambda x: jnp.sum(covariance_pool(x))))
    value, gradient = pooled(jnp.asarray(x, jnp.float32))
    np.testing.assert_allclose(value, 0.0, atol=1e-6)
    assert np.all(np.isfinite(gradient))


def test_covariance_pool_is_float32_in_bfloat16_networks():
    x = jnp.asarray(_features(), jnp.bfloat16)
    got = covariance_pool(x)
    assert got.dtype == jnp.float32
    np.testing.assert_array_equal(got, covariance_pool(x.astype(jnp.float32)))


def test_matrix_sqrt_refuses_no_iterations():
    with pytest.raises(ValueError, match="iterations must be at least 1, got 0"):
        matrix_sqrt(jnp.eye(3)[None], iterations=0)
