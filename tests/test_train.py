"""train.py as people run it: real images, real checkpoints, real kills."""

import json
import logging
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxsr
from configs import rcbam
from jaxsr import models, scoring
from jaxsr.data import Source
from jaxsr.errors import InputError
from jaxsr.imaging import read_image, write_image
from jaxsr.training import train
from jaxsr.training.lock import WorkdirLock
from jaxsr.training.saved_run import load_run
from jaxsr.weights import Weights

_ROOT = Path(__file__).parents[1]


@pytest.fixture
def photos(tmp_path):
    """Three photos of scikit-image, cut small, as a folder source."""
    skimage = pytest.importorskip("skimage")
    data = Path(skimage.__file__).parent / "data"
    (tmp_path / "photos").mkdir()
    for name in ("chelsea", "coffee", "astronaut"):
        image = read_image(data / f"{name}.png")[100:196, 120:216]
        write_image(tmp_path / "photos" / f"{name}.png", image)
    return f"folder:{tmp_path / 'photos'}"


def _config(photos, **train_keys):
    config = rcbam.get_config("x2,cpu")
    config.name = "tiny"
    config.model.features = 4
    config.model.depth = 1
    config.data.train = photos
    config.data.patch_size = 12
    config.data.batch_size = 8
    config.eval.benchmarks = ""
    config.schedule.warmup_steps = 0  # runs are shorter
    config.train.steps = 6
    config.train.log_every = 1
    config.train.eval_every = 0
    config.train.checkpoint_every = 2
    config.train.max_minutes = None
    config.train.update(train_keys)
    return config


def _flags(photos, workdir):
    """Returns the command line that makes the same config."""
    keys = {
        "model.features": 4,
        "model.depth": 1,
        "data.train": photos,
        "data.patch_size": 12,
        "data.batch_size": 8,
        "eval.benchmarks": "",
        "schedule.warmup_steps": 0,
        "train.log_every": 1,
        "train.eval_every": 0,
        "train.checkpoint_every": 2,
    }
    flags = [f"--config.{key}={value}" for key, value in keys.items()]
    return [f"--workdir={workdir}", "--config=configs/rcbam_x2.py:cpu", *flags]


def _run(*arguments):
    return subprocess.run(
        [sys.executable, "train.py", *arguments],
        cwd=_ROOT,
        capture_output=True,
        text=True,
        timeout=300,
    )


def _assert_same_parameters(a, b):
    jax.tree.map(np.testing.assert_array_equal, load_run(a)[2], load_run(b)[2])


def test_train_resumed_equals_unbroken(photos, tmp_path):
    train(_config(photos), tmp_path / "unbroken")
    train(_config(photos, steps=3), tmp_path / "resumed")
    train(_config(photos), tmp_path / "resumed")
    assert load_run(tmp_path / "resumed")[3] == 6
    _assert_same_parameters(tmp_path / "unbroken", tmp_path / "resumed")


class _Mine(Source):
    """Noise, as a source of images of one's own."""

    name = "mine"

    def __len__(self) -> int:
        return 3

    def image_name(self, index: int) -> str:
        return f"noise{index}"

    def hr(self, index: int) -> np.ndarray:
        rng = np.random.default_rng(index)
        return rng.integers(0, 256, (40, 48, 3), dtype=np.uint8)


def test_train_from_python_gives_what_it_made_and_says_what_it_does(tmp_path, capsys):
    config = _config("div2k", steps=2)
    run = train(config, tmp_path / "run", source=_Mine())
    assert int(run.state.step) == 2
    assert (run.model.scale, run.numbers) == (2, {})
    jax.tree.map(
        np.testing.assert_array_equal, run.variables, load_run(tmp_path / "run")[2]
    )
    assert "step 2/2: loss" in capsys.readouterr().err
    train(config, tmp_path / "run", source=_Mine())
    assert "train.steps: 2 are done already, nothing is tr" in capsys.readouterr().err
    config.train.steps = 3
    train(config, tmp_path / "run", source=_Mine())
    assert "the images of mine are no files: that they are" in capsys.readouterr().err
    # The folder says what is in it, and is not continued with other images.
    with pytest.raises(InputError, match="data.train='mine', this config has 'div2k'"):
        train(config, tmp_path / "run")
    assert config.data.train == "div2k"
    assert logging.getLogger("jaxsr").level == logging.NOTSET


