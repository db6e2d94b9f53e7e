"""The training loop: steps, measurements, checkpoints, and when to stop."""

import contextlib
import enum
import logging
import math
import signal
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import jax
import numpy as np

from jaxsr.errors import InputError
from jaxsr.interrupts import Interrupted, nothing_swallowed
from jaxsr.processes import Agreement
from jaxsr.training.cadence import Cadence, is_due
from jaxsr.training.checkpoints import Checkpoints
from jaxsr.training.metric_log import MetricLog
from jaxsr.training.progress import Progress
from jaxsr.training.state import TrainState
from jaxsr.training.step import Metrics

# `run_steps(state, count)` does so many steps in one dispatch. It consumes the state
# and returns before the devices are done.
RunSteps = Callable[[TrainState, int], tuple[TrainState, Metrics]]

# `evaluate(variables, step)` returns numbers to log, "psnr" (dB) among them: the one
# that ranks checkpoints.
Evaluate = Callable[[dict[str, Any], int], dict[str, float]]

_log = logging.getLogger(__name__)


class Ending(enum.IntEnum):
    """Why a run ends; of what several processes want, the largest is done."""

    STEPS_DONE = 0
    TIME_IS_UP = 1
    SIGNAL = 2


def fit(
    state: TrainState,
    run_steps: RunSteps,
    *,
    batch_size: int,
    cadence: Cadence,
    checkpoints: Checkpoints,
    log: MetricLog | None,
    evaluate: Evaluate | None = None,
) -> tuple[TrainState, Ending]:
    """Trains from `state.step` until the cadence, the clock or a signal ends the run.

    SIGTERM and Ctrl-C end the run after the dispatch in progress, without another
    evaluation: whoever sends them may give a few seconds only. Several processes end it
    at the same step, whichever of them got the signal and whatever their clocks say.
    However it ends, a checkpoint of the last step is on disk when this returns, and
    when an evaluation raises.

    The host waits for the devices only where it needs their results, for a checkpoint
    or an evaluation: measurements that are only logged are fetched while the devices
    are busy with the next steps.

    Args:
        state: where to start; its memory is consumed.
        run_steps: the steps, on the batches that belong to them.
        batch_size: patches in a batch of all devices together, for the speed.
        log: where measurements go; None in all processes but the first.
        evaluate: gives the same numbers in all processes.

    Returns:
        The state after the last step, and why that was the last one.

    Raises:
        InputError: the loss, the gradient or the state is not finite; the message names
            the step. The last good checkpoint is kept.
    """
    start = time.monotonic()
    step = first_step = int(state.step)
    pending = _PendingMetrics(step, batch_size, checkpoints)
    progress = Progress(
        steps=cadence.steps,
        first_step=first_step,
        max_minutes=cadence.max_minutes,
        enabled=log is not None,
    )

    def report(step: int, numbers: dict[str, float]) -> None:
        if log is not None:
            log.scalars(step, numbers)
        progress.report(step, numbers)

    # On CPU a dispatch may do the work itself before it returns: nothing to overlap.
    on_host = jax.default_backend() == "cpu"
    # Elsewhere the answer is that of the dispatch before the one in progress: waiting
    # for the latest would leave the devices without work.
    agreement = Agreement(delay=0 if on_host else 1)
    unreported: tuple[int, float] | None = None  # step and minutes
    ending = Ending.STEPS_DONE
    with _noticed_signals() as signals, progress:
        while step < cadence.steps:
            count = cadence.next_dispatch(step)
            state, metrics = run_steps(state, count)
            if unreported is not None:
                report(unreported[0], pending.collect() | {"minutes": unreported[1]})
                unreported = None
            pending.add(metrics, steps=count)
            progress.update(count)
            step += count

            minutes = (time.monotonic() - start) / 60
            out_of_time = bool(cadence.max_minutes) and minutes >= cadence.max_minutes
            if signals.came:
                ending = Ending.SIGNAL
            elif out_of_time:
                ending = Ending.TIME_IS_UP
            ending = Ending(agreement.ask(ending))
            stopping = step == cadence.steps or ending > Ending.STEPS_DONE
            evaluating = (
                evaluate is not None
                and is_due(step, cadence.eval_every)
                and ending != Ending.SIGNAL
            )
            saving = stopping or is_due(step, cadence.checkpoint_every)
            reporting = is_due(step, cadence.log_every)
            if not (saving or evaluating or (reporting and on_host)):
                unreported = (step, minutes) if reporting else None
                continue

            numbers = pending.collect() | {"minutes": minutes}
            with _saved_if_failing(checkpoints, state):
                if evaluate is not None and evaluating:
                    scores = signals.break_off(evaluate, state.variables(), step)
                    if scores is None:
                        ending, saving, stopping = Ending.SIGNAL, True, True
                    numbers |= scores or {}
                    pending.restart_clock()
                report(step, numbers)
            if saving:
                checkpoints.save(state, psnr=numbers.get("psnr"))
            if stopping:
                break
        # In here, where another signal does not end what is being written.
        checkpoints.wait()
    if step < cadence.steps or ending == Ending.SIGNAL:
        _log.info("%s", _why(ending, cadence, step=step, steps_done=step - first_step))
    return state, ending


