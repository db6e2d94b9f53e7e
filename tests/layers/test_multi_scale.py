"""Multi-scale fusion: reach of the branches, residual, parameters."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxsr.layers.multi_scale import MultiScaleFusion


@pytest.mark.parametrize(("sizes", "reach"), [((1, 3, 5), 2), ((3,), 1)])
def test_multi_scale_fusion_reaches_as_far_as_its_kernels(sizes, reach):
    module = MultiScaleFusion(sizes)
    x = jax.random.normal(jax.random.key(0), (1, 9, 9, 4))
    out, variables = jax.jit(module.init_with_output)(jax.random.key(1), x)
    # Large, so that ReLU does not hide the change everywhere.
    moved = jax.jit(module.apply)(variables, x.at[0, 4, 4].add(50.0))
    changed = np.any(np.asarray(moved != out), axis=(0, 3))
    expected = np.zeros((9, 9), bool)
    expected[4 - reach : 5 + reach, 4 - reach : 5 + reach] = True
    np.testing.assert_array_equal(changed, expected)


def test_multi_scale_fusion_equals_formula_for_pointwise_branch():
    module = MultiScaleFusion((1,))
    x = jax.random.normal(jax.random.key(0), (2, 3, 5, 4))
    got, variables = jax.jit(module.init_with_output)(jax.random.key(1), x)
    x, params = jax.device_get((x, variables["params"]))
    conv, fuse = params["conv1"], params["fuse"]
    branch = np.maximum(x @ conv["kernel"][0, 0] + conv["bias"], 0)
    expected = x + branch @ fuse["kernel"][0, 0] + fuse["bias"]
    np.testing.assert_allclose(got, expected, atol=1e-6)


def test_multi_scale_fusion_parameter_count():
    shapes = jax.eval_shape(
        MultiScaleFusion().init, jax.random.key(0), jnp.zeros((1, 5, 5, 64))
    )
    branches = 64 * 64 * (1 + 9 + 25) + 3 * 64
    fuse = 3 * 64 * 64 + 64
    assert sum(leaf.size for leaf in jax.tree.leaves(shapes)) == branches + fuse


def test_multi_scale_fusion_keeps_bfloat16():
    module = MultiScaleFusion(dtype=jnp.bfloat16)
    x = jnp.ones((1, 5, 5, 4), jnp.bfloat16)
    got, variables = jax.jit(module.init_with_output)(jax.random.key(1), x)
    assert got.dtype == jnp.bfloat16
    assert {leaf.dtype for leaf in jax.tree.leaves(variables)} == {jnp.dtype("float32")}
