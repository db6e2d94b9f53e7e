import gc
import itertools
import json
import logging
import os
import signal
import subprocess
import sys
import threading
import time

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxsr.errors import InputError
from jaxsr.training.cadence import Cadence, is_due
from jaxsr.training.checkpoints import Checkpoints
from jaxsr.training.loop import Ending, fit
from jaxsr.training.metric_log import MetricLog, read_metrics
from jaxsr.training.state import TrainState


def _state():
    return TrainState(
        step=jnp.int32(0),
        params={"w": jnp.zeros(())},
        model_state={},
        opt_state={},
        ema={},
    )


@jax.jit
def _step(state, batch):
    # The parameter counts what the step was fed: the sum of all batches.
    total = state.params["w"] + batch["lr"].sum()
    return state.replace(step=state.step + 1, params={"w": total}), {"loss": total}


def _batches(start=0):
    for k in itertools.count(start):
        yield {"lr": np.full((8, 1, 1, 1), k, np.float32)}


def _fit(workdir, *, batches=None, state=None, evaluate=None, counts=None, **cadence):
    batches = batches or _batches()
    counts = [] if counts is None else counts

    def run_steps(state, count):
        counts.append(count)
        metrics = []
        for batch in itertools.islice(batches, count):
            state, one = _step(state, batch)
            metrics.append(one)
        return state, jax.tree.map(lambda *values: jnp.stack(values), *metrics)

    with Checkpoints(workdir) as checkpoints, MetricLog(workdir, first_step=0) as log:
        state, _ = fit(
            state or _state(),
            run_steps,
            batch_size=8,
            cadence=Cadence(**cadence),
            checkpoints=checkpoints,
            log=log,
            evaluate=evaluate,
        )
        return state, checkpoints.steps()


def _lines(workdir):
    lines = (workdir / "metrics.jsonl").read_text().splitlines()
    return [json.loads(line) for line in lines]


@pytest.mark.parametrize(
    ("step", "every", "due"), [(5, 5, True), (4, 5, False), (5, 0, False)]
)
def test_is_due(step, every, due):
    assert is_due(step, every) is due


def test_fit_feeds_every_batch_once_and_saves_the_end(tmp_path):
    state, steps = _fit(tmp_path, steps=10, checkpoint_every=4)
    assert float(state.params["w"]) == 8 * sum(range(10))
    assert steps == [4, 8, 10]


def test_fit_logs_means_since_the_last_line(tmp_path):
    _fit(tmp_path, steps=4, log_every=2)
    sums = np.cumsum([8 * k for k in range(4)])
    assert [line["step"] for line in _lines(tmp_path)] == [2, 4]
    assert [line["loss"] for line in _lines(tmp_path)] == [
        sums[:2].mean(),
        sums[2:].mean(),
    ]


def test_fit_runs_several_steps_per_dispatch_where_they_fit(tmp_path):
    counts = []
    state = _state().replace(step=jnp.int32(3))
    state, steps = _fit(
        tmp_path,
        state=state,
        counts=counts,
        steps=14,
        log_every=4,
        checkpoint_every=8,
        steps_per_dispatch=4,
    )
    # One by one up to a multiple of 4, and for what is left at the end.
    assert counts == [1, 4, 4, 1, 1]
    assert float(state.params["w"]) == 8 * sum(range(11))
    assert steps == [8, 14]
    lines = _lines(tmp_path)
    assert [line["step"] for line in lines] == [4, 8, 12, 14]
    sums = np.cumsum([8 * k for k in range(11)])
    assert [line["loss"] for line in lines] == [
        sums[part].mean() for part in np.split(np.arange(11), [1, 5, 9])
    ]


