"""A trace of some steps of a run, for TensorBoard's profiler and for Perfetto."""

import contextlib
import logging
from collections.abc import Iterator
from pathlib import Path

import jax

from jaxsr.training.loop import RunSteps
from jaxsr.training.state import TrainState
from jaxsr.training.step import Metrics

# Dispatches before the trace, for compiling and for queues to fill, and in it.
_WARM_UP, _TRACED = 3, 10

_log = logging.getLogger(__name__)


@contextlib.contextmanager
def profiled(
    run_steps: RunSteps, folder: Path, *, first_step: int, steps_per_dispatch: int
) -> Iterator[RunSteps]:
    """Yields `run_steps` that trace ten of their dispatches, once.

    The trace begins after three dispatches of the usual size and lies in
    `folder/plugins/profile/<time>/`, where TensorBoard looks; Perfetto opens its
    `.trace.json.gz`. Each dispatch is an event "train" with its first step's number.

    Args:
        folder: one of TensorBoard's, made if need be.
        first_step: the step that the run starts from.
        steps_per_dispatch: the usual size; others only begin and end a run.
    """
    step, usual, tracing = first_step, 0, False

    def stop() -> None:
        nonlocal tracing
        jax.profiler.stop_trace()
        tracing = False
        _log.info("trace of %d dispatches: %s", usual - _WARM_UP, folder)

    def run(state: TrainState, count: int) -> tuple[TrainState, Metrics]:
        nonlocal step, usual, tracing
        if usual == _WARM_UP and not tracing:
            options = jax.profiler.ProfileOptions()
            options.python_tracer_level = 0  # a call of every Python function
            jax.profiler.start_trace(folder, profiler_options=options)
            tracing = True
        with jax.profiler.StepTraceAnnotation("train", step_num=step):
            state, metrics = run_steps(state, count)
        step += count
        usual += count == steps_per_dispatch
        if tracing and usual == _WARM_UP + _TRACED:
            jax.block_until_ready(metrics)  # what the devices still do belongs to it
            stop()
        return state, metrics

    try:
        yield run
    finally:
        if tracing:
            stop()
        elif usual < _WARM_UP + _TRACED:
            _log.warning("train.profile: the run ended before a trace began")
