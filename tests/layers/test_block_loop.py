"""Rolled and rematerialised blocks compute what plain ones do."""

import dataclasses
import functools
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxsr.layers.block_loop import BlockLoop
from tests.test_networks import (
    NETWORKS,
    perturbed_variables,
    random_images,
    tiny_model,
)

REMAT = BlockLoop(remat=True)
ROLL = BlockLoop(roll=True)
BOTH = BlockLoop(remat=True, roll=True)
LOOPED = [
    name
    for name in NETWORKS
    if name not in ("edsr_baseline", "rcbam_lite")  # other sizes of edsr and rcbam
    and "block_loop" in {field.name for field in dataclasses.fields(tiny_model(name))}
]


@functools.cache
def _value_and_gradients(name: str, loop: BlockLoop) -> Any:
    model = tiny_model(name).clone(block_loop=loop)
    lr = random_images(model, 8, 9)
    variables = dict(perturbed_variables(name))
    params = variables.pop("params")
    weights = np.random.default_rng(3).normal(size=(2, 16, 18, 3)).astype(np.float32)

    def loss(params):
        sr, new = model.apply(
            {"params": params, **variables}, lr, train=True, mutable=list(variables)
        )
        return jnp.vdot(weights, sr), (sr, new)

    options = {"xla_backend_optimization_level": 0}  # compiles in half the time
    gradient = jax.value_and_grad(loss, has_aux=True)
    return jax.jit(gradient, compiler_options=options)(params)


@pytest.mark.parametrize(
    ("name", "loop"),
    [
        ("edsr", ROLL),
        ("rcan", BOTH),
        ("rcbam", BOTH),
        ("san", BOTH),
        ("srresnet", REMAT),
        ("srresnet", BOTH),
    ],
    ids=str,
)
def test_block_loop_changes_no_output_statistic_or_gradient(name, loop):
    expected = _value_and_gradients(name, BlockLoop())
    found = _value_and_gradients(name, loop)
    assert jax.tree.structure(found) == jax.tree.structure(expected)
    others = {jax.tree_util.keystr(p): v for p, v in jax.tree.leaves_with_path(found)}
    # Biases in front of a batch normalisation have no gradient but rounding.
    largest = max(np.abs(leaf).max() for leaf in others.values())
    for path, leaf in jax.tree.leaves_with_path(expected):
        label = jax.tree_util.keystr(path)
        tolerance = 1e-4 * np.abs(leaf).max() + 1e-6 * largest
        np.testing.assert_allclose(others[label], leaf, atol=tolerance, err_msg=label)


@pytest.mark.parametrize("name", LOOPED)
def test_block_loop_keeps_types_in_bfloat16(name):
    model = tiny_model(name, dtype=jnp.bfloat16).clone(block_loop=BOTH)
    lr = jax.ShapeDtypeStruct((1, 8, 9, 3), jnp.float32)

    def gradient(key, lr):
        variables = dict(model.init(key, lr))
        params = variables.pop("params")
        return params, jax.grad(
            lambda params: model.apply({"params": params, **variables}, lr).sum()
        )(params)

    params, gradients = jax.eval_shape(gradient, jax.random.key(0), lr)
    assert gradients == params


def test_block_loop_networks():
    """Those whose blocks are modules of their own, equal and in a chain."""
    expected = ["amms", "edsr", "rcan", "rcbam", "san", "srresnet"]
    assert sorted(LOOPED) == expected


def test_block_loop_draws_the_same_parameters():
    lr = random_images(tiny_model("rcan"), 8, 9)
    key = jax.random.key(0, impl="unsafe_rbg")
    plain = tiny_model("rcan").init(key, lr)
    looped = tiny_model("rcan").clone(block_loop=BOTH).init(key, lr)
    jax.tree.map(np.testing.assert_array_equal, looped, plain)


class _Chain(nn.Module):
    """Blocks whose interior is large: `x + sum of squares of 64 times as much`."""

    depth: int
    loop: BlockLoop

    @nn.compact
    def __call__(self, x):
        blocks = [
            nn.Dense(64 * x.shape[-1], name=f"block{i}") for i in range(self.depth)
        ]
        return self.loop(blocks, x, lambda dense, x: x + _squares(dense(x), x.shape))


def _squares(y, shape):
    return jnp.square(y).reshape(*shape, -1).mean(-1)


def _compile(depth: int, loop: BlockLoop):
    x = jnp.ones((512, 8))
    net = _Chain(depth, loop)
    variables = net.init(jax.random.key(0), x)
    gradient = jax.jit(jax.grad(lambda v: net.apply(v, x).sum()))
    return gradient.lower(variables)


def test_block_loop_roll_compiles_one_block():
    def products(depth, loop):
        return _compile(depth, loop).as_text().count("dot_general")

    assert products(8, BlockLoop()) > products(4, BlockLoop())
    assert products(8, ROLL) == products(4, ROLL)


def test_block_loop_remat_keeps_only_inputs():
    # Rolled: XLA:CPU drops the barriers that keep the unrolled form from being merged
    # with the forward pass.
    def kept(loop):
        memory = _compile(8, loop).compile().memory_analysis()
        return memory.temp_size_in_bytes

    interior = 512 * 64 * 8 * 4
    assert kept(ROLL) > 8 * interior
    assert kept(BOTH) < 4 * interior


def test_block_loop_without_blocks_returns_its_input():
    assert ROLL([], 3.0) == 3.0


@pytest.mark.parametrize(("fewest", "rolled"), [(2, True), (3, False)])
def test_block_loop_rolls_from_so_many_blocks_on(fewest, rolled):
    model = tiny_model("edsr").clone(
        depth=2, block_loop=BlockLoop(roll=True, fewest=fewest)
    )
    lr = random_images(model, 8, 9)
    variables = jax.eval_shape(model.init, jax.random.key(0), lr)
    program = str(jax.make_jaxpr(model.apply)(variables, lr))
    assert ("scan[" in program) == rolled
