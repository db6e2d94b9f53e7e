"""AMMS beyond what tests/test_networks.py asks of every network."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxsr.errors import InputError
from jaxsr.imaging import imresize_jnp
from jaxsr.models import create
from jaxsr.models.amms import AMMS

pytestmark = pytest.mark.usefixtures("strict")

_TINY: dict[str, Any] = {"features": 8, "depth": 1, "reduction": 2}
_SWITCHES = ("non_local", "second_order", "multi_scale")


def _images(height, width, channels=3):
    generator = np.random.default_rng(0)
    return jnp.asarray(generator.random((2, height, width, channels), np.float32))


def _perturbed(model, lr):
    """Initial parameters plus noise.

    At the start the output is bicubic alone: the last convolution and each non-local
    block's are zero, so whatever lies before them has no effect and no gradient.
    """
    variables = model.init(jax.random.key(0), lr)
    noise = np.random.default_rng(1)
    return jax.tree.map(
        lambda leaf: leaf + noise.normal(0, 0.05, leaf.shape).astype(np.float32),
        variables,
    )


def _has_effect(parameter: str) -> bool:
    """Whether the softmax does not take it away (tests/layers/test_non_local.py)."""
    return not parameter.endswith("non_local/phi/bias")


def _count(**fields: Any) -> int:
    model = AMMS(scale=2, **fields)
    shapes = jax.eval_shape(model.init, jax.random.key(0), jnp.zeros((1, 8, 8, 3)))
    return sum(leaf.size for leaf in jax.tree.leaves(shapes))


def test_mlrn_is_another_name_of_amms():
    assert create("mlrn", scale=3, **_TINY) == create("amms", scale=3, **_TINY)


@pytest.mark.parametrize("scale", [2, 3, 4])
def test_amms_starts_as_bicubic(scale):
    lr = _images(6, 5)
    sr, _ = AMMS(scale=scale, **_TINY).init_with_output(jax.random.key(0), lr)
    np.testing.assert_allclose(sr, imresize_jnp(lr, scale), atol=1e-6)


@pytest.mark.parametrize("shape", [(1, 1), (1, 7), (3, 2), (5, 9)])
def test_amms_takes_any_size(shape):
    lr = _images(*shape)
    model = AMMS(scale=3, **_TINY)
    sr: Any = model.apply(_perturbed(model, lr), lr)
    assert sr.shape == (2, 3 * shape[0], 3 * shape[1], 3)
    assert sr.dtype == jnp.float32
    assert np.isfinite(sr).all()


def test_amms_switches_take_their_parameters_away():
    """The counts of one module and of both fusions, worked out by hand."""
    c, inner, depth = 64, 8, 16
    non_local = 3 * (c * inner + inner) + inner * c + c
    second_order = (c * 4 + 4) + (4 * c + c)
    fuse = 2 * c * c + c
    branches = c * c * (1 + 25) + 2 * c + 2 * c * c
    full = _count()
    assert full - _count(non_local=False) == depth * (non_local + fuse)
    assert full - _count(second_order=False) == depth * (second_order + fuse)
    assert full - _count(multi_scale=False) == 2 * branches
    alone = _count(non_local=False, second_order=False)
    assert full - alone == depth * (non_local + second_order + fuse)


@pytest.mark.parametrize("switches", [(), *([name] for name in _SWITCHES)])
def test_amms_without_a_part_trains_every_parameter(switches):
    model = AMMS(scale=2, **{**_TINY, **dict.fromkeys(switches, False)})
    lr = _images(8, 6)
    variables = _perturbed(model, lr)
    weights = np.random.default_rng(2).normal(size=(2, 16, 12, 3)).astype(np.float32)

    def loss(variables):
        sr: Any = model.apply(variables, lr)
        return jnp.vdot(weights, sr)

    for path, gradient in jax.tree.leaves_with_path(jax.jit(jax.grad(loss))(variables)):
        label = jax.tree_util.keystr(path, simple=True, separator="/")
        assert np.isfinite(gradient).all(), label
        assert (np.abs(gradient).max() > 1e-6) == _has_effect(label), label


def test_amms_trains_from_its_start():
    """The zeros of the start hide no part for good: a few steps reach all of them."""
    model = AMMS(scale=2, **_TINY)
    lr = _images(8, 6)
    hr = _images(16, 12)
    start = model.init(jax.random.key(0), lr)

    @jax.jit
    def step(variables):
        def loss(variables):
            sr: Any = model.apply(variables, lr)
            return jnp.mean(jnp.square(sr - hr))

        gradients = jax.grad(loss)(variables)
        # As Adam does at first: by the sign, however small the gradient.
        return jax.tree.map(lambda p, g: p - 0.01 * jnp.sign(g), variables, gradients)

    variables = start
    for _ in range(4):
        variables = step(variables)
    moved = jax.tree.map(lambda a, b: np.any(np.asarray(a != b)), variables, start)
    for path, has_moved in jax.tree.leaves_with_path(moved):
        label = jax.tree_util.keystr(path, simple=True, separator="/")
        assert has_moved or not _has_effect(label), label


def test_amms_gradient_on_constant_image_is_finite():
    model = AMMS(scale=2, **_TINY)
    lr = jnp.full((1, 6, 6, 3), 0.5)
    variables = _perturbed(model, lr)

    def loss(variables):
        sr: Any = model.apply(variables, lr)
        return jnp.sum(sr)

    gradients = jax.jit(jax.grad(loss))(variables)
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(gradients))


def test_amms_without_image_skip_adds_the_mean_back():
    model = AMMS(scale=2, image_skip=False, **_TINY)
    lr = _images(4, 4)
    variables = model.init(jax.random.key(0), lr)
    silent = jax.tree.map(jnp.zeros_like, variables)
    sr: Any = model.apply(silent, lr)
    expected = np.broadcast_to(np.float32([0.4488, 0.4371, 0.4040]), sr.shape)
    np.testing.assert_array_equal(sr, expected)


def test_amms_on_luma_needs_a_mean_of_one_value():
    lr = _images(4, 4, channels=1)
    with pytest.raises(InputError, match="expected 1 values, got 3"):
        jax.eval_shape(AMMS(scale=2, channels=1).init, jax.random.key(0), lr)
    model = AMMS(scale=2, channels=1, mean=(0.45,), **_TINY)
    sr, _ = jax.eval_shape(model.init_with_output, jax.random.key(0), lr)
    assert sr.shape == (2, 8, 8, 1)
