"""Scales that no network has: cascades, and MATLAB's bicubic down."""

from fractions import Fraction

import numpy as np
import pytest

from jaxsr.errors import InputError
from jaxsr.imaging import imresize
from jaxsr.inference import Cascade, Upscaler
from jaxsr.inference.cascade import choose_stages, read_scale
from jaxsr.loading import best_published, load, load_scaled


@pytest.mark.parametrize(
    ("scale", "stages"),
    [
        ("1.5", [2]),
        ("3.5", [4]),
        ("5", [3, 2]),
        ("6", [3, 2]),
        ("7", [4, 2]),
        ("8", [4, 2]),
        ("9", [3, 3]),
        ("10", [4, 3]),
        ("24", [4, 3, 2]),
    ],
)
def test_choose_stages_least_product(scale, stages):
    assert choose_stages(Fraction(scale), [2, 3, 4]) == stages


def test_choose_stages_of_one_network():
    assert choose_stages(Fraction(3), [2]) == [2, 2]
    assert choose_stages(Fraction(2), [3]) == [3]


@pytest.mark.parametrize(
    "scale", ["x2", "0.5", "65", "nan", "1/0", -2, "1e2000000000", "1e-2000000000"]
)
def test_read_scale_refuses(scale):
    with pytest.raises(InputError, match="scale: expected a number of at least 1"):
        read_scale(scale)


def test_cascade_is_one_run_after_the_other():
    image = np.random.default_rng(0).integers(0, 256, (7, 5, 3)).astype(np.uint8)
    four, two = load("rcbam_lite_x4"), load("rcbam_lite_x2")
    twice = two(four(image))
    np.testing.assert_array_equal(load_scaled(8, "rcbam_lite")(image), twice)
    seven = load_scaled(7, "rcbam_lite")
    assert isinstance(seven, Cascade)
    assert seven.output_shape(7, 5) == (49, 35)
    np.testing.assert_array_equal(
        seven([image])[0], imresize(twice, output_size=(49, 35))
    )
    smaller = load_scaled("3.5", "rcbam_lite")(image)
    expected = imresize(four(image), output_size=(25, 18))  # 24.5 x 17.5, rounded up
    np.testing.assert_array_equal(smaller, expected)


def test_compare_at_a_scale_that_no_network_has():
    """Bicubic beside it is of the same size."""
    photo = np.random.default_rng(0).integers(0, 256, (7, 5, 3)).astype(np.uint8)
    upscale = load_scaled("3.5", "rcbam_lite")
    figure = upscale.compare(photo, crop=2)
    assert [axis.get_title() for axis in figure.axes[:2]] == [
        "bicubic x3.5",
        "rcbam_lite x3.5",
    ]
    bicubic, ours = (np.asarray(axis.images[0].get_array()) for axis in figure.axes[:2])
    np.testing.assert_array_equal(bicubic, imresize(photo, output_size=(25, 18)))
    np.testing.assert_array_equal(ours, upscale(photo))


def test_load_scaled_for_photos():
    """After a network for photos the picture is clean, and the next is for those."""
    image = np.random.default_rng(0).integers(0, 256, (7, 5, 3)).astype(np.uint8)
    four = load("rcbam_lite_photo_x4")(image)
    three = load_scaled(3, degradation="photo")(image)
    np.testing.assert_array_equal(three, imresize(four, output_size=(21, 15)))
    eight = load_scaled(8, degradation="photo")(image)
    np.testing.assert_array_equal(eight, load(best_published(2))(four))
    assert best_published(2, "photo") == "rcbam_lite_photo_x2"
    # Chosen by name too.
    named = load_scaled(8, "rcbam_lite_photo")
    np.testing.assert_array_equal(named(image), load("rcbam_lite_x2")(four))
    said = named.describe()
    assert "rcbam_lite_photo_x4" in said and "weights rcbam_lite_x2" in said


def test_load_scaled_one_network_that_has_it():
    for scale in (2, 2.0, "2"):
        assert isinstance(load_scaled(scale), Upscaler)
    assert load_scaled(1.5, "rcbam_lite_x2").scale == Fraction(3, 2)
    with pytest.raises(InputError, match="rcbam_lite_x2: expected x4, got x2"):
        load_scaled(4, "rcbam_lite_x2")
    with pytest.raises(InputError, match="expected at most x2, that of the weights"):
        load_scaled(2.5, "rcbam_lite_x2")