def test_fit_does_not_wait_for_measurements_on_accelerators(tmp_path, monkeypatch):
    monkeypatch.setattr(jax, "default_backend", lambda: "gpu")
    # Takes about a second, so that it is under way when the next step is asked for.
    slow = jax.jit(lambda x: jax.lax.fori_loop(0, 60, lambda _, x: jnp.tanh(x @ x), x))
    matrix = jnp.ones((800, 800))
    slow(matrix).block_until_ready()
    results, waited = [], []

    def run_steps(state, count):
        if results:
            waited.append(results[-1].is_ready())  # no public way, but in tests
        results.append(slow(matrix))
        return state, {"loss": results[-1][0, 0]}

    with Checkpoints(tmp_path) as checkpoints, MetricLog(tmp_path, first_step=0) as log:
        fit(
            _state(),
            run_steps,
            batch_size=8,
            cadence=Cadence(steps=4, log_every=1),
            checkpoints=checkpoints,
            log=log,
        )
    assert [line["step"] for line in _lines(tmp_path)] == [1, 2, 3, 4]
    # On a busy machine this thread may be put aside for longer than a step takes.
    assert not all(waited)


def test_cadence_with_most_steps_per_dispatch():
    def most(*every):
        names = ("log_every", "eval_every", "checkpoint_every")
        cadence = Cadence(steps=9, **dict(zip(names, every, strict=True)))
        return cadence.with_most_steps_per_dispatch().steps_per_dispatch

    assert most(100, 5000, 1000) == 10
    assert most(64, 0, 640) == 16
    assert most(0, 0, 0) == 16
    assert most(20, 7, 0) == 1


def test_fit_evaluates_and_ranks_checkpoints(tmp_path):
    scores = {2: 31.0, 4: 33.0, 6: 32.0}
    _fit(
        tmp_path,
        steps=6,
        eval_every=2,
        checkpoint_every=2,
        evaluate=lambda variables, step: {"psnr": scores[step]},
    )
    assert {line["step"]: line["psnr"] for line in _lines(tmp_path)} == scores
    with Checkpoints(tmp_path, read_only=True) as checkpoints:
        assert checkpoints.best_step() == 4


@pytest.mark.parametrize("error", [InputError("a picture is cut short"), OSError("x")])
def test_fit_saves_the_steps_before_an_evaluation_that_fails(tmp_path, error, caplog):
    caplog.set_level(logging.INFO)

    def fail(variables, step):
        raise error

    with pytest.raises(type(error), match=str(error)):
        _fit(tmp_path, steps=6, eval_every=4, checkpoint_every=4, evaluate=fail)
    assert "step 4 is saved; the same command goes on" in caplog.text
    with Checkpoints(tmp_path) as checkpoints:
        state = checkpoints.restore(_state())
    assert int(state.step) == 4
    state, steps = _fit(tmp_path, batches=_batches(4), state=state, steps=6)
    assert steps == [4, 6]
    assert state.params["w"] == 8 * sum(range(6))


def test_fit_max_minutes_stops_after_one_step_with_a_checkpoint(tmp_path, caplog):
    with caplog.at_level(logging.INFO):
        _, steps = _fit(tmp_path, steps=1000, max_minutes=1e-9)
    assert steps == [1]
    assert (
        "train.max_minutes=1e-09, less than the first dispatch took, ended the run "
        "after step 1 of 1000"
    ) in caplog.text


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_fit_signal_stops_after_the_step_with_a_checkpoint(tmp_path, number, caplog):
    def batches():
        for k, batch in enumerate(_batches()):
            if k == 3:
                os.kill(os.getpid(), number)
            yield batch

    before = signal.getsignal(number)
    with caplog.at_level(logging.INFO):
        _, steps = _fit(tmp_path, steps=1000, batches=batches())
    assert steps == [4]
    assert "a signal ended the run after step 4 of 1000" in caplog.text
    assert signal.getsignal(number) is before


def _signal_in_callback():
    """Sends one where what is raised goes nowhere: JAX has such a callback too."""

    def callback(phase, info):
        gc.callbacks.remove(callback)
        signal.raise_signal(signal.SIGINT)

    gc.callbacks.append(callback)
    gc.collect()


@pytest.mark.parametrize(
    "send", [lambda: os.kill(os.getpid(), signal.SIGTERM), _signal_in_callback]
)
def test_fit_signal_breaks_an_evaluation_off(tmp_path, send):
    began = []

    def evaluate(variables, step):
        began.append(step)
        if step == 4:
            send()
            # In steps: a signal between Python's look for one and the system's sleep
            # waits for that to end.
            for _ in range(600):
                time.sleep(0.1)
        return {"psnr": 30.0}

    start = time.monotonic()
    _, steps = _fit(
        tmp_path, steps=1000, eval_every=2, checkpoint_every=0, evaluate=evaluate
    )
    assert time.monotonic() - start < 30
    assert (began, steps) == ([2, 4], [4])


