"""The training loop: steps, measurements, checkpoints, and when to stop."""

import contextlib
import dataclasses
import math
import signal
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import jax
import numpy as np
from jax.sharding import Mesh

from jaxsr.errors import InputError
from jaxsr.training.checkpoints import Checkpoints
from jaxsr.training.mesh import shard_batch
from jaxsr.training.metric_log import MetricLog
from jaxsr.training.progress import Progress
from jaxsr.training.state import TrainState
from jaxsr.training.step import Metrics

# `evaluate(variables, step)` returns numbers to log, "psnr" (dB) among them: the one
# that ranks checkpoints.
Evaluate = Callable[[dict[str, Any], int], dict[str, float]]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Cadence:
    """When things happen, in steps; 0 means never (and at the end all the same).

    Attributes:
        steps: the run ends after so many.
        max_minutes: the run also ends, with a checkpoint, after so much wall time, of
            this start and not of earlier ones; at least one step is done.
        log_every: loss and speed are logged.
        eval_every: the network is evaluated.
        checkpoint_every: a checkpoint is written.
    """

    steps: int
    max_minutes: float | None = None
    log_every: int = 100
    eval_every: int = 0
    checkpoint_every: int = 1000


def is_due(step: int, every: int) -> bool:
    """Returns whether something that happens `every` so many steps happens after
    `step`.

    `step` counts from 1; `every=0` is never.
    """
    return every > 0 and step % every == 0


def fit(
    state: TrainState,
    train_step: Callable[
        [TrainState, dict[str, jax.Array]], tuple[TrainState, Metrics]
    ],
    batches: Iterator[dict[str, np.ndarray]],
    *,
    mesh: Mesh,
    cadence: Cadence,
    checkpoints: Checkpoints,
    log: MetricLog | None,
    evaluate: Evaluate | None = None,
) -> TrainState:
    """Trains from `state.step` until the cadence, the clock or a signal ends the run.

    SIGTERM and Ctrl-C end the run after the step in progress. However it ends, a
    checkpoint of the last step is on disk when this returns.

    Args:
        state: where to start; its memory is consumed.
        batches: yields batches from `state.step` on.
        log: where measurements go; None in all processes but the first.

    Raises:
        InputError: the loss is no finite number; the message names the step. The last
            good checkpoint is kept.
    """
    start = time.monotonic()
    step = int(state.step)
    pending = _PendingMetrics(step)
    progress = Progress(
        steps=cadence.steps,
        first_step=step,
        max_minutes=cadence.max_minutes,
        enabled=log is not None,
    )
    with _stop_on_signals() as stop, progress:
        while step < cadence.steps:
            batch = shard_batch(next(batches), mesh)
            state, metrics = train_step(state, batch)
            step += 1
            pending.add(metrics, images=batch["lr"].shape[0])
            progress.update()

            minutes = (time.monotonic() - start) / 60
            out_of_time = bool(cadence.max_minutes) and minutes >= cadence.max_minutes
            stopping = step == cadence.steps or out_of_time or stop.is_set()
            evaluating = is_due(step, cadence.eval_every)
            saving = stopping or is_due(step, cadence.checkpoint_every)
            if not (saving or evaluating or is_due(step, cadence.log_every)):
                continue

            numbers = {**pending.collect(), "minutes": minutes}
            if evaluate is not None and evaluating:
                numbers |= evaluate(state.variables(), step)
                pending.restart_clock()
            if log is not None:
                log.scalars(step, numbers)
            progress.report(step, numbers)
            if saving:
                checkpoints.save(state, psnr=numbers.get("psnr"))
            if stopping:
                break
    checkpoints.wait()
    return state


class _PendingMetrics:
    """Metrics still on the device, so that the loop need not wait for each step."""

    # So many steps may be under way at once; more would only hold memory.
    _ahead = 4

    def __init__(self, step: int):
        self._step = step
        self._metrics: list[Metrics] = []
        self._images = 0
        self._since = time.monotonic()

    def add(self, metrics: Metrics, *, images: int) -> None:
        self._metrics.append(metrics)
        self._images += images
        if len(self._metrics) > self._ahead:
            jax.block_until_ready(self._metrics[-self._ahead])

    def restart_clock(self) -> None:
        """Keeps what came between the steps out of the speed."""
        self._since = time.monotonic()

    def collect(self) -> dict[str, float]:
        """Returns means since the last call, and images (LR patches) per second."""
        fetched = jax.device_get(self._metrics)
        for offset, metrics in enumerate(fetched, start=1):
            if not math.isfinite(metrics["loss"]):
                raise InputError(
                    f"the loss of step {self._step + offset} is {metrics['loss']}: "
                    "training stopped; the last good checkpoint is kept. Lower "
                    "optimizer.learning_rate or set optimizer.clip_norm"
                )
        seconds = max(time.monotonic() - self._since, 1e-9)
        numbers = {
            name: float(np.mean([m[name] for m in fetched])) for name in fetched[0]
        }
        numbers["images_per_second"] = self._images / seconds
        self._step += len(fetched)
        self._metrics, self._images = [], 0
        self.restart_clock()
        return numbers


@contextlib.contextmanager
def _stop_on_signals() -> Iterator[threading.Event]:
    """Yields an event that SIGTERM or Ctrl-C sets; a second Ctrl-C interrupts."""
    stop = threading.Event()
    if threading.current_thread() is not threading.main_thread():
        yield stop  # signals reach the main thread only
        return

    def handle(number, frame):
        if stop.is_set() and number == signal.SIGINT:
            raise KeyboardInterrupt
        stop.set()

    before = {n: signal.signal(n, handle) for n in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
