"""The learning rate as a function of the step, from the config's `schedule` section."""

import inspect
import logging

import jax.numpy as jnp
import optax

from jaxsr.errors import InputError

_log = logging.getLogger(__name__)

# What each schedule takes beside the rate, the warm-up and the run's length.
_TAKEN = {
    "constant": (),
    "halving": ("halve_every", "decay_factor", "final_learning_rate"),
    "cosine": ("final_learning_rate",),
    "wsd": ("decay_steps", "final_learning_rate"),
}


def create_schedule(
    learning_rate: float,
    *,
    schedule: str = "halving",
    steps: int,
    halve_every: int = 200_000,
    decay_factor: float = 0.5,
    final_learning_rate: float = 0.0,
    warmup_steps: int = 0,
    decay_steps: int = 0,
) -> optax.Schedule:
    """Returns the learning rate as a function of the step.

    A value that plays no part in the schedule, as `decay_steps` in "halving", is told
    of.

    Args:
        learning_rate: the rate after the warm-up.
        schedule: "constant"; "halving": times `decay_factor` after every `halve_every`
            steps, not below `final_learning_rate`; "cosine": from `learning_rate` at
            the end of the warm-up to `final_learning_rate` at step `steps`; "wsd"
            (warm-up, stable, decay): constant until the last `decay_steps` of `steps`,
            or what the warm-up leaves of them, then falling as 1 - sqrt, which is the
            best of those that Haegele et al. (2024), https://arxiv.org/abs/2405.18392,
            compare. How long the run is may be decided while it goes on, as long as the
            fall has not begun.
        steps: length of the run; "cosine" and the end of "wsd" depend on it.
        warmup_steps: the rate rises linearly from 0 over the first so many steps.

    Raises:
        InputError: unknown schedule.
    """
    if schedule not in _TAKEN:
        raise InputError(
            f"schedule.schedule: unknown schedule {schedule!r}, expected one of "
            f"{', '.join(_TAKEN)}"
        )
    defaults = inspect.signature(create_schedule).parameters
    for key, value in {
        "halve_every": halve_every,
        "decay_factor": decay_factor,
        "final_learning_rate": final_learning_rate,
        "decay_steps": decay_steps,
    }.items():
        if key not in _TAKEN[schedule] and value != defaults[key].default:
            _log.warning(
                "schedule.%s: %g plays no part in schedule %r", key, value, schedule
            )
    # A factor of 1 is for optax a growth, to which the final rate would be the bound.
    if schedule == "constant" or (schedule == "halving" and decay_factor == 1):
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
    else:  # wsd
        # Counted from the end of the warm-up, as all of them.
        after_warmup = max(steps - warmup_steps, 0)
        decay_steps = min(decay_steps, after_warmup)
        fall = _square_root_decay(learning_rate, final_learning_rate, decay_steps)
        begin = after_warmup - decay_steps
        stable = optax.constant_schedule(learning_rate)
        rate = optax.join_schedules([stable, fall], [begin])
    if warmup_steps:
        warmup = optax.linear_schedule(0.0, learning_rate, warmup_steps)
        rate = optax.join_schedules([warmup, rate], [warmup_steps])
    return rate


def _square_root_decay(start: float, end: float, steps: int) -> optax.Schedule:
    def rate(count):
        share = jnp.clip(count / max(steps, 1), 0.0, 1.0)
        return end + (start - end) * (1.0 - jnp.sqrt(share))

    return rate
