"""The device pipeline: its draws, its sheets, and whole runs on it."""

import functools
import json
import os
import subprocess
import sys
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from configs import rcbam
from jaxsr import models
from jaxsr.data import open_source
from jaxsr.data.device_pipeline import DoesNotFitError, draw_batch, load_images
from jaxsr.data.pairs import read_pair
from jaxsr.errors import InputError
from jaxsr.imaging import read_image, write_image
from jaxsr.training import train
from jaxsr.training.losses import mse
from jaxsr.training.mesh import replicate
from jaxsr.training.saved_run import load_run
from jaxsr.training.state import create_state
from jaxsr.training.step import make_step, map_steps
from tests.coordinates import SIZES, Coordinates

_ROOT = Path(__file__).parents[1]


def _mesh(devices):
    return Mesh(np.array(jax.devices()[:devices]), ("data",))


def _load(source, *, devices=1, **options):
    sharding = NamedSharding(_mesh(devices), PartitionSpec())
    return load_images(
        source, sharding=sharding, **(dict(scale=2, patch_size=6) | options)
    )


def _draw(images, steps, *, rows=range(4), **options):
    """Returns the patches of several steps, [steps, rows, ...], as signed numbers."""
    options = dict(batch_size=4, patch_size=6, seed=3) | options

    @jax.jit
    def draw(images, steps):
        return jax.vmap(
            lambda step: draw_batch(images, step, jnp.array(rows), **options)
        )(steps)

    batches = draw(images, jnp.array(steps))
    assert batches["lr"].dtype == batches["hr"].dtype == jnp.uint8
    return {name: np.asarray(value, int) for name, value in batches.items()}


@pytest.mark.parametrize("scale", [2, 3, 4])
def test_draw_batch_aligned_crops_in_all_eight_turns(scale):
    images = _load(Coordinates(SIZES, scale=scale), scale=scale)
    batches = _draw(images, range(64))
    lr, hr = batches["lr"].reshape(256, 6, 6, 3), batches["hr"]
    # The mean of the HR pixels below an LR pixel is at that pixel's place.
    blocks = hr.reshape(256, 6, scale, 6, scale, 3).mean(axis=(2, 4))
    np.testing.assert_allclose(
        blocks[..., :2], scale * lr[..., :2] + (scale - 1) / 2, atol=1e-12
    )
    np.testing.assert_array_equal(blocks[..., 2], lr[..., 2])
    # One image in the whole patch, and the direction in which coordinates grow.
    assert (lr[..., 2] == lr[:, :1, :1, 2]).all()
    turns = {
        tuple((patch[1, 0] - patch[0, 0])[:2]) + tuple((patch[0, 1] - patch[0, 0])[:2])
        for patch in lr
    }
    flips = [(a, b) for a in (1, -1) for b in (1, -1)]
    assert turns == {(a, 0, 0, b) for a, b in flips} | {(0, a, b, 0) for a, b in flips}


def test_draw_batch_turns_are_independent():
    lr = _draw(_load(Coordinates([(6, 6)])), range(1000))["lr"].reshape(-1, 6, 6, 3)
    transposed = lr[:, 0, 0, 0] == lr[:, 0, 1, 0]
    downwards = lr[:, 5, 5, 0] > lr[:, 0, 0, 0]
    rightwards = lr[:, 5, 5, 1] > lr[:, 0, 0, 1]
    counts = np.bincount(4 * ~transposed + 2 * downwards + rightwards, minlength=8)
    # 4000 draws of 8 kinds: 500 each, standard deviation 21.
    assert counts.min() > 400 and counts.max() < 600


def test_draw_batch_places_are_uniform_without_augmentation():
    images = _load(Coordinates([(9, 10)]))
    lr = _draw(images, range(600), augment=False)["lr"].reshape(-1, 6, 6, 3)
    np.testing.assert_array_equal(np.diff(lr[..., 0], axis=1), 1)
    np.testing.assert_array_equal(np.diff(lr[..., 1], axis=2), 1)
    counts = np.bincount(5 * lr[:, 0, 0, 0] + lr[:, 0, 0, 1], minlength=20)
    # 2400 draws of 4 x 5 places: 120 each, standard deviation 11.
    assert len(counts) == 20 and counts.min() > 70 and counts.max() < 170


