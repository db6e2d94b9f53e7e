"""The blocked attention against the plain formula, and the block around it."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxsr.layers.non_local import NonLocal, attention


def _plain_attention(queries, keys, values):
    scores = jnp.einsum("nqd,nkd->nqk", queries, keys, precision="highest")
    weights = jax.nn.softmax(scores, axis=-1)
    return jnp.einsum("nqk,nkd->nqd", weights, values, precision="highest")


def _inputs(n=2, q=37, k=29, d=8, dtype=jnp.float32):
    keys = jax.random.split(jax.random.key(0), 3)
    lengths = (q, k, k)
    return [
        jax.random.normal(key, (n, length, d), dtype)
        for key, length in zip(keys, lengths, strict=True)
    ]


def _noisy(variables, size=0.1):
    """Moves every parameter off its start, which for W_z is zero."""
    leaves, tree = jax.tree.flatten(variables)
    keys = jax.random.split(jax.random.key(7), len(leaves))
    leaves = [
        leaf + size * jax.random.normal(key, leaf.shape)
        for leaf, key in zip(leaves, keys, strict=True)
    ]
    return jax.tree.unflatten(tree, leaves)


# One block; 4 blocks of 10 and 9 queries (3 rows of padding); one query at a time.
@pytest.mark.parametrize("block_scores", [2**22, 2 * 29 * 10, 1])
def test_attention_equals_plain_formula(block_scores):
    inputs = _inputs()
    got = jax.jit(partial(attention, block_scores=block_scores))(*inputs)
    np.testing.assert_allclose(got, _plain_attention(*inputs), atol=1e-5)


@pytest.mark.parametrize("block_scores", [2**22, 2 * 29 * 10, 1])
def test_attention_gradient_equals_plain_formula(block_scores):
    inputs = _inputs()
    target = jax.random.normal(jax.random.key(1), inputs[0].shape)

    def gradient(function):
        def loss(*a):
            return jnp.sum(function(*a) * target)

        return jax.jit(jax.grad(loss, argnums=(0, 1, 2)))(*inputs)

    got = gradient(partial(attention, block_scores=block_scores))
    for actual, expected in zip(got, gradient(_plain_attention), strict=True):
        np.testing.assert_allclose(actual, expected, atol=1e-5)


def test_attention_survives_large_scores():
    queries, keys, values = _inputs()
    got = attention(1e3 * queries, 1e3 * keys, values, block_scores=500)
    best = jnp.argmax(jnp.einsum("nqd,nkd->nqk", queries, keys), axis=-1)
    np.testing.assert_allclose(
        got, jnp.take_along_axis(values, best[..., None], axis=1), atol=1e-5
    )


def test_attention_in_bfloat16_sums_in_float32():
    # 4096 equal weights: a bfloat16 sum of them would stop at 256.
    queries = jnp.zeros((1, 3, 8), jnp.bfloat16)
    values = jnp.ones((1, 4096, 8), jnp.bfloat16)
    got = attention(queries, values, values, block_scores=4096)
    assert got.dtype == jnp.bfloat16
    np.testing.assert_array_equal(got.astype(jnp.float32), 1.0)


@pytest.mark.skipif(jax.default_backend() != "gpu", reason="flash attention: GPU only")
def test_attention_on_gpu_equals_plain_formula():
    inputs = _inputs(q=256, k=128, dtype=jnp.bfloat16)
    expected = _plain_attention(*(x.astype(jnp.float32) for x in inputs))
    got = attention(*inputs).astype(jnp.float32)
    np.testing.assert_allclose(got, expected, atol=2e-2)


@pytest.mark.parametrize("backward", [False, True])
def test_non_local_memory_on_512_square(backward):
    """Under 2 GiB for 512x512x64 with every pixel a key; the matrix is 256 GiB."""
    block = NonLocal()
    x = jax.ShapeDtypeStruct((1, 512, 512, 64), jnp.float32)
    variables = jax.eval_shape(block.init, jax.random.key(0), x)

    def loss(variables, x):
        return jnp.sum(jnp.square(block.apply(variables, x)))

    function = jax.grad(loss, argnums=(0, 1)) if backward else block.apply
    memory = jax.jit(function).lower(variables, x).compile().memory_analysis()
    total = (
        memory.argument_size_in_bytes
        + memory.output_size_in_bytes
        + memory.temp_size_in_bytes
    )
    assert total < 2**31


@pytest.mark.parametrize("pool", ["none", "before", "after"])
def test_non_local_is_identity_at_start(pool):
    x = jax.random.normal(jax.random.key(0), (2, 7, 6, 8))
    block = NonLocal(regions=2, pool=pool)
    got, _ = jax.jit(block.init_with_output)(jax.random.key(1), x)
    np.testing.assert_array_equal(got, x)


def _reference(params, x, pool, scaled):
    """The paper's formula in float64 NumPy, for one region of `[h, w, c]`."""
    params = jax.tree.map(lambda p: np.asarray(p, np.float64), params)

    def convolve(name, y):
        return y @ params[name]["kernel"][0, 0] + params[name]["bias"]

    def shrink(y):
        h, w = (length // 2 for length in y.shape[:2])
        return y[: 2 * h, : 2 * w].reshape(h, 2, w, 2, -1).max(axis=(1, 3))

    x = np.asarray(x, np.float64)
    source = shrink(x) if pool == "before" else x
    phi, g = convolve("phi", source), convolve("g", source)
    if pool == "after":
        phi, g = shrink(phi), shrink(g)
    inner = g.shape[-1]
    scores = convolve("theta", x).reshape(-1, inner) @ phi.reshape(-1, inner).T
    if scaled:
        scores /= np.sqrt(inner)
    weights = np.exp(scores - scores.max(axis=1, keepdims=True))
    weights /= weights.sum(axis=1, keepdims=True)
    mixed = (weights @ g.reshape(-1, inner)).reshape(*x.shape[:2], inner)
    return x + convolve("out", mixed)


@pytest.mark.parametrize("scaled", [False, True])
@pytest.mark.parametrize("pool", ["none", "before", "after"])
def test_non_local_equals_reference(pool, scaled):
    x = jax.random.normal(jax.random.key(0), (1, 7, 6, 8))
    block = NonLocal(4, pool=pool, scaled=scaled)
    variables = _noisy(jax.jit(block.init)(jax.random.key(1), x))
    expected = _reference(variables["params"], x[0], pool, scaled)
    np.testing.assert_allclose(
        jax.jit(block.apply)(variables, x)[0], expected, atol=1e-5
    )


@pytest.mark.parametrize("pool", ["none", "before", "after"])
def test_non_local_bias_of_phi_has_no_effect(pool):
    """It adds the same to all scores of a query; the softmax takes that away."""
    x = jax.random.normal(jax.random.key(0), (1, 7, 6, 8))
    block = NonLocal(4, pool=pool)
    params = _noisy(jax.jit(block.init)(jax.random.key(1), x))["params"]

    def mixed(name):
        bias = params[name]["bias"] + jnp.arange(1.0, 5.0)
        moved = {**params, name: {**params[name], "bias": bias}}
        return block.apply({"params": moved}, x) - x

    plain = block.apply({"params": params}, x) - x
    np.testing.assert_allclose(mixed("phi"), plain, atol=1e-6)
    for name in ("theta", "g"):
        assert np.abs(mixed(name) - plain).max() > 1e-3, name


# Four equal quarters, which go as one batch, and four unequal ones.
@pytest.mark.parametrize("shape", [(8, 6), (9, 7)])
def test_non_local_region_sees_only_itself(shape):
    h, w = shape
    x = jax.random.normal(jax.random.key(0), (2, h, w, 8))
    block = NonLocal(4, regions=2, pool="after")
    variables = _noisy(jax.jit(block.init)(jax.random.key(1), x))
    got = np.asarray(jax.jit(block.apply)(variables, x))
    halves = [(slice(n // 2), slice(n // 2, n)) for n in (h, w)]
    for rows in halves[0]:
        for columns in halves[1]:
            for image in range(2):
                region = x[image, rows, columns]
                expected = _reference(variables["params"], region, "after", False)
                np.testing.assert_allclose(
                    got[image, rows, columns], expected, atol=1e-5
                )


@pytest.mark.parametrize("shape", [(1, 1), (1, 9), (3, 2), (4, 1)])
def test_non_local_takes_tiny_maps(shape):
    x = jax.random.normal(jax.random.key(0), (1, *shape, 8))
    block = NonLocal(regions=2, pool="after")
    variables = _noisy(jax.jit(block.init)(jax.random.key(1), x))
    got = jax.jit(block.apply)(variables, x)
    assert got.shape == x.shape
    assert jnp.all(jnp.isfinite(got)) and not jnp.array_equal(got, x)


def test_non_local_parameter_counts_of_papers():
    """ARCHITECTURES: 8,352 at half the features, 2,136 for SAN's 64 -> 8."""
    x = jnp.zeros((1, 4, 4, 64))
    for block, expected in [(NonLocal(), 8_352), (NonLocal(8, regions=2), 2_136)]:
        shapes = jax.eval_shape(block.init, jax.random.key(0), x)
        assert sum(leaf.size for leaf in jax.tree.leaves(shapes)) == expected


def test_non_local_unknown_pool_is_refused():
    block = NonLocal(pool="max")
    with pytest.raises(ValueError, match="pool: expected 'none', 'before' or 'after'"):
        block.init(jax.random.key(0), jnp.zeros((1, 4, 4, 8)))
