"""What a training run consists of at a step, and nothing else."""

import dataclasses
from collections.abc import Mapping
from typing import Any

import flax.struct
import jax
import jax.numpy as jnp
import numpy as np
import optax
from flax.traverse_util import flatten_dict, unflatten_dict

from jaxsr.errors import InputError
from jaxsr.models import Network


@flax.struct.dataclass
class TrainState:
    """All that decides how a run goes on.

    Random numbers and the position in the data stream are functions of the config's
    seed and of `step`, so they need no fields of their own.

    Attributes:
        step: int32 scalar, optimiser steps done.
        params: the parameters, float32.
        model_state: the network's other collections, such as "batch_stats"; often
            empty.
        opt_state: the optimiser's state.
        ema: exponential moving average of `params`, or an empty dict without EMA.
    """

    step: jax.Array
    params: Any
    model_state: Any
    opt_state: Any
    ema: Any

    def variables(self) -> dict[str, Any]:
        """Returns what `model.apply` takes for use, the average if there is one."""
        return {"params": self.ema or self.params, **self.model_state}


def non_finite(state: TrainState) -> list[str]:
    """Returns the names of the arrays with a value that is no finite number, such as
    "params/head/kernel"."""
    leaves = [
        (jax.tree_util.keystr(path, simple=True, separator="/"), leaf)
        for path, leaf in jax.tree.leaves_with_path(state)
        if jnp.issubdtype(leaf.dtype, jnp.inexact)
    ]
    # One small program for each shape, and one wait for the devices.
    finite = jax.device_get([_all_finite(leaf) for _, leaf in leaves])
    return [name for (name, _), good in zip(leaves, finite, strict=True) if not good]


@jax.jit
def _all_finite(array: jax.Array) -> jax.Array:
    return jnp.isfinite(array).all()


def create_state(
    model: Network,
    optimizer: optax.GradientTransformation,
    *,
    seed: int,
    channels: int,
    use_ema: bool,
) -> TrainState:
    """Returns the state at step 0; the same seed gives the same parameters."""

    # Not under jit: compiling thousands of random generators takes XLA minutes.
    # The smallest picture that every network takes; parameters do not depend on it.
    picture = jnp.zeros((1, 16, 16, channels))
    variables = dict(model.init(jax.random.key(seed), picture))
    params = variables.pop("params", {})
    return TrainState(
        step=jnp.zeros((), jnp.int32),
        params=params,
        model_state=variables,
        opt_state=_first_optimizer_state(optimizer, params),
        ema=jax.tree.map(jnp.copy, params) if use_ema else {},
    )


def _first_optimizer_state(optimizer: optax.GradientTransformation, params: Any) -> Any:
    # Copies: some optimisers keep the parameters that they start from, and the step
    # gives all of the state's memory back, once.
    return jax.tree.map(jnp.copy, optimizer.init(params))


def start_from(
    state: TrainState,
    variables: Mapping[str, Any],
    optimizer: optax.GradientTransformation,
) -> tuple[TrainState, list[str]]:
    """Returns the state with all of `variables` that fit, and the names of the others.

    A variable fits if the state has one of the same name and shape. The others of the
    state, whose names are returned, keep the values that they have. The moving average
    and the optimiser start from the same parameters.

    Raises:
        InputError: none of the parameters fits.
    """
    found: Any = flatten_dict(dict(variables), sep="/")
    own: Any = flatten_dict({"params": state.params, **state.model_state}, sep="/")
    fitting = {
        name: jax.device_put(np.asarray(found[name], leaf.dtype), leaf.sharding)
        for name, leaf in own.items()
        if name in found and found[name].shape == leaf.shape
    }
    if not any(name.startswith("params/") for name in fitting):
        raise InputError(
            "no parameter fits: none has the name and the shape of one of the network's"
        )
    model_state = unflatten_dict({**own, **fitting}, sep="/")
    params = model_state.pop("params")
    ema = jax.tree.map(jnp.copy, params) if state.ema else {}
    # Of parameters as they were before they were spread over devices.
    local = jax.tree.map(lambda leaf: jnp.asarray(np.asarray(leaf)), params)
    opt_state = jax.tree.map(
        lambda new, old: jax.device_put(new, old.sharding),
        _first_optimizer_state(optimizer, local),
        state.opt_state,
    )
    started = dataclasses.replace(
        state, params=params, model_state=model_state, opt_state=opt_state, ema=ema
    )
    return started, sorted(own.keys() - fitting.keys())
