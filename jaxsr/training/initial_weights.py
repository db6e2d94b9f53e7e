"""The weights that a new run starts from."""

import logging
from typing import Any

import jax
import optax

from jaxsr import models
from jaxsr.errors import InputError, named
from jaxsr.loading import load_weights
from jaxsr.models import Network
from jaxsr.models.variables import abstract_variables
from jaxsr.training.state import TrainState, start_from

_log = logging.getLogger(__name__)


def start(
    source: str | None,
    model: Network,
    state: TrainState,
    optimizer: optax.GradientTransformation,
) -> TrainState:
    """Returns the state of a new run, with the weights that it starts from, if any."""
    if not source:
        return state
    variables = load_initial_weights(source, model)
    with named(f"train.init_from: {source}"):
        state, anew = start_from(state, variables, optimizer)
    total = len(jax.tree.leaves(state.variables()))
    _log.info(
        "starting from %s (%d of %d variables); anew: %s",
        source,
        total - len(anew),
        total,
        ", ".join(anew) or "nothing",
    )
    return state


def load_initial_weights(source: str, model: Network) -> dict[str, Any]:
    """Returns the variables that a run starts from, of a network of the model's kind.

    Fields may differ, `scale` among them, and with them some shapes.

    Args:
        source: a spec, see the top of the module.
        model: the network that is to start from them.

    Raises:
        InputError: no such thing, or one of another network.
    """
    with named("train.init_from"):
        weights = load_weights(source)
        other = models.create(weights.network, **weights.fields)
    # A subclass is the same network with other fields, such as edsr_baseline of edsr.
    if not (isinstance(other, type(model)) or isinstance(model, type(other))):
        raise InputError(
            f"train.init_from: {source}: expected weights of {type(model).__name__}, "
            f"got {type(other).__name__}"
        )
    for name, value in _differently_used(model, other).items():
        _log.warning(
            "train.init_from: %s: its %s is %s, here it is %s: the same parameters "
            "compute something else (--config.model.%s)",
            source,
            name,
            getattr(other, name),
            value,
            name,
        )
    return dict(weights.variables)


def _differently_used(model: Network, other: Network) -> dict[str, Any]:
    """Returns the model's fields that differ though its variables would be the same.

    Not `scale`, at which networks are trained further.
    """
    own, others = models.fields_of(model), models.fields_of(other)
    return {
        name: value
        for name, value in own.items()
        if name != "scale"
        and others.get(name, value) != value
        and _variables_stay(model, name, others[name])
    }


def _variables_stay(model: Network, name: str, value: Any) -> bool:
    try:
        changed = abstract_variables(model.clone(**{name: value}))
    except InputError:  # it goes with another field of the other network
        return False
    return changed == abstract_variables(model)
