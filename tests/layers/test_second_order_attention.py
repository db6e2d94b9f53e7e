"""SOCA against its formula."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxsr.layers.covariance_pooling import covariance_pool
from jaxsr.layers.second_order_attention import SecondOrderAttention


@pytest.fixture
def features():
    scale = jnp.linspace(0.1, 2.0, 32)[None, None, None]
    return scale * jax.random.normal(jax.random.key(0), (2, 9, 7, 32))


def _gate(params, x):
    params = jax.device_get(params)
    z = np.asarray(covariance_pool(x)).mean(axis=1)
    squeeze, expand = params["mlp"]["squeeze"], params["mlp"]["expand"]
    hidden = np.maximum(z @ squeeze["kernel"] + squeeze["bias"], 0)
    return 1 / (1 + np.exp(-(hidden @ expand["kernel"] + expand["bias"])))


def test_second_order_attention_equals_formula(features):
    module = SecondOrderAttention(reduction=8)
    got, variables = jax.jit(module.init_with_output)(jax.random.key(1), features)
    gate = _gate(variables["params"], features)
    np.testing.assert_allclose(got, features * gate[:, None, None], atol=1e-6)


def test_second_order_attention_crop_sees_centre(features):
    module = SecondOrderAttention(reduction=8, crop=4)
    got, variables = jax.jit(module.init_with_output)(jax.random.key(1), features)
    # SAN starts at (size - crop) // 2: rows 2 to 5 of 9, columns 1 to 4 of 7.
    gate = _gate(variables["params"], features[:, 2:6, 1:5])
    np.testing.assert_allclose(got, features * gate[:, None, None], atol=1e-6)


def test_second_order_attention_crop_leaves_small_maps(features):
    whole = SecondOrderAttention(reduction=8)
    variables = jax.jit(whole.init)(jax.random.key(1), features)
    cropped = SecondOrderAttention(reduction=8, crop=9)
    np.testing.assert_array_equal(
        cropped.apply(variables, features), whole.apply(variables, features)
    )


def test_second_order_attention_has_sans_parameters():
    shapes = jax.eval_shape(
        SecondOrderAttention().init, jax.random.key(0), jnp.zeros((1, 4, 4, 64))
    )
    assert sum(leaf.size for leaf in jax.tree.leaves(shapes)) == 580


def test_second_order_attention_in_bfloat16_gates_from_float32(features):
    module = SecondOrderAttention(reduction=8, dtype=jnp.bfloat16)
    variables = jax.jit(module.init)(jax.random.key(1), features)
    got = module.apply(variables, features.astype(jnp.bfloat16))
    assert got.dtype == jnp.bfloat16
    exact = SecondOrderAttention(reduction=8).apply(variables, features)
    np.testing.assert_allclose(got.astype(jnp.float32), exact, rtol=0.02, atol=1e-3)