def test_fit_signal_is_not_followed_by_an_evaluation_and_says_so(tmp_path):
    def run_steps(state, count):
        if int(state.step) == 1:
            os.kill(os.getpid(), signal.SIGTERM)
        return _step(state, next(_batches()))

    with Checkpoints(tmp_path) as checkpoints:
        state, ending = fit(
            _state(),
            run_steps,
            batch_size=8,
            cadence=Cadence(steps=2, eval_every=2),
            checkpoints=checkpoints,
            log=None,
            evaluate=lambda variables, step: pytest.fail("evaluated"),
        )
    assert (int(state.step), ending) == (2, Ending.SIGNAL)


def test_fit_further_signals_do_not_end_the_last_save(tmp_path):
    class Signalled(Checkpoints):
        def wait(self):
            os.kill(os.getpid(), signal.SIGTERM)
            super().wait()

    reached = []
    before = signal.signal(signal.SIGTERM, lambda *_: reached.append("default"))
    try:
        with Signalled(tmp_path) as checkpoints:
            fit(
                _state(),
                lambda state, count: _step(state, next(_batches())),
                batch_size=8,
                cadence=Cadence(steps=1),
                checkpoints=checkpoints,
                log=None,
            )
            assert checkpoints.steps() == [1]
    finally:
        signal.signal(signal.SIGTERM, before)
    assert reached == []


@pytest.mark.parametrize("where", ["gradient", "params"])
def test_fit_never_saves_what_is_not_finite(tmp_path, where):
    def run_steps(state, count):
        bad = np.nan if int(state.step) == 2 else 1.0
        params = {"w": state.params["w"] + (bad if where == "params" else 0.0)}
        metrics = {"loss": 1.0, "grad_norm": bad if where == "gradient" else 1.0}
        return state.replace(step=state.step + 1, params=params), metrics

    message = {
        "gradient": "gradient's norm of step 3 is nan",
        "params": "after step 3 params/w has values",
    }[where]
    with (
        Checkpoints(tmp_path) as checkpoints,
        pytest.raises(InputError, match=message) as raised,
    ):
        fit(
            _state(),
            run_steps,
            batch_size=8,
            cadence=Cadence(steps=3, checkpoint_every=1),
            checkpoints=checkpoints,
            log=None,
        )
    assert "of step 2, is kept" in str(raised.value)
    assert "schedule.learning_rate" in str(raised.value)
    with Checkpoints(tmp_path, read_only=True) as checkpoints:
        assert checkpoints.steps() == [1, 2]


def test_fit_non_finite_loss_names_the_step_and_keeps_the_last_good(tmp_path):
    def batches():
        for k, batch in enumerate(_batches()):
            yield {"lr": batch["lr"] * (np.nan if k == 6 else 1)}

    with pytest.raises(InputError, match=r"loss of step 7 is nan"):
        _fit(tmp_path, steps=100, batches=batches(), checkpoint_every=3, log_every=50)
    with Checkpoints(tmp_path, read_only=True) as checkpoints:
        assert checkpoints.steps() == [3, 6]


def test_metric_log_drops_lines_after_the_checkpoint(tmp_path):
    with MetricLog(tmp_path, first_step=0) as log:
        for step in (1, 2, 3):
            log.scalars(step, {"loss": float(step)})
    with (tmp_path / "metrics.jsonl").open("a") as file:
        file.write('{"step": 4, "lo')  # cut short by a kill
    with MetricLog(tmp_path, first_step=2) as log:
        log.scalars(3, {"loss": 30.0})
    assert [line["loss"] for line in _lines(tmp_path)] == [1.0, 2.0, 30.0]


