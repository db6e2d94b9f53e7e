"""SCN against its description, one patch at a time in NumPy."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxsr import models
from jaxsr.errors import InputError
from jaxsr.imaging import imresize

pytestmark = pytest.mark.usefixtures("strict")


def _soft(x):
    return np.sign(x) * np.maximum(np.abs(x) - 1, 0)


def _patchwise(image, params):
    """One stage on a luma image `[H, W]`, steps 1 to 4 of the module's docstring."""
    large = np.pad(imresize(image, 2), 6, mode="symmetric")
    h, w = 2 * image.shape[0], 2 * image.shape[1]
    encode = params["encode"].transpose(2, 0, 1, 3).reshape(100, -1)
    total = np.zeros((h + 8, w + 8))
    # Patch (i, j) is centred on pixel (i - 2, j - 2) of the enlarged image.
    for i in range(h + 4):
        for j in range(w + 4):
            window = large[i : i + 9, j : j + 9]
            features = np.array(
                [
                    np.sum(window[a : a + 5, b : b + 5] * params["filters"][..., 0, f])
                    for f in range(4)
                    for a in range(5)
                    for b in range(5)
                ]
            )
            codes = features / np.linalg.norm(features) @ encode
            codes = _soft(_soft(codes) @ params["feedback"] + codes)
            fine = codes @ params["decode"]
            length = np.linalg.norm(fine)
            low = window[2:7, 2:7]
            if length > 0:
                fine *= 1.1 * np.linalg.norm(low - low.mean()) / length
            patch = low.mean() / 25 + (fine * params["combine"]).reshape(5, 5)
            total[i : i + 5, j : j + 5] += patch
    return total[4:-4, 4:-4]


def test_scn_stage_equals_patchwise_description():
    model = models.create("scn", scale=2, atoms=40)
    image = np.random.default_rng(0).uniform(size=(4, 5)).astype(np.float32)
    lr = jnp.asarray(image[None, ..., None])
    params = jax.device_get(jax.jit(model.init)(jax.random.key(0), lr)["params"])
    rng = np.random.default_rng(1)
    params = jax.tree.map(
        lambda a: a + 0.1 * rng.standard_normal(a.shape).astype(np.float32), params
    )
    sr = jax.jit(model.apply)({"params": params}, lr)[0, ..., 0]
    expected = _patchwise(image.astype(np.float64), params["stage0"])
    np.testing.assert_allclose(sr, expected, atol=1e-4)


def test_scn_black_picture_stays_black_and_has_gradients():
    model = models.create("scn", scale=2, atoms=16)
    lr = jnp.zeros((1, 5, 6, 1))
    variables = jax.jit(model.init)(jax.random.key(0), lr)

    def total(variables):
        sr = jnp.asarray(model.apply(variables, lr))
        return jnp.sum(sr), sr

    gradients, sr = jax.jit(jax.grad(total, has_aux=True))(variables)
    np.testing.assert_allclose(sr, 0.0, atol=1e-5)
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(gradients))


def test_scn_colour_raises():
    with pytest.raises(InputError, match="SCN: channels: expected 1, for luma"):
        models.create("scn", scale=2, channels=3)
