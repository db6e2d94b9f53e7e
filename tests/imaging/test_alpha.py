"""Colours under zero alpha: taken from the nearest that are seen."""

import numpy as np
import pytest

from jaxsr.imaging import fill_transparent


def test_fill_transparent_keeps_what_is_seen():
    random = np.random.default_rng(0)
    image = random.integers(0, 256, (13, 18, 3), np.uint8)
    alpha = random.integers(0, 3, (13, 18, 1), np.uint8)
    filled = fill_transparent(image, alpha)
    assert filled.dtype == np.uint8
    seen = alpha[..., 0] > 0
    np.testing.assert_array_equal(filled[seen], image[seen])
    # A mean of what is seen is never outside of it.
    assert filled[~seen].min() >= image[seen].min()
    assert filled[~seen].max() <= image[seen].max()


@pytest.mark.parametrize("shape", [(1, 9), (9, 1), (7, 5)])
def test_fill_transparent_one_seen_pixel(shape):
    image = np.random.default_rng(0).integers(0, 65536, (*shape, 3)).astype(np.uint16)
    alpha = np.zeros((*shape, 1), np.uint16)
    alpha[-1, 0] = 1
    filled = fill_transparent(image, alpha)
    np.testing.assert_array_equal(filled, np.broadcast_to(image[-1, 0], filled.shape))


def test_fill_transparent_weighs_by_alpha():
    image = np.array([[[0], [100], [7]]], np.uint8)
    alpha = np.array([[[1], [3], [0]]], np.uint8)
    assert fill_transparent(image, alpha)[0, 2, 0] == 75


@pytest.mark.parametrize("alpha", [0, 255])
def test_fill_transparent_all_or_nothing_seen(alpha):
    image = np.random.default_rng(0).integers(0, 256, (4, 6, 1), np.uint8)
    alphas = np.full((4, 6, 1), alpha, np.uint8)
    np.testing.assert_array_equal(fill_transparent(image, alphas), image)