@contextlib.contextmanager
def _saved_if_failing(checkpoints: Checkpoints, state: TrainState) -> Iterator[None]:
    """Saves the state before an error of what is done beside training goes on."""
    try:
        yield
    except Exception as error:
        # Of several processes all have to save: of this one they all know.
        if jax.process_count() == 1 or isinstance(error, InputError):
            checkpoints.save(state)
            checkpoints.wait()
            _log.info("step %d is saved; the same command goes on", state.step)
        raise


def _why(ending: Ending, cadence: Cadence, *, step: int, steps_done: int) -> str:
    """Returns why a run ended before its time."""
    if ending == Ending.SIGNAL:
        cause = "a signal"
    else:
        cause = f"train.max_minutes={cadence.max_minutes}"
        if steps_done <= cadence.steps_per_dispatch:
            cause += ", less than the first dispatch took,"
    return (
        f"{cause} ended the run after step {step} of {cadence.steps}, which is saved; "
        "the same command goes on"
    )


class _PendingMetrics:
    """Metrics still on the device, so that the loop need not wait for each dispatch."""

    # So many dispatches may be under way at once; more would only hold memory.
    _ahead = 4

    def __init__(self, step: int, batch_size: int, checkpoints: Checkpoints):
        self._step = step
        self._checkpoints = checkpoints
        self._batch_size = batch_size
        self._metrics: list[Metrics] = []
        self._steps = 0
        self._since = time.monotonic()

    def add(self, metrics: Metrics, *, steps: int) -> None:
        self._metrics.append(metrics)
        self._steps += steps
        if len(self._metrics) > self._ahead:
            jax.block_until_ready(self._metrics[-self._ahead])

    def restart_clock(self) -> None:
        """Keeps what came between the steps out of the speed."""
        self._since = time.monotonic()

    def collect(self) -> dict[str, float]:
        """Returns means since the last call, and images (LR patches) per second."""
        fetched = jax.device_get(self._metrics)
        values = {
            name: np.concatenate([np.atleast_1d(metrics[name]) for metrics in fetched])
            for name in fetched[0]
        }
        # A finite loss may have a gradient that is not, of a square root at zero say.
        for name, what in (("loss", "loss"), ("grad_norm", "gradient's norm")):
            for offset, value in enumerate(values.get(name, ()), start=1):
                if not math.isfinite(value):
                    raise InputError(
                        f"the {what} of step {self._step + offset} is {value}: "
                        f"training stopped. {self._checkpoints.how_to_go_on()}"
                    )
        seconds = max(time.monotonic() - self._since, 1e-9)
        numbers = {name: float(np.mean(value)) for name, value in values.items()}
        numbers["images_per_second"] = self._steps * self._batch_size / seconds
        self._step += self._steps
        self._metrics, self._steps = [], 0
        self.restart_clock()
        return numbers


class _Signals:
    """Whether SIGTERM or Ctrl-C came."""

    def __init__(self):
        self.came = False
        self._breaks_off = False

    def break_off(self, function: Callable[..., Any], *arguments: Any) -> Any:
        """Returns what the function returns, or None as soon as a signal comes.

        With several processes it is done to its end: the others wait for it.
        """
        try:
            try:
                self._breaks_off = jax.process_count() == 1
                if self._breaks_off and self.came:
                    return None
                return function(*arguments)
            finally:
                self._breaks_off = False
        except Interrupted:
            return None

    def handle(self, number, frame) -> None:
        del frame
        if self.came and number == signal.SIGINT:
            raise KeyboardInterrupt
        self.came = True
        if self._breaks_off:
            raise Interrupted(signal.SIGTERM)


@contextlib.contextmanager
def _noticed_signals() -> Iterator[_Signals]:
    """Takes note of SIGTERM and Ctrl-C; a second Ctrl-C interrupts."""
    signals = _Signals()
    if threading.current_thread() is not threading.main_thread():
        yield signals  # signals reach the main thread only
        return
    before = {
        number: signal.signal(number, signals.handle)
        for number in (signal.SIGTERM, signal.SIGINT)
        if signal.getsignal(number) != signal.SIG_IGN  # by whoever started it
    }
    try:
        with nothing_swallowed():
            yield signals
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
