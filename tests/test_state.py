"""The state of a run, and what it takes over from other weights."""

import jax
import numpy as np
import optax
import pytest

from jaxsr.errors import InputError
from jaxsr.models import create
from jaxsr.training.mesh import create_mesh, replicate
from jaxsr.training.state import create_state, start_from

ADAM = optax.adam(1e-3)


def _state(scale, *, seed=0, use_ema=True, name="rcbam", optimizer=ADAM, **fields):
    fields = {"features": 8, "depth": 1, **fields}
    model = create(name, scale=scale, **fields)
    return create_state(model, optimizer, seed=seed, channels=3, use_ema=use_ema)


def _variables(state):
    return {"params": state.params, **state.model_state}


def test_start_from_same_network_takes_everything():
    mesh = create_mesh(8)
    state, other = replicate(_state(2), mesh), _state(2, seed=1)
    started, anew = start_from(state, jax.device_get(_variables(other)), ADAM)
    assert anew == []
    jax.tree.map(np.testing.assert_array_equal, started.params, other.params)
    jax.tree.map(np.testing.assert_array_equal, started.ema, other.params)
    for leaf in jax.tree.leaves((started.params, started.ema)):
        assert len(leaf.sharding.device_set) == mesh.size
    jax.tree.map(np.testing.assert_array_equal, started.opt_state, state.opt_state)
    assert int(started.step) == 0
    # The step gives the memory of both back: they must not share it.
    assert not any(
        jax.tree.leaves(
            jax.tree.map(
                np.shares_memory, *(jax.device_get((started.params, started.ema)))
            )
        )
    )


def test_start_from_another_scale_starts_the_tail_anew():
    state, other = _state(3, use_ema=False), _state(2, seed=1)
    started, anew = start_from(state, _variables(other), ADAM)
    assert anew == ["params/tail/bias", "params/tail/kernel"]
    assert started.ema == {}
    for name, leaf in started.params.items():
        expected = state.params if name == "tail" else other.params
        jax.tree.map(np.testing.assert_array_equal, leaf, expected[name])


def test_start_from_takes_statistics():
    fields = {"name": "srresnet", "features": 4, "depth": 1}
    state, other = _state(2, **fields), _state(4, seed=1, **fields)
    variables = jax.tree.map(lambda x: x + 1, _variables(other))
    started, _ = start_from(state, variables, ADAM)
    assert jax.tree.leaves(started.model_state)
    jax.tree.map(
        np.testing.assert_array_equal,
        started.model_state["batch_stats"],
        variables["batch_stats"],
    )


def test_start_from_float16_stays_float32():
    state, other = _state(2), _state(2, seed=1)
    half = jax.tree.map(lambda x: np.asarray(x, np.float16), _variables(other))
    started, _ = start_from(state, half, ADAM)
    assert {str(leaf.dtype) for leaf in jax.tree.leaves(started.params)} == {"float32"}


def test_start_from_nothing_in_common():
    with pytest.raises(InputError, match="no parameter fits"):
        start_from(_state(2, features=12), {"params": {"other": np.ones(3)}}, ADAM)


@pytest.mark.parametrize("optimizer", ["schedule_free_adamw", "prodigy"])
def test_start_from_begins_the_optimiser_from_the_same_parameters(optimizer):
    optimizer = getattr(optax.contrib, optimizer)(1e-6)
    mesh = create_mesh(8)
    state = replicate(_state(2, optimizer=optimizer), mesh)
    other = _state(2, seed=1)
    started, _ = start_from(state, _variables(other), optimizer)
    kept = [
        leaf
        for leaf in jax.tree.leaves(started.opt_state)
        if leaf.shape == (3, 3, 3, 8) and leaf.any()
    ]
    assert kept  # the optimiser's own copy of the head's kernel
    for leaf in kept:
        np.testing.assert_array_equal(leaf, other.params["head"]["kernel"])
    # It may be given back apart from the parameters.
    places = [
        {shard.data.unsafe_buffer_pointer() for shard in leaf.addressable_shards}
        for leaf in jax.tree.leaves((started.params, started.opt_state))
        if leaf.size > 1
    ]
    assert len(set().union(*places)) == sum(map(len, places))
