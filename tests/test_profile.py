"""The trace of a run holds its steps, in both forms that viewers read."""

import gzip
import json
import logging

import jax
import jax.numpy as jnp
import pytest

from jaxsr.training.profile import profiled


@jax.jit
def _step(state):
    return state + 1, {"loss": jnp.sum(state)}


def _run(folder, *, dispatches, steps_per_dispatch=1, first_step=0):
    def run_steps(state, count):
        assert count in (1, steps_per_dispatch)
        return _step(state)

    state = jnp.zeros(())
    options = dict(first_step=first_step, steps_per_dispatch=steps_per_dispatch)
    with profiled(run_steps, folder, **options) as run:
        for count in dispatches:
            state, _ = run(state, count)
    return state


def _traced_steps(folder):
    """Returns the numbers of the steps in the trace, of either of its files."""
    (xplane,) = folder.glob("plugins/profile/*/*.xplane.pb")
    data = jax.profiler.ProfileData.from_file(str(xplane))
    binary = [
        dict(event.stats)["step_num"]
        for plane in data.planes
        for line in plane.lines
        for event in line.events
        if event.name == "train"
    ]
    (trace,) = folder.glob("plugins/profile/*/*.trace.json.gz")
    events = json.loads(gzip.decompress(trace.read_bytes()))["traceEvents"]
    text = [int(e["args"]["step_num"]) for e in events if e.get("name") == "train"]
    return sorted(binary), sorted(text)


def test_profiled_traces_ten_dispatches_after_warming_up(tmp_path):
    assert _run(tmp_path, dispatches=[1] * 20, first_step=100) == 20
    steps = list(range(103, 113))
    assert _traced_steps(tmp_path) == (steps, steps)


def test_profiled_waits_for_dispatches_of_the_usual_size(tmp_path):
    _run(tmp_path, dispatches=[1] * 5 + [4] * 14, steps_per_dispatch=4)
    steps = list(range(5 + 3 * 4, 5 + 13 * 4, 4))
    assert _traced_steps(tmp_path) == (steps, steps)


def test_profiled_run_that_ends_early(tmp_path, caplog):
    with caplog.at_level(logging.WARNING):
        _run(tmp_path / "none", dispatches=[1] * 2)
    assert "ended before a trace began" in caplog.text
    assert not (tmp_path / "none").exists()
    with pytest.raises(AssertionError):
        _run(tmp_path / "some", dispatches=[1, 1, 1, 1, 1, -1])
    # The step that failed is in it as well.
    assert _traced_steps(tmp_path / "some") == ([3, 4, 5], [3, 4, 5])