def test_train_needs_a_folder_or_a_name(photos):
    config = _config(photos)
    config.name = ""
    with pytest.raises(InputError, match="^name: expected one, or a workdir"):
        train(config)


def test_train_reports_table_and_picture(photos, tmp_path, capsys):
    config = _config(photos, steps=2, eval_every=2)
    config.eval.benchmarks = photos
    write_image(tmp_path / "small/a.png", np.zeros((20, 20, 3), np.uint8))
    config.data.train += f"+folder:{tmp_path}/small"
    config.data.skip_small = True
    train(config, tmp_path / "run")
    result = json.loads((tmp_path / "run" / "results.json").read_text())
    assert result["training_images"] == 3
    assert result["model"] == "rcbam"
    assert result["step"] == 2
    assert set(result["benchmarks"]["photos"]["images"]) == {
        "astronaut",
        "chelsea",
        "coffee",
    }
    assert "| bicubic | x2 |" in capsys.readouterr().out
    assert read_image(tmp_path / "run" / "comparison.png").shape[-1] == 3


def test_train_in_bfloat16_scores_what_evaluate_does(photos, tmp_path):
    config = _config(photos, steps=2, dtype="bfloat16")
    config.eval.benchmarks = photos
    run = train(config, tmp_path / "run")
    scored = scoring.evaluate(jaxsr.load(tmp_path / "run"), [photos], scale=2)
    assert run.numbers["benchmarks"] == scored["benchmarks"]


