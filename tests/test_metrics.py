"""PSNR, SSIM and the protocols, against MATLAB's printed values and scikit-image."""

import json

import numpy as np
import pytest
from skimage.metrics import structural_similarity

from jaxsr.errors import InputError
from jaxsr.imaging import imresize, read_image, rgb_to_y
from jaxsr.metrics import psnr, ssim
from jaxsr.protocols import PROTOCOLS, get_protocol

pytestmark = pytest.mark.usefixtures("strict")


def _pair(shape, seed=0):
    """Returns a smooth-ish uint8 image and a noisy version of it."""
    rng = np.random.default_rng(seed)
    rows, columns = np.indices(shape[:2])
    smooth = 110 + 70 * np.sin(rows / 7) * np.cos(columns / 5)
    image = np.broadcast_to(smooth[..., None], shape) + rng.normal(0, 12, shape)
    noisy = image + rng.normal(0, 9, shape)
    return tuple(np.clip(np.rint(x), 0, 255).astype(np.uint8) for x in (image, noisy))


def _skimage_ssim(a, b):
    """SSIM of the same window in scikit-image, averaged over its valid region.

    Its own mean crops by its truncated radius of 5, which is that region.
    """
    return structural_similarity(
        a.astype(np.float64),
        b.astype(np.float64),
        data_range=255,
        gaussian_weights=True,
        sigma=1.5,
        use_sample_covariance=False,
    )


def test_psnr_of_a_constant_difference():
    a = np.full((4, 6), 100, np.uint8)
    # Mean squared error 25: 10 log10(255^2 / 25).
    assert psnr(a, a + 5) == pytest.approx(34.1514, abs=1e-4)
    assert psnr(a / 255, (a + 5) / 255, peak=1) == pytest.approx(34.1514, abs=1e-4)


def test_psnr_of_uint8_does_not_wrap_around():
    a, b = np.full((2, 2), 3, np.uint8), np.full((2, 2), 5, np.uint8)
    assert psnr(a, b) == psnr(b, a) == pytest.approx(42.1102, abs=1e-4)


def test_psnr_of_equal_images_is_infinite():
    a, _ = _pair((9, 9, 1))
    assert psnr(a, a) == float("inf")


def test_psnr_refuses_two_shapes_and_colour():
    with pytest.raises(InputError, match=r"one shape.*\[4, 4\] and \[4, 5\]"):
        psnr(np.zeros((4, 4)), np.zeros((4, 5)))
    with pytest.raises(InputError, match="one-channel"):
        psnr(np.zeros((4, 4, 3)), np.zeros((4, 4, 3)))


@pytest.mark.parametrize("shape", [(11, 11, 1), (40, 57, 1), (128, 96, 1)])
def test_ssim_equals_scikit_image(shape):
    a, b = _pair(shape)
    expected = _skimage_ssim(a[..., 0], b[..., 0])
    assert 0.1 < expected < 0.99
    assert ssim(a, b) == pytest.approx(expected, abs=1e-6)


def test_ssim_equals_scikit_image_on_set5(data_dir):
    folder = data_dir / "benchmarks/Set5"
    butterfly = rgb_to_y(read_image(folder / "HR/butterfly.png"))
    low = rgb_to_y(read_image(folder / "LR_bicubic/X2/butterflyx2.png"))
    sr = imresize(low, 2)
    expected = _skimage_ssim(sr[..., 0], butterfly[..., 0])
    assert ssim(sr, butterfly) == pytest.approx(expected, abs=1e-6)


def test_ssim_of_equal_images_is_one():
    a, _ = _pair((20, 20, 1))
    assert ssim(a, a) == pytest.approx(1, abs=1e-12)


def test_ssim_scales_with_peak():
    a, b = _pair((20, 30, 1))
    assert ssim(a / 255, b / 255, peak=1) == pytest.approx(ssim(a, b), abs=1e-12)


def test_ssim_refuses_an_image_smaller_than_its_window():
    with pytest.raises(InputError, match=r"11x11 pixels, got \[10, 30\]"):
        ssim(np.zeros((10, 30)), np.zeros((10, 30)))


