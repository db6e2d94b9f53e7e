import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxsr.layers.transposed_convolution import TransposedConv


def _scatter(x, kernel, bias, stride, crop):
    """The definition: every input pixel adds the kernel, times its value."""
    n, h, w, _ = x.shape
    k, features = kernel.shape[0], kernel.shape[-1]
    canvas = np.zeros((n, stride * h + k + crop, stride * w + k + crop, features))
    for i in range(h):
        for j in range(w):
            patch = np.einsum("nc,abcf->nabf", x[:, i, j], kernel)
            canvas[:, stride * i :, stride * j :][:, :k, :k] += patch
    return canvas[:, crop:, crop:][:, : stride * h, : stride * w] + bias


# Of LapSRN (paper, released), FSRCNN at x2 and x3, and one with gaps.
@pytest.mark.parametrize(
    ("kernel_size", "stride", "crop"),
    [(4, 2, 1), (3, 2, 0), (9, 2, 4), (9, 3, 4), (2, 3, 0)],
)
def test_transposed_conv_equals_its_definition(kernel_size, stride, crop):
    rng = np.random.default_rng(0)
    x = rng.standard_normal((2, 4, 3, 2)).astype(np.float32)
    kernel = rng.standard_normal((kernel_size, kernel_size, 2, 5)).astype(np.float32)
    bias = rng.standard_normal(5).astype(np.float32)
    layer = TransposedConv(5, kernel_size, stride=stride, crop=crop)
    shapes = jax.eval_shape(layer.init, jax.random.key(0), jnp.asarray(x))["params"]
    assert shapes["kernel"].shape == kernel.shape
    params = {"kernel": kernel, "bias": bias}
    y = jax.jit(layer.apply)({"params": params}, jnp.asarray(x))
    np.testing.assert_allclose(y, _scatter(x, kernel, bias, stride, crop), atol=1e-5)