def test_metric_log_adds_up_the_minutes_of_all_starts(tmp_path):
    for first_step, minutes in ((0, (1.0, 2.0)), (1, (0.5, 3.0)), (3, (0.25,))):
        with MetricLog(tmp_path, first_step=first_step) as log:
            for step, since_start in enumerate(minutes, start=first_step + 1):
                log.scalars(step, {"minutes": since_start})
    # Step 2 was done twice: the first time was lost in a kill.
    measured = read_metrics(tmp_path)
    assert [(line["step"], line["minutes"]) for line in measured] == [
        (1, 1.0),
        (2, 1.5),
        (3, 4.0),
        (4, 4.25),
    ]


def test_read_metrics_without_a_log_and_with_a_line_cut_short(tmp_path):
    assert read_metrics(tmp_path) == []
    (tmp_path / "metrics.jsonl").write_text('{"step": 1}\n{"step": 2, "lo')
    assert read_metrics(tmp_path) == [{"step": 1}]


def test_metric_log_draws_pictures_in_the_background(tmp_path):
    go_on = threading.Event()

    def draw():
        assert go_on.wait(60)
        return np.zeros((4, 6, 3), np.uint8)

    with MetricLog(tmp_path, first_step=0) as log:
        log.image(5, "comparison", draw)  # returns, though it cannot be drawn yet
        log.scalars(5, {"loss": 1.0})
        go_on.set()
    assert [line["step"] for line in _lines(tmp_path)] == [5]


def test_metric_log_raises_what_went_wrong_with_a_picture(tmp_path):
    with (
        pytest.raises(ZeroDivisionError),
        MetricLog(tmp_path, first_step=0) as log,
    ):
        log.image(5, "comparison", lambda: np.zeros(1 // 0))


def test_metric_log_writes_tensorboard_files(tmp_path):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    with MetricLog(tmp_path, first_step=0) as log:
        log.scalars(5, {"Set5/psnr": 33.5})
        log.image(5, "comparison", lambda: np.zeros((4, 6, 3), np.uint8))
    events = EventAccumulator(str(tmp_path / "tensorboard"))
    events.Reload()
    assert [(e.step, e.value) for e in events.Scalars("Set5/psnr")] == [(5, 33.5)]
    assert events.Images("comparison")[0].width == 6


_FILL_THE_DISK = """
import resource, sys
import numpy as np
from jaxsr.errors import reports_input_errors
from jaxsr.training.metric_log import MetricLog

@reports_input_errors
def fill():
    with MetricLog(sys.argv[1], first_step=0) as log:
        resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))
        if sys.argv[2] == "picture":
            picture = np.random.default_rng(0).integers(0, 256, (200, 200, 3), np.uint8)
            log.image(1, "comparison", lambda: picture)
        for step in range(100_000):
            log.scalars(step, {f"loss{k}": 0.5 for k in range(20)})

sys.exit(fill())
"""


@pytest.mark.parametrize(
    ("what", "file"), [("numbers", "metrics.jsonl"), ("picture", "events.out.tfevents")]
)
def test_metric_log_on_a_full_disk_is_one_line_that_names_the_file(
    what, file, tmp_path
):
    if what == "numbers":  # that file is nearly full
        (tmp_path / "metrics.jsonl").write_text('{"step": 0}\n' * 1660)
    result = subprocess.run(
        [sys.executable, "-c", _FILL_THE_DISK, str(tmp_path), what],
        capture_output=True,
        text=True,
        timeout=100,
    )
    assert result.returncode == 1
    (line,) = result.stderr.splitlines()
    assert file in line and "cannot be written (File too large)" in line


def test_metric_log_goes_on_behind_damaged_lines(tmp_path):
    good = b'{"step": 1, "minutes": 2.0}\n'
    damaged = b'\xff\xfe\n[1]\n{"step": "3"}\n"x"\n{"step": 2, "minutes": []}\n{"st'
    (tmp_path / "metrics.jsonl").write_bytes(good + damaged)
    with MetricLog(tmp_path, first_step=3) as log:
        log.scalars(4, {"loss": 0.5, "minutes": 1.0})
    assert read_metrics(tmp_path) == [
        {"step": 1, "minutes": 2.0},
        {"step": 4, "loss": 0.5, "minutes": 3.0},
    ]
