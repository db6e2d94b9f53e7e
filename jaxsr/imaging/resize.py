"""MATLAB's imresize with its bicubic kernel: bit for bit in NumPy, floats in JAX.

The field's low-resolution images are made by this function, and its numbers only
compare when every pixel agrees. Conventions: output size is `ceil(scale * size)`;
output pixel i (from 1) sits at `i / scale + (1 - 1 / scale) / 2` of the input; the Keys
kernel (a = -0.5) is stretched by `1 / scale` on the way down; rows first, then columns.
Integer images are rounded half up and clipped after each of the two passes.
"""

import functools
import math
from fractions import Fraction
from typing import Literal

import jax
import jax.numpy as jnp
import numpy as np

from jaxsr.errors import InputError
from jaxsr.imaging.any_size import enlarge_any_size

Edge = Literal["symmetric", "replicate"]

# Longest repeat of the weights, in output or input pixels, that is unrolled.
_MAX_PERIOD = 16
# Weights this small are rounding errors of weights that are 0.
_NOISE = 1e-12


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
        whole = [isinstance(n, int | np.integer) and n >= 1 for n in lengths]
        if len(whole) != 2 or not all(whole):
            raise InputError(
                f"imresize: expected output_size (height, width), got {output_size}"
            )
        scales = [out / n for out, n in zip(lengths, sizes, strict=True)]
    for axis in np.argsort(scales, kind="stable"):
        weights, taps = _contributions(lengths[axis], scales[axis], antialias)
        taps = _fold(taps, sizes[axis], edge)
        rows = np.ascontiguousarray(np.moveaxis(image, axis, 0))
        flat = _weigh_rows(rows.reshape(len(rows), -1), weights, taps)
        image = np.moveaxis(flat.reshape(-1, *rows.shape[1:]), 0, axis)
    return np.ascontiguousarray(image)


def imresize_jnp(
    images: jax.Array | np.ndarray,
    scale: float | Fraction,
    *,
    antialias: bool = True,
    edge: Edge = "symmetric",
    a: float = -0.5,
) -> jax.Array:
    """Returns a batch resized as `imresize` does, on device, inside jit, vmap and grad.

    Args:
        images: `[..., H, W, C]`, float of any range.
        scale: factor for both axes, static, such as 2, 1/3 or `Fraction(3, 4)`.
        antialias: stretch the kernel when the images shrink.
        edge: "symmetric" or "replicate", as for `imresize`.
        a: the kernel's parameter, -0.5 in MATLAB. With `a=-0.75` and `edge="replicate"`
            this is what PyTorch and OpenCV call bicubic.

    Returns:
        The same dtype, computed in float32 at least.

    Raises:
        InputError: a shape, dtype, scale or edge that cannot be used.
    """
    if images.ndim < 3 or 0 in images.shape:
        raise InputError(
            f"imresize_jnp: expected [..., H, W, C] pixels, got shape {images.shape}"
        )
    images = jnp.asarray(images)
    dtype = images.dtype
    if not jnp.issubdtype(dtype, jnp.floating):
        raise InputError(f"imresize_jnp: expected float, got {dtype}")
    factor = _check_scale(scale)
    images = images.astype(jnp.float32 if jnp.finfo(dtype).bits < 32 else dtype)
    if not all(isinstance(length, int) for length in images.shape):  # jax.export's
        if factor != int(factor):
            raise InputError(
                f"imresize_jnp: expected a whole scale of images whose size is not "
                f"known yet, got {factor:g}"
            )
        keys = functools.partial(_keys, a=a)
        return enlarge_any_size(images, int(factor), keys, 2, edge).astype(dtype)
    for axis in (images.ndim - 3, images.ndim - 2):
        before, length, after = (
            images.shape[:axis],
            images.shape[axis],
            images.shape[axis + 1 :],
        )
        rows = images.reshape(math.prod(before), length, math.prod(after))
        rows = _resize_rows_jnp(rows, factor, antialias, edge, a)
        images = rows.reshape(*before, -1, *after)
    return images.astype(dtype)


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


def _keys(x: np.ndarray, a: float) -> np.ndarray:
    """Returns the cubic kernel of Keys (1981), of support [-2, 2]."""
    x = np.abs(x)
    near = (a + 2) * x**3 - (a + 3) * x**2 + 1
    far = a * x**3 - 5 * a * x**2 + 8 * a * x - 4 * a
    return near * (x <= 1) + far * ((x > 1) & (x <= 2))