@pytest.mark.parametrize("scale", [2, 3, 4])
def test_rgb_score_equals_the_published_matlab_numbers(data_dir, scale):
    published = data_dir / "published/RCAN_Set5"
    expected = json.loads((published / "matlab_psnr_ssim.json").read_text())
    for name, numbers in expected[f"X{scale}"].items():
        sr = read_image(published / f"X{scale}" / f"{name}.png")
        hr = read_image(data_dir / "benchmarks/Set5/HR" / f"{name}.png")
        assert PROTOCOLS["rgb"].score(sr, hr, scale) == pytest.approx(numbers, abs=2e-6)


@pytest.mark.parametrize("scale", [2, 3, 4])
def test_rgb_degrade_equals_matlabs_files(data_dir, scale):
    folder = data_dir / "benchmarks/Set5"
    for hr in sorted((folder / "HR").glob("*.png")):
        lr = read_image(folder / f"LR_bicubic/X{scale}" / f"{hr.stem}x{scale}.png")
        np.testing.assert_array_equal(
            PROTOCOLS["rgb"].degrade(read_image(hr), scale, channels=1), lr
        )


def test_rgb_score_rounds_float_images_to_uint8():
    hr, sr = _pair((30, 34, 3))
    score = PROTOCOLS["rgb"].score
    assert score((sr + 0.3) / 255, hr, 2) == score(sr, hr, 2)


def test_classic_degrade_keeps_fractions_and_overshoot():
    hr = np.zeros((24, 24, 3), np.uint8)
    hr[:, 11:] = 255
    lr = PROTOCOLS["classic"].degrade(hr, 2)
    assert lr.shape == (12, 12, 3)
    assert lr.min() < 0 and lr.max() > 1
    np.testing.assert_allclose(lr, imresize(hr / 255.0, 1 / 2), atol=1e-12)


def test_classic_degrade_gives_luma_networks_rounded_luma():
    hr, _ = _pair((25, 26, 3))
    lr = PROTOCOLS["classic"].degrade(hr, 2, channels=1)
    luma = rgb_to_y(hr[:24])
    assert luma.dtype == np.uint8
    np.testing.assert_array_equal(lr, imresize(luma.astype(float), 1 / 2) / 255)


def test_classic_score_rounds_the_luma_of_both():
    hr, sr = _pair((30, 34, 3))
    inside = np.s_[3:27, 3:30]  # 34 columns are cropped to 33
    expected = psnr(rgb_to_y(sr)[inside], rgb_to_y(hr)[inside])
    sr, score = sr[:, :33], PROTOCOLS["classic"].score
    assert score(sr, hr, 3)["psnr"] == pytest.approx(expected, abs=1e-9)
    # Luma alone, in [0, 1] and off by less than half a level, is the same image.
    luma = (rgb_to_y(sr) + 0.4) / 255
    got = score(luma, hr, 3, luma=True)
    assert got["psnr"] == pytest.approx(expected, abs=1e-9)


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_score_uses_one_channel_images_as_they_are(protocol):
    hr, sr = _pair((26, 26, 1))
    expected = psnr(sr[2:-2, 2:-2], hr[2:-2, 2:-2])
    assert PROTOCOLS[protocol].score(sr, hr, 2)["psnr"] == pytest.approx(expected)


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_score_of_the_original_is_perfect(protocol):
    hr, _ = _pair((27, 25, 3))
    assert PROTOCOLS[protocol].score(hr[:26, :24], hr, 2) == {
        "psnr": float("inf"),
        "ssim": pytest.approx(1),
    }


@pytest.mark.parametrize("scale", [0, -2])
def test_score_of_no_scale(scale):
    image = np.zeros((40, 40, 3), np.uint8)
    with pytest.raises(InputError, match=f"scale: expected .* from 1 on, got {scale}"):
        get_protocol("rgb").score(image, image, scale)