@pytest.mark.parametrize("batch_size", [1, 4, 15])
@pytest.mark.parametrize("first_step", [0, 10**9])
def test_draw_batch_visits_every_image_once_an_epoch(batch_size, first_step):
    # At the late step, samples are counted beyond 2^31.
    steps = first_step + np.arange(60 // batch_size)
    lr = _draw(
        _load(Coordinates(SIZES)), steps, rows=range(batch_size), batch_size=batch_size
    )["lr"]
    numbers = lr[..., 0, 0, 2].reshape(-1, 5)
    np.testing.assert_array_equal(np.sort(numbers), [range(5)] * 12)
    assert len({tuple(epoch) for epoch in numbers}) > 6


def test_draw_batch_depends_on_seed_step_and_row_alone():
    images = _load(Coordinates(SIZES))
    whole = _draw(images, range(23))
    later = _draw(images, range(17, 23), rows=[2, 3])
    for name in ("lr", "hr"):
        np.testing.assert_array_equal(later[name], whole[name][17:, 2:])
    assert not np.array_equal(whole["lr"], _draw(images, range(23), seed=4)["lr"])


@pytest.mark.parametrize("channels", [1, 3])
def test_load_images_holds_every_pair_once(channels, tmp_path):
    rng = np.random.default_rng(0)
    for number in range(60):
        height, width = rng.integers(12, 90, 2)
        image = rng.integers(0, 256, (height, width, 3), dtype=np.uint8)
        write_image(tmp_path / f"{number:02d}.png", image)
    source = open_source(f"folder:{tmp_path}")
    images = _load(source, channels=channels, devices=2)
    assert images.lr.is_fully_replicated and len(images.lr.sharding.device_set) == 2
    lr, hr = (
        np.asarray(s).reshape(len(s), -1, channels) for s in (images.lr, images.hr)
    )
    area = 0
    for index, (top, left, height, width) in enumerate(np.asarray(images.places)):
        pair = read_pair(source, index, scale=2, channels=channels)
        on_sheet = np.s_[top : top + height, left : left + width]
        np.testing.assert_array_equal(lr[on_sheet], pair.lr)
        on_sheet = np.s_[2 * top : 2 * (top + height), 2 * left : 2 * (left + width)]
        np.testing.assert_array_equal(hr[on_sheet], pair.hr)
        area += height * width
    assert area > 0.85 * lr.shape[0] * lr.shape[1]


def test_load_images_larger_than_the_limit_says_the_sizes():
    # Images of 1620, 2400 and 960 bytes.
    with pytest.raises(
        DoesNotFitError,
        match=r"coordinates does not fit.* 3 of its 5 images take 4.98e-06 GB and may "
        r"take 4.5e-06 GB of each cpu",
    ):
        _load(Coordinates(SIZES), memory_limit_gb=4.5e-6)


def test_load_images_smaller_than_a_patch(caplog):
    with pytest.raises(InputError, match="number1 is 16x40, smaller than a patch"):
        _load(Coordinates(SIZES), patch_size=9)
    assert len(_load(Coordinates(SIZES), patch_size=9, skip_small=True)) == 3
    assert "left out 2 of 5 images" in caplog.text


def _steps(devices):
    """Returns compiled steps, a state and images for them."""
    mesh = _mesh(devices)
    # Without the picture's skip, every parameter has a gradient from the start.
    model = models.create("rcbam", scale=2, features=4, depth=1, image_skip=False)
    optimizer = optax.sgd(0.1)
    draw = functools.partial(draw_batch, batch_size=8, patch_size=6, seed=0)
    steps = map_steps(
        make_step(model, optimizer, mse, ema_decay=0.0),
        mesh=mesh,
        draw=draw,
        batch_size=8,
    )
    state = create_state(model, optimizer, seed=0, channels=3, use_ema=False)
    return steps, replicate(state, mesh), _load(open_source("sample-eval"))


def _run(devices, counts):
    steps, state, images = _steps(devices)
    images = replicate(images, _mesh(devices))
    losses = []
    for count in counts:
        state, metrics = steps(state, images, count)
        losses += list(np.atleast_1d(metrics["loss"]))
    return losses, jax.device_get(state)


@pytest.fixture(scope="module")
def one_device():
    return _run(1, [1, 1, 1])


@pytest.mark.parametrize(("devices", "counts"), [(8, [1, 1, 1]), (1, [3])])
def test_map_steps_equals_single_steps_on_one_device(devices, counts, one_device):
    losses, state = _run(devices, counts)
    expected_losses, expected = one_device
    assert state.step == 3
    np.testing.assert_allclose(losses, expected_losses, rtol=1e-4)
    jax.tree.map(
        lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-3, atol=1e-5),
        state.params,
        expected.params,
    )


def test_map_steps_reads_images_in_place():
    steps, state, images = _steps(1)
    memory = steps.lower(state, images, 2).compile().memory_analysis()
    assert memory.temp_size_in_bytes < images.nbytes < memory.argument_size_in_bytes


