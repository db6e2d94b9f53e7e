"""PSNR and SSIM, exact: NumPy in float64.

What surrounds the two formulas when numbers are published is in `jaxsr.protocols`.
"""

import numpy as np

from jaxsr.errors import InputError

# Wang et al. 2004, https://doi.org/10.1109/TIP.2003.819861, Sec. III-C.
SSIM_WINDOW = 11
_SIGMA = 1.5
_K1 = 0.01
_K2 = 0.03

# Rows that are compared at once: what they need stays in a core's cache.
_BAND = 24


def _gaussian() -> np.ndarray:
    """Returns one side of SSIM's separable window, [11], of sum 1."""
    offsets = np.arange(SSIM_WINDOW) - SSIM_WINDOW // 2
    weights = np.exp(-(offsets**2) / (2 * _SIGMA**2))
    return weights / weights.sum()


_GAUSSIAN = _gaussian()


def _blur(maps: np.ndarray) -> np.ndarray:
    """Returns `[..., H, W]` filtered by SSIM's window, `[..., H-10, W-10]`.

    Sums of slices: NumPy has no convolution of two dimensions.
    """
    half = SSIM_WINDOW // 2
    for axis in (-2, -1):
        size = maps.shape[axis] - SSIM_WINDOW + 1

        def shifted(start, maps=maps, axis=axis, size=size):
            index = (..., slice(start, start + size))
            return maps[index if axis == -1 else (*index, slice(None))]

        total = float(_GAUSSIAN[half]) * shifted(half)
        for k in range(half):
            # The window is symmetric, so two taps share a multiplication.
            pair = shifted(k) + shifted(SSIM_WINDOW - 1 - k)
            total = total + float(_GAUSSIAN[k]) * pair
        maps = total
    return maps


def _ssim_map(a: np.ndarray, b: np.ndarray, peak: float) -> np.ndarray:
    """Returns SSIM wherever the window fits: `[H, W]` -> `[H-10, W-10]`."""
    middle, margin = np.mean(b, axis=(0, 1)), SSIM_WINDOW - 1
    bands = [slice(k, k + _BAND + margin) for k in range(0, len(a) - margin, _BAND)]
    return np.concatenate([_ssim_band(a[k], b[k], middle, peak) for k in bands])


def _ssim_band(a: np.ndarray, b: np.ndarray, middle: float, peak: float) -> np.ndarray:
    """Returns SSIM of a few rows: `[H, W]` -> `[H-10, W-10]`.

    Variances do not change when a constant is taken from both images, and lose fewer
    digits in the squares of small values.

    Args:
        a: rows of one image.
        b: the same rows of the other.
        middle: the constant.
        peak: the largest value a pixel can have.
    """
    a, b = a - middle, b - middle
    mean_a, mean_b, mean_ab, mean_squares = _blur(
        np.stack([a, b, a * b, a * a + b * b])
    )
    covariance = mean_ab - mean_a * mean_b
    variances = mean_squares - mean_a * mean_a - mean_b * mean_b
    mean_a, mean_b = mean_a + middle, mean_b + middle
    c1, c2 = (_K1 * peak) ** 2, (_K2 * peak) ** 2
    luminance = (2 * mean_a * mean_b + c1) / (mean_a * mean_a + mean_b * mean_b + c1)
    return luminance * (2 * covariance + c2) / (variances + c2)


def _as_pair(a: np.ndarray, b: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Returns two `[H, W]` or `[H, W, 1]` images as float64 `[H, W]`."""
    pair = []
    for image in (a, b):
        image = np.asarray(image, np.float64)
        pair.append(image[..., 0] if image.ndim == 3 and image.shape[2] == 1 else image)
    a, b = pair
    if a.ndim != 2 or a.shape != b.shape or not a.size:
        raise InputError(
            "expected two one-channel images of one shape, [H, W] or [H, W, 1], got "
            f"{list(a.shape)} and {list(b.shape)}"
        )
    return a, b


def psnr(a: np.ndarray, b: np.ndarray, *, peak: float = 255.0) -> float:
    """Returns the peak signal-to-noise ratio in dB; equal images give `inf`.

    Args:
        a: image [H, W] or [H, W, 1] of any type.
        b: image of the same shape and value range.
        peak: the largest value a pixel can have.

    Raises:
        InputError: no two images of one channel and one shape.
    """
    a, b = _as_pair(a, b)
    error = np.mean((a - b) ** 2)
    return float("inf") if error == 0 else float(10 * np.log10(peak**2 / error))


def ssim(a: np.ndarray, b: np.ndarray, *, peak: float = 255.0) -> float:
    """Returns the mean structural similarity, at most 1, which equal images give.

    Gaussian window of 11x11 with sigma 1.5, only where it lies wholly inside the image,
    K1 = 0.01, K2 = 0.03, as the authors' MATLAB code.

    Args:
        a: image [H, W] or [H, W, 1] of any type, at least 11x11.
        b: image of the same shape and value range.
        peak: the largest value a pixel can have.

    Raises:
        InputError: no two images of one channel and one shape, or smaller ones.

    Source:
        Wang et al., "Image Quality Assessment: From Error Visibility to Structural
        Similarity", 2004, Eqs. 13 to 17.
    """
    a, b = _as_pair(a, b)
    if min(a.shape) < SSIM_WINDOW:
        raise InputError(
            f"SSIM needs at least {SSIM_WINDOW}x{SSIM_WINDOW} pixels, got "
            f"{list(a.shape)}"
        )
    return float(np.mean(_ssim_map(a, b, peak)))