def test_score_names_sizes_that_do_not_fit():
    hr = np.zeros((31, 41, 3), np.uint8)
    with pytest.raises(InputError, match="is 41x31, expected 40x30: the HR image, 41"):
        PROTOCOLS["rgb"].score(hr, hr, 2)
    with pytest.raises(InputError, match="16x16, expected at least 19x19"):
        PROTOCOLS["rgb"].score(hr[:16, :16], hr[:16, :16], 4)


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_degrade_refuses_an_image_smaller_than_the_scale(protocol):
    with pytest.raises(InputError, match="9x2, expected at least 3x3"):
        PROTOCOLS[protocol].degrade(np.zeros((2, 9, 3), np.uint8), 3)


def test_get_protocol_of_an_unknown_name_lists_those_that_exist():
    assert get_protocol("classic") is PROTOCOLS["classic"]
    with pytest.raises(InputError, match="unknown protocol 'y': .* rgb, classic"):
        get_protocol("y")


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_score_averages_a_colour_version_of_a_gray_original(protocol):
    hr, sr = _pair((26, 26, 1))
    score = PROTOCOLS[protocol].score
    assert score(np.repeat(sr, 3, axis=2), hr, 2) == score(sr, hr, 2)


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32])
def test_one_channel_is_the_same_picture_as_three_equal_ones(protocol, dtype):
    score = PROTOCOLS[protocol].score
    hr, sr = _pair((26, 26, 1))
    peaks = {np.uint8: 1, np.uint16: 257, np.float32: 1 / 255}
    stored = [(image.astype(float) * peaks[dtype]).astype(dtype) for image in (hr, sr)]
    in_three = [np.repeat(image, 3, axis=2) for image in stored]
    for original in (stored[0], in_three[0]):
        assert score(stored[0], original, 2)["psnr"] == float("inf")
        assert score(in_three[0], original, 2)["psnr"] == float("inf")
        one, three = (score(x[1], original, 2)["psnr"] for x in (stored, in_three))
        assert one == pytest.approx(three, abs=1e-9)
    inside = np.s_[2:-2, 2:-2]
    expected = psnr(sr[inside], hr[inside])
    assert score(stored[1], stored[0], 2)["psnr"] == pytest.approx(expected, abs=1e-4)


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_score_of_16_bits_is_that_of_8(protocol):
    hr, sr = _pair((26, 26, 3))
    score = PROTOCOLS[protocol].score
    deep = sr.astype(np.uint16) * 257
    assert score(deep, hr, 2) == score(sr, hr, 2)
    assert score(deep, hr.astype(np.uint16) * 257, 2) == score(sr, hr, 2)


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_score_refuses_what_is_no_image_of_the_original(protocol):
    hr, sr = _pair((26, 26, 3))
    score = PROTOCOLS[protocol].score
    with pytest.raises(InputError, match="SR image is gray and the HR image is not"):
        score(sr[..., :1], hr, 2)
    for dtype in (np.int64, bool, np.complex64):
        with pytest.raises(InputError, match="SR image is .*, expected uint8, uint16"):
            score(sr.astype(dtype), hr, 2)
    with pytest.raises(InputError, match=r"SR image has shape \[26, 26, 4\]"):
        score(np.zeros((26, 26, 4)), hr, 2)
    broken = np.zeros((26, 26, 3))
    broken[3, 3] = np.nan
    with pytest.raises(InputError, match="SR image holds values that are not finite"):
        score(broken, hr, 2)
    levels = hr.astype(np.float32) * (1 if hr.max() > 1 else 255)
    with pytest.raises(
        InputError, match=r"HR image holds .* expected floats in \[0, 1"
    ):
        score(levels, levels, 2)
    with pytest.raises(InputError, match="SR image holds .* expected floats in"):
        score(sr.astype(np.float32), hr, 2)
    with pytest.raises(InputError, match="SR image holds .* expected floats in"):
        score(PROTOCOLS[protocol].luma(sr)[..., None], hr, 2, luma=True)
    # But what a network makes that has learned nothing has a number, if a low one.
    failed = np.random.default_rng(0).normal(0, 99, hr.shape)
    assert score(failed, hr, 2)["psnr"] < 12
    assert score(failed, hr // 99, 2)["psnr"] < 12