def _contributions(
    out_length: int, scale: float, antialias: bool, a: float = -0.5
) -> tuple[np.ndarray, np.ndarray]:
    """Returns weights and input indices, both `[out_length, taps]`, for one axis.

    Indices may lie outside the image; `_fold` brings them back.
    """
    stretch = scale if antialias and scale < 1 else 1.0
    width = 4 / stretch
    centre = np.arange(1, out_length + 1) / scale + 0.5 * (1 - 1 / scale)
    first = np.floor(centre - width / 2)
    taps = first[:, None] + np.arange(math.ceil(width) + 2)
    weights = stretch * _keys(stretch * (centre[:, None] - taps), a)
    weights /= weights.sum(axis=1, keepdims=True)
    used = weights.any(axis=0)
    return weights[:, used], taps[:, used].astype(np.int64) - 1


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


def _resize_rows_jnp(
    rows: jax.Array, scale: float, antialias: bool, edge: Edge, a: float
) -> jax.Array:
    """Returns `[A, length, B]` resized along its middle axis.

    Scales are nearly always ratios p / q of small numbers, so that weights repeat every
    p output rows, and input rows advance by q meanwhile: away from the edges each of
    the p phases is a weighted sum of strided slices, which compiles to a vectorised
    loop without any gather. Edges, and scales that are no such ratio, gather rows.
    """
    length = rows.shape[1]
    out_length = _output_length(length, scale)
    weights, taps = _contributions(out_length, scale, antialias, a)
    ratio = Fraction(scale).limit_denominator(_MAX_PERIOD)
    period, stride = ratio.numerator, ratio.denominator
    if period > stride:
        # Growing: extend the small input, rather than patch the edges of the output.
        before, after = max(0, -taps.min()), max(0, taps.max() - length + 1)
        ends = _fold(np.arange(-before, length + after), length, edge)
        rows = _set_ends(rows, rows[:, ends[:before]], rows[:, ends[before + length :]])
        taps, length = taps + before, before + length + after
    start = stop = out_length // 2
    inner = jnp.zeros((rows.shape[0], 0, rows.shape[2]), rows.dtype)
    if period <= _MAX_PERIOD and abs(ratio - scale) < 1e-12 * scale:
        matters = np.abs(weights) > _NOISE
        outside = np.flatnonzero(
            (matters & ((taps < 0) | (taps >= length))).any(axis=1)
        )
        first = int(max(outside[outside < start], default=-1)) + 1
        last = int(min(outside[outside >= start], default=out_length))
        blocks = (last - first) // period
        if blocks:
            start, stop = first, first + blocks * period
            phases = []
            for row in range(start, start + period):
                used = matters[row]
                slices = [
                    rows[:, tap : tap + (blocks - 1) * stride + 1 : stride]
                    for tap in taps[row, used].tolist()
                ]
                phases.append(_weighted_sum(slices, weights[row, used]))
            inner = phases[0] if period == 1 else jnp.stack(phases, axis=2)
            inner = inner.reshape(rows.shape[0], stop - start, rows.shape[2])

    def gather(part: slice) -> jax.Array:
        folded = _fold(taps[part], length, edge).T
        columns = weights[part].T[:, :, None]
        pieces = [rows[:, indices] for indices in folded]
        return _weighted_sum(pieces, columns)

    return _set_ends(inner, gather(slice(0, start)), gather(slice(stop, None)))


def _set_ends(middle: jax.Array, before: jax.Array, after: jax.Array) -> jax.Array:
    """Returns `before`, `middle` and `after`, `[A, rows, B]`, joined along their rows.

    Not jnp.concatenate: XLA would fuse that into the second pass, which would then
    compute the first one anew for each of its taps (four times slower on CPU).
    """
    start, stop = before.shape[1], before.shape[1] + middle.shape[1]
    result = jnp.pad(middle, ((0, 0), (start, after.shape[1]), (0, 0)))
    return result.at[:, :start].set(before).at[:, stop:].set(after)


def _weighted_sum(pieces: list[jax.Array], weights: np.ndarray) -> jax.Array:
    """Returns `sum_k weights[k] * pieces[k]`; a weight is one number or `[rows, 1]`."""
    dtype = pieces[0].dtype
    weights = weights[:, None] if weights.ndim == 3 else weights
    terms = zip(weights, pieces, strict=True)
    return sum(
        (jnp.asarray(weight, dtype) * piece for weight, piece in terms),
        start=jnp.zeros((), dtype),
    )
