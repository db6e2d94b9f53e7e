"""CBAM against its equations, written out in NumPy."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxsr.layers.cbam import CBAM


def _sigmoid(x):
    return 1 / (1 + np.exp(-x))


def _reference(params, x):
    """Equations 2 and 3 of arXiv 1807.06521, channel gate first, pixel by pixel."""

    def mlp(pooled):
        layers = params["channel"]["mlp"]
        squeeze, expand = layers["squeeze"], layers["expand"]
        hidden = np.maximum(pooled @ squeeze["kernel"] + squeeze["bias"], 0)
        return hidden @ expand["kernel"] + expand["bias"]

    gate = _sigmoid(mlp(x.mean((1, 2))) + mlp(x.max((1, 2))))
    x = x * gate[:, None, None, :]

    kernel = params["spatial"]["conv"]["kernel"]
    maps = np.stack([x.max(-1), x.mean(-1)], axis=-1)
    padded = np.pad(maps, ((0, 0), (3, 3), (3, 3), (0, 0)))
    gate = np.zeros(x.shape[:3])
    for row in range(x.shape[1]):
        for column in range(x.shape[2]):
            window = padded[:, row : row + 7, column : column + 7]
            gate[:, row, column] = (window * kernel[..., 0]).sum((1, 2, 3))
    return x * _sigmoid(gate)[..., None]


@pytest.mark.parametrize("shape", [(2, 9, 6, 8), (1, 1, 1, 4)])
def test_cbam_equals_its_equations(shape):
    rng = np.random.default_rng(0)
    x = rng.normal(size=shape).astype(np.float32)
    layer = CBAM(reduction=4)
    variables = layer.init(jax.random.key(0), jnp.asarray(x))
    variables = jax.tree.map(
        lambda p: p + rng.normal(0, 0.3, p.shape).astype(np.float32), variables
    )
    y = layer.apply(variables, jnp.asarray(x))
    reference = _reference(jax.device_get(variables["params"]), x)
    np.testing.assert_allclose(y, reference, rtol=1e-5, atol=1e-6)


def test_cbam_parameters_at_64_features():
    # 580 of the shared MLP with biases, 98 of the 7x7 convolution of two maps.
    shapes = jax.eval_shape(CBAM().init, jax.random.key(0), jnp.zeros((1, 4, 4, 64)))
    assert sum(leaf.size for leaf in jax.tree.leaves(shapes)) == 678