def test_train_lowers_the_loss_and_traces_steps(photos, tmp_path):
    config = _config(photos, steps=40, checkpoint_every=0, profile=True)
    # Without the bicubic picture in its output, the network starts far from it.
    config.model.image_skip = False
    train(config, tmp_path / "run")
    lines = (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()
    losses = [json.loads(line)["loss"] for line in lines]
    assert np.mean(losses[-10:]) < 0.7 * np.mean(losses[:10])
    (trace,) = tmp_path.glob("run/tensorboard/plugins/profile/*/*.trace.json.gz")
    assert trace.stat().st_size > 0


def test_train_refuses_a_workdir_of_another_config(photos, tmp_path):
    train(_config(photos, steps=1), tmp_path / "run")
    config = _config(photos)
    config.model.features = 8
    with pytest.raises(InputError, match="model.features=4, this config has 8"):
        train(config, tmp_path / "run")


def test_a_run_is_loaded_without_a_word_of_orbax(photos, tmp_path, caplog):
    train(_config(photos, steps=1), tmp_path / "run")
    caplog.set_level(logging.WARNING, logger="absl")
    load_run(tmp_path / "run")
    assert [record.message for record in caplog.records if record.name == "absl"] == []


def test_train_refuses_a_workdir_in_which_another_run_trains(photos, tmp_path):
    train(_config(photos, steps=1), tmp_path / "run")
    with (
        WorkdirLock(tmp_path / "run"),
        pytest.raises(InputError, match=f"process {os.getpid()} on .* training there"),
    ):
        train(_config(photos), tmp_path / "run")
    load_run(tmp_path / "run")
    train(_config(photos), tmp_path / "run")


def test_train_goes_on_with_a_lower_rate_and_clipping(photos, tmp_path):
    config = _config(photos, steps=2)
    train(config, tmp_path / "run")
    config.train.steps = 4
    config.optimizer.clip_norm = 1.0
    config.schedule.learning_rate /= 2
    with pytest.raises(InputError, match="change_recipe=True"):
        train(config, tmp_path / "run")
    config.train.change_recipe = True
    train(config, tmp_path / "run")
    assert load_run(tmp_path / "run")[3] == 4
    assert (tmp_path / "run" / "config-until-step-2.json").exists()


def test_train_starts_from_another_run_once(photos, tmp_path, caplog):
    train(_config(photos), tmp_path / "x2")
    caplog.set_level("INFO", logger="jaxsr")
    config = _config(photos, init_from=str(tmp_path / "x2"), steps=1)
    config.model.scale = 3
    # A rate at which nothing but the start shows in the parameters.
    config.schedule.learning_rate = 1e-9
    train(config, tmp_path / "x3")
    assert "variables); anew: params/tail/bias, params/tail/kernel" in caplog.text
    before, after = (load_run(tmp_path / name)[2]["params"] for name in ("x2", "x3"))
    np.testing.assert_allclose(
        after["head"]["kernel"], before["head"]["kernel"], atol=1e-6
    )

    # The run goes on from its own checkpoint, also where the other run is gone.
    (tmp_path / "x2").rename(tmp_path / "gone")
    config.train.steps = 2
    train(config, tmp_path / "x3")
    assert load_run(tmp_path / "x3")[3] == 2
    config.train.init_from = str(tmp_path / "gone")
    with pytest.raises(InputError, match="train.init_from='.*x2', this config has"):
        train(config, tmp_path / "x3")


def test_train_refuses_to_start_from_other_weights(photos, tmp_path):
    fields = {"scale": 2, "features": 4, "depth": 1}
    edsr = models.create("edsr", **fields)
    for name, variables in (
        ("edsr", edsr.init(jax.random.key(0), jnp.zeros((1, 8, 8, 3)))),
        ("rcbam", {"params": {"other": np.ones(3)}}),
    ):
        path = tmp_path / f"{name}.safetensors"
        Weights(name, fields, variables).save(path)
    for source, message in (
        (tmp_path / "edsr.safetensors", "expected weights of RCBAM, got EDSR"),
        (tmp_path / "rcbam.safetensors", "rcbam.safetensors: no parameter fits"),
        (tmp_path / "absent.safetensors", "absent.safetensors: no such weights file"),
        ("rcbam_x7", "no weights of rcbam x7 are published"),
        (tmp_path, "no run of jaxsr here"),
        ("rcbam", "train.init_from: rcbam: which scale"),
    ):
        config = _config(photos, init_from=str(source))
        with pytest.raises(InputError, match=message):
            train(config, tmp_path / "run")
        assert not (tmp_path / "run").exists()


def test_train_killed_at_any_step_ends_like_the_unbroken(photos, tmp_path):
    steps = "--config.train.steps=30"
    unbroken = _run(*_flags(photos, tmp_path / "unbroken"), steps)
    assert unbroken.returncode == 0, unbroken.stderr

    killed = tmp_path / "killed"
    process = subprocess.Popen(
        [sys.executable, "train.py", *_flags(photos, killed), steps],
        cwd=_ROOT,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    log, checkpoints = killed / "metrics.jsonl", killed / "checkpoints"
    at_step = 14  # tests/fuzz kills at others

    def reached() -> bool:
        done = [path for path in checkpoints.glob("*") if path.name.isdigit()]
        return bool(done) and len(log.read_text().splitlines()) >= at_step

    while not reached():
        assert process.poll() is None, "the run ended before it could be killed"
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    process.wait()

    resumed = _run(*_flags(photos, killed), steps)
    assert resumed.returncode == 0, resumed.stderr
    assert re.search(r"continuing from step \d+", resumed.stderr)
    _assert_same_parameters(tmp_path / "unbroken", killed)


@pytest.mark.parametrize(
    ("argument", "message"),
    [
        ("--config.train.stepz=3", "train.stepz: no such key, did you mean"),
        ("--config.train=3", "train: no key but a section, expected train.KEY, as"),
        ("--config.data.train=folder:nowhere", "folder:nowhere: no such folder"),
        ("--config=configs/rcbam_x2.py:laptop", "expected paper or cpu or sample"),
        ("--config=configs/rcbam.py", "expected x2, x3, x4 behind the colon"),
        ("--config.train.steps=-5", "train.steps: expected a whole number of at"),
        ("--heartbeat_timeout=-1", "expected a whole number of at least 1, got '-1'"),
        ("--config=configs/rcbam_x5.py", "rcbam_x5.py: no such config file"),
    ],
)
def test_train_bad_command_line_is_one_line_and_writes_nothing(
    argument, message, photos, tmp_path
):
    workdir = tmp_path / "run"
    flags = _flags(photos, workdir)
    if argument.startswith("--config="):
        flags = [f for f in flags if not f.startswith("--config")]
    result = _run(*flags, argument)
    assert result.returncode in (1, 2)
    assert message in result.stderr
    assert "Traceback" not in result.stderr
    assert not workdir.exists()


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("model.name", "rcbm", "^model.name: unknown .*, did you mean rcbam.$"),
        ("model.dtype", "float32", "^model.dtype: no such key, expected train.dtype"),
        (
            "model.features",
            0,
            "features: expected a whole number of at least 1, got 0$",
        ),
        ("model.pool_size", -1, "pool_size: .*at least 1 or None, got -1$"),
        ("train.steps", 0, "^train.steps: expected .*at least 1.*got 0$"),
        ("data.train", "div3k", "^data.train: unknown source 'div3k'.*div2k"),
        ("data.patch_size", 500, "none of its 3 images is as large as a patch"),
        ("data.patch_size", 60_000, "take 691 GB|take 1382 GB, expected at most 100"),
        ("data.batch_size", 12, "12 does not divide by the 8 cpu devices"),
        ("eval.benchmarks", "Set6", "^eval.benchmarks: unknown benchmark 'Set6'.*Set5"),
        (
            "eval.benchmarks",
            "sample,sample",
            "^eval.benchmarks: two .* called 'sample'",
        ),
        (
            "train.loss",
            "optax:l2_loss",
            "^train.loss: optax:l2_loss: expected .* float",
        ),
        ("eval.protocol", "y", "^eval.protocol: unknown protocol 'y': expected .*rgb"),
        ("train.dtype", "float8", "^train.dtype: expected .*bfloat16, got 'float8'"),
        ("train.remat", "all", "^train.remat: expected .*none, blocks, got 'all'"),
        (
            "train.loss",
            "huber",
            "^train.loss: unknown loss 'huber', expected .*charbonnier",
        ),
        (
            "schedule.schedule",
            "step",
            "^schedule.schedule: expected .*cosine.*, got 'step'",
        ),
        ("optimizer.name", "lion", "^optimizer.name: expected .*sgd or .*, got 'lion'"),
    ],
)
def test_train_bad_config_says_what_there_is(key, value, message, photos, tmp_path):
    config = _config(photos)
    config.update_from_flattened_dict({key: value})
    with pytest.raises(InputError, match=message):
        train(config, tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_train_benchmarks_that_are_not_scored_under_the_protocol(photos, tmp_path):
    config = _config(photos)
    config.eval.update(benchmarks="sample-photo", protocol="classic")
    message = "^eval.benchmarks: sample-photo: expected protocol rgb.*, got classic$"
    with pytest.raises(InputError, match=message):
        train(config, tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_train_own_network_that_could_not_be_opened_again(photos, tmp_path):
    class Hidden(models.Network):
        def forward(self, lr, *, train):
            raise AssertionError

    for model, message in (
        (Hidden(scale=2), "model: the run's folder could not be .* 'test.*Hidden'"),
        (
            models.create("bicubic", scale=2, channels=2),
            "model.channels: expected 1 or 3",
        ),
    ):
        with pytest.raises(InputError, match=message):
            train(_config(photos), tmp_path / "run", model=model)
    assert not (tmp_path / "run").exists()


def test_train_own_network_that_computes_in_another_type(photos, tmp_path):
    model = models.create("espcn", scale=2, dtype="bfloat16")
    message = "^train.dtype: expected bfloat16, in which .* computes, got float32$"
    with pytest.raises(InputError, match=message):
        train(_config(photos), tmp_path / "run", model=model)
    assert not (tmp_path / "run").exists()
