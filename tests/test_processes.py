"""Several processes on this machine, as real ones: they train, die, agree and wait."""

import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from configs import espcn
from jaxsr import models, scoring
from jaxsr.imaging import write_image
from jaxsr.inference import Upscaler
from jaxsr.training import train
from jaxsr.training.saved_run import load_run
from jaxsr.witness_child import Listener

_ROOT = Path(__file__).parents[1]


@pytest.fixture(autouse=True, scope="module")
def compiled_once(tmp_path_factory):
    """Lets the processes share what they compile: half of their time."""
    with pytest.MonkeyPatch.context() as environment:
        folder = tmp_path_factory.mktemp("compiled")
        environment.setenv("JAX_COMPILATION_CACHE_DIR", str(folder))
        # Of two, one may find the small ones while the other is writing them.
        environment.setenv("JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS", "1")
        yield


# What a run prints while nothing is wrong.
_OURS = re.compile(r"step \d|LR images of|folder:|.*: continuing from step")


def _start(*command, devices) -> subprocess.Popen:
    environment = os.environ | {
        "JAX_NUM_CPU_DEVICES": str(devices),
        "JAX_PLATFORMS": "cpu",
        "PYTHONPATH": str(_ROOT),
    }
    return subprocess.Popen(
        [sys.executable, *command],
        cwd=_ROOT,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def _free_port() -> int:
    with socket.socket() as free:
        free.bind(("localhost", 0))
        return free.getsockname()[1]


def _together(number, port, *, heartbeat=60):
    """Returns the flags of one of two processes."""
    return [
        "--distributed",
        f"--coordinator_address=localhost:{port}",
        "--num_processes=2",
        f"--process_id={number}",
        f"--heartbeat_timeout={heartbeat}",
    ]


def _start_two(*command, **options) -> list[subprocess.Popen]:
    port = _free_port()
    return [
        _start(*command, *_together(number, port, **options), devices=2)
        for number in range(2)
    ]


def _finish(*processes) -> list[str]:
    """Returns what the processes printed, once they all ended well.

    While they train, nobody but jaxsr has a word to say.
    """
    outputs = [process.communicate(timeout=200) for process in processes]
    for number, (process, (_, errors)) in enumerate(
        zip(processes, outputs, strict=True)
    ):
        assert process.returncode == 0, errors
        if "train.py" in process.args:
            assert not (number and errors)
            assert all(_OURS.match(line) for line in errors.splitlines()), errors
    return [printed for printed, _ in outputs]


@pytest.fixture
def photos(tmp_path):
    folder = tmp_path / "photos"
    folder.mkdir()
    random = np.random.default_rng(0)
    for k, (height, width) in enumerate([(40, 48), (44, 40), (40, 40)]):
        image = random.integers(0, 256, (height, width, 3), np.uint8)
        write_image(folder / f"{k}.png", image)
    return f"folder:{folder}"


def _keys(photos, **changes):
    """Returns what a small run changes in the config of ESPCN x2."""
    return {
        "data.train": photos,
        "data.patch_size": 8,
        "data.batch_size": 8,
        "data.pipeline": "device",
        "eval.benchmarks": "",
        "train.checkpoint_every": 3,
        "train.eval_every": 0,
        "train.log_every": 1,
        "train.steps": 20,
    } | changes


def _train(photos, workdir, **changes):
    """Returns the command of a small run."""
    keys = _keys(photos, **changes)
    flags = [f"--config.{key}={value}" for key, value in keys.items()]
    return ["train.py", "--config=configs/espcn.py:x2", f"--workdir={workdir}", *flags]


def _wait_for_line(log: Path, count: int, *processes) -> None:
    while not (log.exists() and len(log.read_text().splitlines()) >= count):
        assert all(process.poll() is None for process in processes)
        time.sleep(0.01)


def _variables(workdir):
    return jax.tree.leaves(load_run(workdir)[2])


def test_gloos_greeting_is_left_out_however_threads_interleave_it():
    greeting = "[Gloo] Rank 1 is connected to 3 peer ranks. "
    expected = "Expected number of connected peer ranks is : 3\n"
    mixed = "[Gloo] Rank [Gloo] Rank 10 is connected to  is connected to 33 peer "
    printed = [
        greeting + expected,
        "[Gloo] Rank 0 is connected to " + greeting + expected,
        "3 peer ranks. " + expected,
        mixed + "ranks. " + expected,
        " peer ranks. " + expected,
        "3\n",
        "\n",
        "of 3 photos 3 are good\n",
        "3\n",
        greeting + expected.rstrip() + "error: no room\n",
    ]
    shown = list(Listener().shown(printed))
    assert shown == ["of 3 photos 3 are good\n", "3\n", "1  3   3error: no room\n"]


def test_two_processes_train_die_and_go_on_like_unbroken_ones(photos, tmp_path):
    unbroken, broken, single = (tmp_path / n for n in ("unbroken", "broken", "single"))
    _finish(*_start_two(*_train(photos, unbroken)))

    first, second = _start_two(*_train(photos, broken), heartbeat=10)
    _wait_for_line(broken / "metrics.jsonl", 7, first, second)
    second.send_signal(signal.SIGKILL)
    died = time.monotonic()
    printed, errors = first.communicate(timeout=200)
    assert first.returncode != 0
    assert time.monotonic() - died < 10 + 20  # the heartbeat, and a busy machine
    *progress, last = errors.splitlines()
    assert last.startswith("error: process 0 lost ")
    assert "start all of them again" in last
    assert all(_OURS.match(line) for line in progress), errors
    assert printed == ""
    printed, errors = second.communicate()
    assert errors.startswith("error: process 1 ended abruptly: it was killed")
    assert len(errors.splitlines()) == 1 and printed == ""
    assert load_run(broken)[3] < 20

    _finish(*_start_two(*_train(photos, broken)))
    assert load_run(broken)[3] == 20
    for ours, theirs in zip(_variables(broken), _variables(unbroken), strict=True):
        np.testing.assert_array_equal(ours, theirs)

    _finish(_start(*_train(photos, single), devices=4))
    for ours, theirs in zip(_variables(unbroken), _variables(single), strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=0, atol=1e-6)


def test_two_processes_cut_their_shares_by_tfdata(photos, tmp_path):
    changes = {"data.pipeline": "tfdata", "train.steps": 3}
    _finish(*_start_two(*_train(photos, tmp_path / "together", **changes)))
    config = espcn.get_config("x2")
    config.update_from_flattened_dict(_keys(photos, **changes))
    train(config, tmp_path / "alone")  # on 8 devices
    together, alone = (
        [json.loads(line)["loss"] for line in text.splitlines()]
        for text in (
            (tmp_path / run / "metrics.jsonl").read_text()
            for run in ("together", "alone")
        )
    )
    np.testing.assert_allclose(together, alone, rtol=1e-5)


_MEETING = """
import json, os, signal, sys
from pathlib import Path
import jax, jax.numpy as jnp, numpy as np
from configs import espcn
from jaxsr import models, processes, scoring
from jaxsr.errors import InputError
from jaxsr.inference import Upscaler
from jaxsr.training.checkpoints import Checkpoints
from jaxsr.training.cadence import Cadence
from jaxsr.training.loop import fit
from jaxsr.training.mesh import create_mesh, replicate
from jaxsr.training.state import TrainState
from jaxsr.training import train, workdir
from jaxsr.training.workdir import check_shared, claim_workdir

folder, photos, port, number = Path(sys.argv[1]), *sys.argv[2:4], int(sys.argv[4])
found = {}

def refused(function, *arguments, **options):
    try:
        function(*arguments, **options)
    except InputError as error:
        return str(error)

def end_of_run(name, **cadence):
    state = TrainState(jnp.int32(0), {"w": jnp.zeros(())}, {}, {}, {})
    def run_steps(state, count):
        if name == "signal" and number == 1 and int(state.step) == 3:
            os.kill(os.getpid(), signal.SIGTERM)
        loss = state.params["w"] + (np.nan if name == "nan" else 0)
        return state.replace(step=state.step + 1), {"loss": loss}
    with Checkpoints(folder / name) as checkpoints:
        state, _ = fit(
            replicate(state, create_mesh(8)), run_steps, batch_size=8,
            cadence=Cadence(steps=50, checkpoint_every=0, **cadence),
            checkpoints=checkpoints, log=None,
        )
        return int(state.step), checkpoints.steps()

with processes.connected(
    coordinator_address=f"localhost:{port}", num_processes=2, process_id=number
):
    found["gathered"] = processes.gather([number + 0.1, "long" * number])
    for delay in (0, 1):
        agreement = processes.Agreement(delay=delay)
        found[f"agreed {delay}"] = [
            agreement.ask(7 if (k, number) == (2, 1) else 0) for k in range(5)
        ]
    found["time is up"] = end_of_run("time", max_minutes=1e-9 if number else 1e9)
    found["signal"] = end_of_run("signal")
    found["loss"] = refused(end_of_run, "nan", log_every=2)
    config = espcn.get_config("x2")
    claim_workdir(folder / "same", config)
    message = refused(claim_workdir, folder / f"{number}", config, patience=0)
    found["folder"] = message.removeprefix(f"{folder / str(number)}: ")
    message = refused(check_shared, folder / f"run-{number}", patience=0)
    found["lost"] = message.partition(": ")[2]
    workdir.check_shared.__kwdefaults__["patience"] = 0
    shown = espcn.get_config("x2")
    shown.update_from_flattened_dict(json.loads(os.environ["KEYS"]))
    message = refused(train, shown, folder / f"run-{number}")
    found["before restoring"] = message.partition(": ")[2]
    config.seed = number
    found["config"] = refused(claim_workdir, folder / "seeds", config)
    model = models.create("espcn", scale=2)
    variables = model.init(jax.random.key(0), jnp.zeros((1, 16, 16, 1)))
    upscaler = Upscaler(model, variables)
    result = scoring.evaluate(upscaler, [photos], scale=2)
    found["scores"] = result["benchmarks"]
    found["error"] = refused(scoring.evaluate, upscaler, ["folder:nowhere"], scale=2)
print(json.dumps(found))
"""


def test_two_processes_agree(photos, tmp_path, monkeypatch):
    # A run of which only one process sees the folder.
    keys = _keys(photos, **{"train.steps": 1})
    config = espcn.get_config("x2")
    config.update_from_flattened_dict(keys)
    train(config, tmp_path / "run-0")
    monkeypatch.setenv("KEYS", json.dumps(keys))
    port = str(_free_port())
    program = ["-c", _MEETING, str(tmp_path), photos, port]
    printed = _finish(*(_start(*program, str(n), devices=2) for n in range(2)))
    one, other = (json.loads(text.splitlines()[-1]) for text in printed)
    assert one == other
    assert one["gathered"] == [[0.1, ""], [1.1, "long"]]
    assert one["agreed 0"] == [0, 0, 7, 0, 0]
    assert one["agreed 1"] == [0, 0, 0, 7, 0]
    # Only one of them got the signal, or saw its time pass.
    assert one["time is up"] == [1, [1]]
    assert one["signal"] == [4, [4]]
    assert one["loss"].startswith("the loss of step 1 is nan")
    assert "seed=0, process 1 with 1" in one["config"]
    blind = "processes [1] do not see there what process 0"
    assert one["folder"].startswith(blind)
    assert blind in one["lost"] and blind in one["before restoring"]
    assert not (tmp_path / "run-1").exists()
    assert "nowhere" in one["error"]

    model = models.create("espcn", scale=2)
    variables = model.init(jax.random.key(0), jnp.zeros((1, 16, 16, 1)))
    alone = scoring.evaluate(Upscaler(model, variables), [photos], scale=2)
    assert one["scores"] == alone["benchmarks"]


def test_two_processes_share_a_folders_pictures(photos, tmp_path):
    folder = Path(photos.removeprefix("folder:"))
    (folder / "broken.png").write_bytes(b"no picture")
    alone, together = tmp_path / "alone", tmp_path / "together"
    command = ["-m", "jaxsr.cli", "upscale", str(folder), "-n", "rcbam_lite_x2", "-o"]
    _start(*command, str(alone), devices=2).communicate(timeout=200)
    processes = _start_two(*command, str(together))
    errors = [process.communicate(timeout=200)[1] for process in processes]
    # Every other one; who meets a bad one says so by its code.
    assert [process.returncode for process in processes] == [0, 1]
    assert "broken.png" not in errors[0] and "broken.png: " in errors[1]
    for mine, text in zip((["0.png", "2.png"], ["1.png"]), errors, strict=True):
        written = [line for line in text.splitlines() if str(together) in line]
        assert [line.rpartition("/")[2] for line in written] == mine
    for name in ("0.png", "1.png", "2.png"):
        assert (together / name).read_bytes() == (alone / name).read_bytes()

    processes = _start_two(*command, str(together))
    errors = [process.communicate(timeout=200)[1] for process in processes]
    assert [process.returncode for process in processes] == [2, 2]
    assert all("exists already" in text for text in errors)


def test_a_process_that_has_nothing_left_to_do_when_another_fails(tmp_path):
    (tmp_path / "broken.png").write_bytes(b"no picture")
    command = ["-m", "jaxsr.cli", "upscale", str(tmp_path / "broken.png"), "-s", "2"]
    command += ["-n", "bicubic", "-o", str(tmp_path / "sr.png")]
    first, second = _start_two(*command, heartbeat=10)
    assert "broken.png: " in first.communicate(timeout=200)[1]
    errors = second.communicate(timeout=200)[1]
    assert second.returncode not in (0, None)
    *_, last = errors.splitlines()
    assert last.startswith("error: process 1 lost another process"), errors
    assert last.endswith("start all of them again with --skip-existing")
    assert errors.count("error") == 1 and "Traceback" not in errors


def test_processes_that_never_join_end_the_others(photos, tmp_path):
    port, timeout = _free_port(), 2
    command = [*_train(photos, tmp_path / "run"), f"--initialization_timeout={timeout}"]
    first = _start(*command, *_together(0, port), devices=2)
    second = _start(*command, *_together(1, _free_port()), devices=2)
    for number, process in enumerate((first, second)):
        _, errors = process.communicate(timeout=60)
        assert process.returncode == 1
        assert errors.startswith(f"error: process {number} waited {timeout} s at local")
        assert len(errors.splitlines()) == 1
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--distributed"], "give --coordinator_address"),
        (["--distributed", "--coordinator_address=localhost:1"], "--num_processes"),
    ],
)
def test_processes_that_cannot_be_told_say_what_to_give(flags, message, tmp_path):
    process = _start(*_train("sample", tmp_path / "run"), *flags, devices=2)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 2
    assert message in errors and len(errors.splitlines()) == 1
    assert not (tmp_path / "run").exists()