@pytest.fixture
def photos(tmp_path):
    skimage = pytest.importorskip("skimage")
    data = Path(skimage.__file__).parent / "data"
    (tmp_path / "photos").mkdir()
    for name in ("chelsea", "coffee", "astronaut"):
        image = read_image(data / f"{name}.png")[100:196, 120:216]
        write_image(tmp_path / "photos" / f"{name}.png", image)
    return f"folder:{tmp_path / 'photos'}"


def _config(photos, **keys):
    config = rcbam.get_config("x2,cpu")
    config.model.update(features=4, depth=1, image_skip=False)
    config.data.update(train=photos, patch_size=12, batch_size=8, pipeline="device")
    config.eval.benchmarks = ""
    config.schedule.warmup_steps = 0  # runs are shorter
    config.train.update(
        steps=8, log_every=2, eval_every=0, checkpoint_every=2, max_minutes=None
    )
    config.update_from_flattened_dict(keys)
    return config


def _lines(workdir):
    lines = (workdir / "metrics.jsonl").read_text().splitlines()
    return [json.loads(line) for line in lines]


def _losses(workdir):
    return [line["loss"] for line in _lines(workdir)]


@pytest.mark.parametrize("steps_per_dispatch", [1, 2])
def test_train_resumed_equals_unbroken(steps_per_dispatch, photos, tmp_path):
    keys = {"train.steps_per_dispatch": steps_per_dispatch}
    train(_config(photos, **keys), tmp_path / "unbroken")
    train(_config(photos, **keys, **{"train.steps": 4}), tmp_path / "resumed")
    train(_config(photos, **keys), tmp_path / "resumed")
    unbroken, resumed = load_run(tmp_path / "unbroken"), load_run(tmp_path / "resumed")
    assert unbroken[3] == resumed[3] == 8
    jax.tree.map(np.testing.assert_array_equal, unbroken[2], resumed[2])
    assert len(_losses(tmp_path / "resumed")) == 4


def test_train_learns_as_with_tfdata(photos, tmp_path):
    keys = {"train.steps": 60, "train.log_every": 10, "train.checkpoint_every": 0}
    finals = []
    for pipeline in ("device", "tfdata"):
        keys["data.pipeline"] = pipeline
        train(_config(photos, **keys), tmp_path / pipeline)
        losses = _losses(tmp_path / pipeline)
        assert losses[-1] < 0.6 * losses[0]
        finals.append(np.mean(losses[-3:]))
    np.testing.assert_allclose(*finals, rtol=0.15)


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ({"data.pipeline": "gpu"}, "expected one of auto, device, tfdata, got 'gpu'"),
        ({"data.memory_limit_gb": 1e-5}, "photos does not fit on the device"),
        ({"train.steps_per_dispatch": 3}, "a divisor of train.log_every=2, got 3"),
        ({"train.steps_per_dispatch": -1}, "got -1"),
        (
            {"train.steps_per_dispatch": 2, "data.pipeline": "tfdata"},
            "2 steps at a time need data.pipeline=device",
        ),
    ],
)
def test_train_bad_pipeline_says_what_there_is(keys, message, photos, tmp_path):
    with pytest.raises(InputError, match=message):
        train(_config(photos, **keys), tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_train_where_tensorflow_is_not_installed(photos, tmp_path):
    # To import a name that is None in sys.modules fails as if it were not installed.
    code = (
        "import sys\n"
        "sys.modules['tensorflow'] = sys.modules['tensorflow_datasets'] = None\n"
        "import train\n"
        "sys.exit(train.main())\n"
    )
    workdir = tmp_path / "run"
    flags = {
        "model.features": 4,
        "model.depth": 1,
        "data.train": photos,
        "data.pipeline": "auto",
        "data.patch_size": 12,
        "data.batch_size": 4,
        "eval.benchmarks": photos,
        "train.steps": 4,
        "train.eval_every": 2,
        "train.checkpoint_every": 2,
    }
    result = subprocess.run(
        [
            *(sys.executable, "-c", code),
            *("--config=configs/rcbam_x2.py:cpu", f"--workdir={workdir}"),
            *(f"--config.{key}={value}" for key, value in flags.items()),
        ],
        cwd=_ROOT,
        env={**os.environ, "PYTHONPATH": str(_ROOT)},
        capture_output=True,
        text=True,
    )
    assert result.returncode == 0, result.stderr
    assert "3 images on the device" in result.stderr
    assert "| rcbam | x2 |" in result.stdout
    assert {p.name for p in (workdir / "checkpoints").iterdir()} >= {"2", "4"}
    assert list((workdir / "tensorboard").iterdir())
    assert [line["step"] for line in _lines(workdir) if "psnr" in line] == [2, 4]
