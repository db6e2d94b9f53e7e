"""Training steps for the benchmarks, dispatched as training does on the same device."""

import dataclasses
from collections.abc import Callable
from typing import Any

import jax
import numpy as np
import optax
from jax.sharding import Mesh
from measuring import on_accelerator

from jaxsr.models import Network
from jaxsr.training.losses import l1
from jaxsr.training.mesh import replicate
from jaxsr.training.state import create_state
from jaxsr.training.step import Batch, Draw, make_step, map_steps


def steps_per_dispatch() -> int:
    """Returns what `jaxsr.training.cadence` chooses: several on accelerators."""
    return 16 if on_accelerator() else 1


def make_steps(
    model: Network,
    data: Any,
    draw: Draw,
    *,
    batch_size: int,
    mesh: Mesh,
    params: Any = None,
) -> Callable[[], np.ndarray]:
    """Returns a function that does one dispatch of Adam steps on L1.

    It goes on from where it left off, waits for the devices and returns the losses.

    Args:
        data: what batches are drawn from; put on every device.
        draw: see `jaxsr.training.step.Draw`.
        params: where training starts; by default drawn.
    """
    optimizer = optax.adam(1e-4)
    step = make_step(model, optimizer, l1, ema_decay=0.0)
    steps = map_steps(step, mesh=mesh, draw=draw, batch_size=batch_size)
    state = create_state(model, optimizer, seed=0, channels=3, use_ema=False)
    if params is not None:
        state = dataclasses.replace(state, params=params)
    held, data = [replicate(state, mesh)], replicate(data, mesh)

    def run() -> np.ndarray:
        held[0], metrics = steps(held[0], data, steps_per_dispatch())
        return np.atleast_1d(metrics["loss"])

    return run


def take(batch: Batch, step: jax.Array, rows: jax.Array) -> Batch:
    """A `Draw` from a batch that is there, the same at every step."""
    del step
    return {name: images[rows] for name, images in batch.items()}


def random_batch(size: int, patch: int, *, scale: int) -> dict[str, np.ndarray]:
    """Returns noise, `{"lr": uint8 [N, p, p, 3], "hr": uint8 [N, s*p, s*p, 3]}`."""
    rng = np.random.default_rng(0)
    return {
        name: rng.integers(0, 256, (size, side, side, 3), np.uint8)
        for name, side in (("lr", patch), ("hr", scale * patch))
    }
