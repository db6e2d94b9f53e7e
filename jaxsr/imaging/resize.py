"""MATLAB's imresize with its bicubic kernel, bit for bit, as NumPy and as JAX.

The field's low-resolution images are made by this function, and its numbers only
compare when every pixel agrees. Conventions: output size is `ceil(scale * size)`;
output pixel i (from 1) sits at `i / scale + (1 - 1 / scale) / 2` of the input; the Keys
kernel (a = -0.5) is stretched by `1 / scale` on the way down; rows first, then columns.
Integer images are rounded half up and clipped after each of the two passes.
"""

import math
from fractions import Fraction
from typing import Literal

import jax
import jax.numpy as jnp
import numpy as np

from jaxsr.errors import InputError

Edge = Literal["symmetric", "replicate"]


def imresize(
    image: np.ndarray,
    scale: float | Fraction | None = None,
    *,
    output_size: tuple[int, int] | None = None,
    antialias: bool = True,
    edge: Edge = "symmetric",
) -> np.ndarray:
    """Returns `image` resized exactly as MATLAB's `imresize(image, scale, 'bicubic')`.

    Args:
        image: `[H, W]` or `[H, W, C]`; uint8, uint16 or float of any range.
        scale: factor for both axes, such as 2 or 1/3. Give this or `output_size`.
        output_size: `(height, width)` in pixels; each axis gets its own factor.
        antialias: stretch the kernel when an axis shrinks, as MATLAB does by default.
        edge: "symmetric" mirrors with the edge pixel repeated (current MATLAB);
            "replicate" repeats the edge pixel (MATLAB of about 2015).

    Returns:
        The same dtype for uint8 and uint16; float64, unclipped, for floats.

    Raises:
        InputError: a shape, dtype, scale, size or edge that cannot be used.
    """
    if image.ndim not in (2, 3) or 0 in image.shape:
        raise InputError(
            f"imresize: expected [H, W] or [H, W, C] pixels, got shape {image.shape}"
        )
    _check_dtype(image.dtype)
    sizes = image.shape[:2]
    if (scale is None) == (output_size is None):
        raise InputError("imresize: expected either scale or output_size")
    if scale is not None:
        scales = [_check_scale(scale)] * 2
        lengths = [_output_length(n, scales[0]) for n in sizes]
    else:
        lengths = list(output_size or ())
        if len(lengths) != 2 or min(lengths) < 1:
            raise InputError(
                f"imresize: expected output_size (height, width), got {output_size}"
            )
        scales = [out / n for out, n in zip(lengths, sizes, strict=True)]
    for axis in np.argsort(scales, kind="stable"):
        weights, taps = _contributions(
            sizes[axis], lengths[axis], scales[axis], antialias, edge
        )
        rows = np.ascontiguousarray(np.moveaxis(image, axis, 0))
        flat = _weigh_rows(rows.reshape(len(rows), -1), weights, taps)
        image = np.moveaxis(flat.reshape(-1, *rows.shape[1:]), 0, axis)
    return np.ascontiguousarray(image)


def imresize_jnp(
    images: jax.Array,
    scale: float | Fraction,
    *,
    antialias: bool = True,
    edge: Edge = "symmetric",
) -> jax.Array:
    """Returns a batch resized as `imresize` does, on device, inside jit, vmap and grad.

    Args:
        images: `[..., H, W, C]`; uint8, uint16 or float of any range.
        scale: factor for both axes, static, such as 2, 1/3 or `Fraction(3, 4)`.
        antialias: stretch the kernel when the images shrink.
        edge: "symmetric" or "replicate", as for `imresize`.

    Returns:
        The same dtype; integer images equal those of `imresize` in every bit.

    Raises:
        InputError: a shape, dtype, scale or edge that cannot be used.
    """
    if images.ndim < 3 or 0 in images.shape:
        raise InputError(
            f"imresize_jnp: expected [..., H, W, C] pixels, got shape {images.shape}"
        )
    _check_dtype(images.dtype)
    factor = _check_scale(scale)
    for axis in (images.ndim - 3, images.ndim - 2):
        length = images.shape[axis]
        weights, taps = _contributions(
            length, _output_length(length, factor), factor, antialias, edge
        )
        shape = [1] * images.ndim
        shape[axis] = -1
        total = jnp.zeros((), jnp.float32)
        for weight, tap in zip(weights.T, taps.T, strict=True):
            column = jnp.asarray(weight.reshape(shape), jnp.float32)
            total = total + column * jnp.take(images, tap, axis=axis)
        if jnp.issubdtype(images.dtype, jnp.integer):
            top = jnp.iinfo(images.dtype).max
            total = jnp.clip(jnp.floor(total + 0.5), 0, top)
        images = total.astype(images.dtype)
    return images


