"""Colour conversion against the values that MATLAB documents."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxsr.errors import InputError
from jaxsr.imaging import rgb_to_y, rgb_to_ycbcr, ycbcr_to_rgb

# BT.601's colour bars at 100 %, in studio range: ITU-R BT.801, Table 1 (RGB, YCbCr).
BARS = [
    ((255, 255, 255), (235, 128, 128)),
    ((255, 255, 0), (210, 16, 146)),
    ((0, 255, 255), (170, 166, 16)),
    ((0, 255, 0), (145, 54, 34)),
    ((255, 0, 255), (106, 202, 222)),
    ((255, 0, 0), (81, 90, 240)),
    ((0, 0, 255), (41, 240, 110)),
    ((0, 0, 0), (16, 128, 128)),
]


@pytest.mark.parametrize("library", [np, jnp])
@pytest.mark.parametrize(("rgb", "ycbcr"), BARS)
def test_rgb_to_ycbcr_colour_bars(library, rgb, ycbcr):
    pixel = library.asarray(rgb, dtype=np.uint8)
    result = rgb_to_ycbcr(pixel)
    assert isinstance(result, np.ndarray) == (library is np)
    np.testing.assert_array_equal(result, np.asarray(ycbcr, np.uint8))


def test_rgb_to_y_uint8_rounds_half_up():
    image = np.random.default_rng(0).integers(0, 256, (64, 64, 3)).astype(np.uint8)
    # Integers throughout: 1000 * 255 * (Y + 1/2).
    weighed = image.astype(np.int64) @ np.array([65481, 128553, 24966])
    expected = (weighed + 16 * 255000 + 127500) // 255000
    np.testing.assert_array_equal(rgb_to_y(image)[..., 0], expected)
    np.testing.assert_array_equal(rgb_to_y(jnp.asarray(image))[..., 0], expected)
    np.testing.assert_array_equal(rgb_to_ycbcr(image)[..., :1], rgb_to_y(image))


def test_rgb_to_y_float_keeps_fractions():
    image = np.random.default_rng(1).random((5, 6, 3))
    red, green, blue = np.moveaxis(image, -1, 0)
    expected = (16 + 65.481 * red + 128.553 * green + 24.966 * blue) / 255
    result = rgb_to_y(image)
    assert result.dtype == np.float64 and result.shape == (5, 6, 1)
    np.testing.assert_allclose(result[..., 0], expected, rtol=0, atol=1e-15)
    on_device = jax.jit(rgb_to_y)(image.astype(np.float32))
    assert on_device.dtype == jnp.float32
    np.testing.assert_allclose(on_device[..., 0], expected, rtol=0, atol=1e-6)


def test_ycbcr_to_rgb_inverts():
    image = np.random.default_rng(2).random((4, 4, 3))
    np.testing.assert_allclose(ycbcr_to_rgb(rgb_to_ycbcr(image)), image, atol=1e-14)
    whole = np.random.default_rng(3).integers(0, 256, (32, 32, 3)).astype(np.uint8)
    back = ycbcr_to_rgb(rgb_to_ycbcr(whole))
    # YCbCr has fewer levels than RGB, so a round trip is off by a level or two.
    assert back.dtype == np.uint8
    assert np.abs(back.astype(int) - whole).max() <= 2


def test_ycbcr_to_rgb_clips_what_no_rgb_has():
    assert ycbcr_to_rgb(np.array([255, 255, 255], np.uint8)).tolist() == [255, 125, 255]


@pytest.mark.parametrize("function", [rgb_to_y, rgb_to_ycbcr, ycbcr_to_rgb])
def test_colour_bad_image(function):
    with pytest.raises(InputError, match=r"\[..., 3\], got \(4, 4, 1\)"):
        function(np.zeros((4, 4, 1), np.uint8))
    with pytest.raises(InputError, match="uint8 or float, got int32"):
        function(np.zeros((4, 4, 3), np.int32))
