"""Photos' LR images: made inside of the training step, and as benchmark sets."""

import hashlib

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from scipy import ndimage
from skimage import data

from jaxsr import models, scoring
from jaxsr.data import open_benchmark
from jaxsr.data.photo import MARGIN, blur, photo_batch
from jaxsr.data.photo import _filters as filters
from jaxsr.errors import InputError
from jaxsr.imaging import imresize
from jaxsr.inference import Upscaler
from jaxsr.protocols import get_protocol
from jaxsr.training.losses import l1
from jaxsr.training.mesh import replicate, shard_batch
from jaxsr.training.state import create_state
from jaxsr.training.step import degrade_first, make_step, map_step


def patches(count=4, scale=2, size=16):
    side = scale * (size + 2 * MARGIN)
    image = data.astronaut()
    return np.stack(
        [image[40 * i : 40 * i + side, 60 * i : 60 * i + side] for i in range(count)]
    )


def test_blur_is_the_gaussian_of_its_deviations():
    image = data.chelsea()[:60, :80].astype(np.float64) / 255
    for deviations, angle, sigma in (
        ((1.3, 1.3), 0.7, (1.3, 1.3)),
        ((2.0, 0.8), 0.0, (0.8, 2.0)),  # the first along the rows
        ((2.0, 0.8), np.pi / 2, (2.0, 0.8)),
    ):
        ours = blur(jnp.asarray(image), jnp.asarray(deviations), jnp.asarray(angle))
        expected = ndimage.gaussian_filter(
            image, sigma, mode="wrap", axes=(0, 1), truncate=8
        )
        np.testing.assert_allclose(ours, expected, atol=2e-3)
    same = blur(jnp.asarray(image), jnp.zeros(2), jnp.asarray(0.3))
    np.testing.assert_allclose(same, image, atol=1e-6)


@pytest.mark.parametrize("scale", [2, 3, 4])
def test_filters_are_bicubic_bilinear_and_area(scale):
    image = data.camera()[: 12 * scale, :5].astype(np.float64)
    bicubic, bilinear, area = filters(12 * scale, scale) @ image
    expected = imresize(image, output_size=(12, 5))
    np.testing.assert_allclose(bicubic, expected, atol=1e-3)
    expected = jax.image.resize(image, (12, 5), "linear", antialias=True)
    np.testing.assert_allclose(bilinear, expected, rtol=1e-4)
    np.testing.assert_allclose(area, image.reshape(12, scale, 5).mean(axis=1), 1e-4)


@pytest.fixture(scope="module")
def make():
    """`photo_batch` of four patches at x2, compiled once: seconds."""
    return jax.jit(
        lambda hr, step, rows, seed: photo_batch(hr, step, rows, scale=2, seed=seed)
    )


def test_patches_depend_on_seed_step_and_row_alone(make):
    hr = patches()
    batch = make(hr, 5, jnp.arange(4), 0)
    np.testing.assert_array_equal(
        batch["hr"], hr[:, 2 * MARGIN : -2 * MARGIN, 2 * MARGIN : -2 * MARGIN]
    )
    lr = np.asarray(batch["lr"])
    assert lr.shape == (4, 16, 16, 3)
    np.testing.assert_allclose(lr * 255, np.round(lr * 255), atol=1e-3)
    elsewhere = make(hr[[2, 3, 0, 0]], 5, jnp.array([2, 3, 8, 9]), 0)["lr"]
    np.testing.assert_allclose(lr[2:], elsewhere[:2], atol=1e-6)
    for other in (make(hr, 6, jnp.arange(4), 0), make(hr, 5, jnp.arange(4), 1)):
        assert np.abs(other["lr"] - lr).mean() > 1 / 255


def test_lr_and_hr_show_the_same_place(make):
    """Also after blur, noise and JPEG: no LR pixel of a smooth picture is far off."""
    ramp = np.linspace(0.2, 0.8, 48)
    hr = np.broadcast_to(np.add.outer(ramp, ramp)[..., None] / 2, (4, 48, 48, 3))
    hr = np.float32(hr)
    batches = [make(hr, 0, jnp.arange(k, k + 4), 0) for k in (0, 4)]
    expected = np.asarray(batches[0]["hr"]).reshape(4, 16, 2, 16, 2, 3).mean((2, 4))
    error = np.concatenate([batch["lr"] - expected for batch in batches])
    assert abs(error.mean()) < 0.002
    assert np.abs(error.mean(axis=(0, 3))).max() < 0.015


def test_step_does_not_depend_on_the_number_of_devices():
    # Any that trains: what counts is before it.
    model = models.create("edsr", scale=2, features=4, depth=1)
    hr = patches()
    batch = {"lr": np.zeros((4, 24, 24, 3), np.uint8), "hr": hr}

    def loss_on(count: int) -> float:
        mesh = jax.sharding.Mesh(np.array(jax.devices()[:count]), ("data",))
        optimizer = optax.sgd(1.0)
        state = create_state(model, optimizer, seed=0, channels=3, use_ema=False)
        step = degrade_first(
            make_step(model, optimizer, l1, ema_decay=0.0),
            lambda hr, step, rows: photo_batch(hr, step, rows, scale=2, seed=0),
        )
        step = map_step(step, mesh=mesh)
        _, metrics = step(replicate(state, mesh), shard_batch(batch, mesh))
        return float(metrics["loss"])

    alone = loss_on(1)
    assert [loss_on(2), loss_on(4)] == pytest.approx([alone, alone], rel=1e-5)


def test_photo_sets_stay_the_same():
    """Their seed is part of what they are: every digit of a table hangs on it."""
    source = open_benchmark("sample-photo")
    assert source.name == "sample-photo"
    lr = source.lr(0, 2)
    assert lr.shape == (150, 225, 3)
    assert hashlib.sha256(lr.tobytes()).hexdigest()[:16] == "c01e1390a1777260"
    np.testing.assert_array_equal(lr, open_benchmark("sample-photo").lr(0, 2))
    assert (source.hr(0) == open_benchmark("sample").hr(0)).all()


def test_networks_are_scored_from_photo_sets_own_lr():
    bicubic = Upscaler(models.create("bicubic", scale=2), {})
    names = ["sample", "sample-photo"]
    scores = scoring.evaluate(bicubic, names, scale=2)["benchmarks"]
    source = open_benchmark("sample-photo")
    rules = get_protocol("rgb")
    expected = [
        rules.score(imresize(source.lr(i, 2), 2), source.hr(i), 2)["psnr"]
        for i in range(2)
    ]
    assert scores["sample-photo"]["psnr"] == pytest.approx(np.mean(expected))
    assert scores["sample-photo"]["psnr"] < scores["sample"]["psnr"] - 1
    with pytest.raises(InputError, match="expected protocol rgb"):
        scoring.evaluate(bicubic, names, scale=2, protocol="classic")
