"""The optimiser and its learning-rate schedule, from the config's `optimizer`
section."""

import re
from collections.abc import Mapping

import jax
import optax

from jaxsr.errors import InputError


def create_schedule(
    learning_rate: float,
    *,
    schedule: str = "constant",
    steps: int,
    halve_every: int = 200_000,
    decay_factor: float = 0.5,
    final_learning_rate: float = 0.0,
    warmup_steps: int = 0,
) -> optax.Schedule:
    """Returns the learning rate as a function of the step.

    Args:
        learning_rate: the rate after the warm-up.
        schedule: "constant"; "halving": times `decay_factor` after every `halve_every`
            steps, not below `final_learning_rate`; "cosine": from `learning_rate` at
            the end of the warm-up to `final_learning_rate` at step `steps`.
        steps: length of the run; only "cosine" depends on it.
        warmup_steps: the rate rises linearly from 0 over the first so many steps.

    Raises:
        InputError: unknown schedule.
    """
    if schedule == "constant":
        rate = optax.constant_schedule(learning_rate)
    elif schedule == "halving":
        rate = optax.exponential_decay(
            learning_rate,
            transition_steps=halve_every,
            decay_rate=decay_factor,
            staircase=True,
            end_value=final_learning_rate,
        )
    elif schedule == "cosine":
        rate = optax.cosine_decay_schedule(
            learning_rate,
            decay_steps=max(steps - warmup_steps, 1),
            alpha=final_learning_rate / learning_rate,
        )
    else:
        raise InputError(
            f"optimizer.schedule: unknown schedule {schedule!r}, expected one of "
            "constant, halving, cosine"
        )
    if warmup_steps:
        warmup = optax.linear_schedule(0.0, learning_rate, warmup_steps)
        rate = optax.join_schedules([warmup, rate], [warmup_steps])
    return rate


def create_optimizer(
    schedule: optax.Schedule,
    *,
    name: str = "adam",
    b1: float = 0.9,
    b2: float = 0.999,
    eps: float = 1e-8,
    momentum: float = 0.9,
    weight_decay: float = 0.0,
    clip_norm: float = 0.0,
    clip_update: float = 0.0,
    layer_rates: Mapping[str, float] | None = None,
) -> optax.GradientTransformation:
    """Returns the optimiser.

    Args:
        schedule: learning rate as a function of the step.
        name: "adam" or "sgd" (with `momentum`).
        weight_decay: L2 penalty, `weight_decay * parameter` added to the gradient, as
            the Caffe and PyTorch recipes of the field have it; 0 is none.
        clip_norm: gradients are scaled down to this global norm; 0 is no clipping.
        clip_update: each entry of the gradient is clipped to
            `[-clip_update / rate, clip_update / rate]`, so that no update passes
            `clip_update` (VDSR, Sec. 3.3); 0 is no clipping.
        layer_rates: regular expression -> factor on the learning rate of those
            parameters whose path ("tail/kernel") it matches in full; the first wins.

    Raises:
        InputError: unknown optimiser.
    """
    parts = []
    if clip_norm:
        parts.append(optax.clip_by_global_norm(clip_norm))
    if clip_update:
        parts.append(_clip_by_rate(schedule, clip_update))
    if weight_decay:
        parts.append(optax.add_decayed_weights(weight_decay))
    if name == "adam":
        parts.append(optax.scale_by_adam(b1=b1, b2=b2, eps=eps))
    elif name == "sgd":
        parts.append(optax.trace(decay=momentum))
    else:
        raise InputError(
            f"optimizer.name: unknown optimiser {name!r}, expected one of adam, sgd"
        )
    if layer_rates:
        parts.append(_scale_layers(dict(layer_rates)))
    parts.append(optax.scale_by_learning_rate(schedule))
    return optax.chain(*parts)


def _clip_by_rate(schedule: optax.Schedule, limit: float):
    def update(updates, state, params=None):
        del params
        bound = limit / schedule(state.count)
        updates = jax.tree.map(lambda g: g.clip(-bound, bound), updates)
        return updates, optax.ScaleByScheduleState(
            count=optax.safe_increment(state.count)
        )

    return optax.GradientTransformation(
        lambda params: optax.ScaleByScheduleState(
            count=jax.numpy.zeros([], jax.numpy.int32)
        ),
        update,
    )


def _scale_layers(rates: dict[str, float]) -> optax.GradientTransformation:
    def factor(path: str) -> float:
        for pattern, rate in rates.items():
            if re.fullmatch(pattern, path):
                return rate
        return 1.0

    def scale(updates):
        return jax.tree.map_with_path(
            lambda path, g: (
                factor(jax.tree_util.keystr(path, simple=True, separator="/")) * g
            ),
            updates,
        )

    return optax.stateless(lambda updates, params: scale(updates))