def crop_to_multiple(image: np.ndarray, scale: int) -> np.ndarray:
    """Returns `[H, W, ...]` cropped at the bottom and right to a multiple of `scale`.

    Raises:
        InputError: the image is smaller than `scale` pixels along an axis.
    """
    height, width = (n - n % scale for n in image.shape[:2])
    if not height or not width:
        raise InputError(
            f"image of {image.shape[0]}x{image.shape[1]} pixels is smaller than the "
            f"scale {scale}"
        )
    return image[:height, :width]


def _check_dtype(dtype: np.dtype) -> None:
    if dtype not in (np.uint8, np.uint16) and not jnp.issubdtype(dtype, jnp.floating):
        raise InputError(f"imresize: expected uint8, uint16 or float, got {dtype}")


def _check_scale(scale: float | Fraction) -> float:
    if not (math.isfinite(scale) and scale > 0):
        raise InputError(f"imresize: expected a scale above 0, got {scale}")
    return float(scale)


def _output_length(length: int, scale: float) -> int:
    return math.ceil(scale * length)


def _keys(x: np.ndarray) -> np.ndarray:
    """Returns the cubic kernel of Keys (1981) with a = -0.5, of support [-2, 2]."""
    x = np.abs(x)
    near = 1.5 * x**3 - 2.5 * x**2 + 1
    far = -0.5 * x**3 + 2.5 * x**2 - 4 * x + 2
    return near * (x <= 1) + far * ((x > 1) & (x <= 2))


def _contributions(
    length: int, out_length: int, scale: float, antialias: bool, edge: Edge
) -> tuple[np.ndarray, np.ndarray]:
    """Returns weights and input indices, both `[out_length, taps]`, for one axis."""
    stretch = scale if antialias and scale < 1 else 1.0
    width = 4 / stretch
    centre = np.arange(1, out_length + 1) / scale + 0.5 * (1 - 1 / scale)
    first = np.floor(centre - width / 2)
    taps = first[:, None] + np.arange(math.ceil(width) + 2)
    weights = stretch * _keys(stretch * (centre[:, None] - taps))
    weights /= weights.sum(axis=1, keepdims=True)
    used = weights.any(axis=0)
    indices = _fold(taps[:, used].astype(np.int64) - 1, length, edge)
    return weights[:, used], indices


def _fold(indices: np.ndarray, length: int, edge: Edge) -> np.ndarray:
    """Returns indices that may lie outside `0..length-1` brought back inside."""
    if edge == "replicate":
        return np.clip(indices, 0, length - 1)
    if edge == "symmetric":
        there_and_back = indices % (2 * length)
        return np.minimum(there_and_back, 2 * length - 1 - there_and_back)
    raise InputError(f"imresize: expected edge symmetric or replicate, got {edge!r}")


def _weigh_rows(rows: np.ndarray, weights: np.ndarray, taps: np.ndarray) -> np.ndarray:
    """Returns `sum_k weights[i, k] * rows[taps[i, k]]` for each output row i."""
    is_integer = np.issubdtype(rows.dtype, np.integer)
    result = np.empty(
        (len(weights), rows.shape[1]), rows.dtype if is_integer else np.float64
    )
    # Few rows at a time, so that the sum stays in cache.
    step = max(1, 32768 // rows.shape[1])
    for start in range(0, len(weights), step):
        block = slice(start, start + step)
        total = 0.0
        for weight, tap in zip(weights[block].T, taps[block].T, strict=True):
            total = total + weight[:, None] * rows[tap]
        if is_integer:
            total = np.clip(np.floor(total + 0.5), 0, np.iinfo(rows.dtype).max)
        result[block] = total
    return result
