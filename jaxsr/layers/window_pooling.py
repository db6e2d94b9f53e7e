"""Pooling over windows as large as a training patch, instead of the whole picture.

A gate that pools over its whole input learns the statistics of patches and then meets
those of pictures, which are others. Pooled over windows of the patch's size, it meets
in a picture what it has learned. Source: Chu et al., "Improving Image Restoration by
Revisiting Global Information Aggregation" (2022), https://arxiv.org/abs/2112.04491,
which moves a window to every pixel. Here windows stand a quarter of their side apart
and gates are interpolated between their centres, for a small part of the cost.
"""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from jaxsr.layers.canvas import picture_mask, picture_size

# Windows begin at every cell's edge; a window is so many cells wide.
_CELLS = 4


def pool_windows(
    x: Float[jax.Array, "n h w c"], size: int
) -> tuple[Float[jax.Array, "n i j c"], Float[jax.Array, "n i j c"]]:
    """Returns mean (float32) and maximum over windows of `size` x `size` pixels.

    Along an axis that is not longer than `size` there is one window, the axis; the last
    window of a longer one may be up to a quarter shorter.

    Raises:
        ValueError: `size` is no positive multiple of four.
    """
    _check(size)
    cell = size // _CELLS
    _, h, w, _ = x.shape
    if not (isinstance(h, int) and isinstance(w, int)):
        return _pool_any_size(x, size)
    inside = picture_mask(x)
    total, peak = x.astype(jnp.float32), x
    rows, columns = jnp.ones(h), jnp.ones(w)
    if inside is not None:
        total, peak = jnp.where(inside, total, 0), jnp.where(inside, x, -jnp.inf)
        height, width = picture_size(x)
        rows = (jnp.arange(h) < height).astype(jnp.float32)
        columns = (jnp.arange(w) < width).astype(jnp.float32)
    for axis in (1, 2):
        total = _reduce_windows(total, cell, axis, jnp.add, 0.0)
        peak = _reduce_windows(peak, cell, axis, jnp.maximum, -jnp.inf)
    rows = _reduce_windows(rows, cell, 0, jnp.add, 0.0)
    columns = _reduce_windows(columns, cell, 0, jnp.add, 0.0)
    if inside is not None:
        # Windows that begin behind the picture's last one repeat it.
        down = _repeat_last(len(rows), height, cell)
        across = _repeat_last(len(columns), width, cell)
        rows, columns = rows[down], columns[across]
        total, peak = (a[:, down][:, :, across] for a in (total, peak))
    return total / jnp.outer(rows, columns)[None, :, :, None], peak


def _pool_any_size(x: jax.Array, size: int) -> tuple[jax.Array, jax.Array]:
    """Returns what `pool_windows` does where height and width are symbols.

    A window begins at each cell; those behind the last one are there too, for nobody.
    """
    cell = size // _CELLS

    def reduce(values: jax.Array, combine: Any, neutral: float) -> jax.Array:
        # Of three axes: ONNX pools over no more.
        n, h, w, c = values.shape
        planes = values.transpose(0, 3, 1, 2).reshape(n * c, h, w)
        pooled = jax.lax.reduce_window(
            planes,
            neutral,
            combine,
            window_dimensions=(1, size, size),
            window_strides=(1, cell, cell),
            padding=((0, 0), (0, size - 1), (0, size - 1)),
        )
        return pooled.reshape(n, c, *pooled.shape[1:]).transpose(0, 2, 3, 1)

    x = x.astype(jnp.float32)
    one_channel = jax.lax.slice_in_dim(x, 0, 1, axis=3)
    count = reduce(jax.lax.full_like(one_channel, 1.0), jax.lax.add, 0.0)
    return reduce(x, jax.lax.add, 0.0) / count, reduce(x, jax.lax.max, -np.inf)


def _spread_any_size(values: jax.Array, size: int, length: Any, axis: int) -> jax.Array:
    """Returns `_interpolate`'s values as a product with the weights of the windows.

    By jax.lax alone: exporters mistake what jnp's functions do with symbols.
    """
    cell = size // _CELLS
    shape = (length, values.shape[axis])
    pixel = jax.lax.broadcasted_iota(jnp.float32, shape, 0)
    window = jax.lax.broadcasted_iota(jnp.float32, shape, 1)
    highest = jax.lax.reduce(window, np.float32(-np.inf), jax.lax.max, (0, 1))
    last = jax.lax.max(highest - (_CELLS - 1), np.float32(0))
    place = (pixel + (0.5 - size // 2)) / cell
    place = jax.lax.min(jax.lax.max(place, np.float32(0)), last)
    weights = jax.lax.max(1 - jax.lax.abs(place - window), np.float32(0))
    contracted = (((1,), (axis,)), ((), ()))
    spread = jax.lax.dot_general(weights.astype(values.dtype), values, contracted)
    # The product puts the pixels first.
    return spread.transpose([1, 0, 2, 3] if axis == 1 else [1, 2, 0, 3])


def _repeat_last(windows: int, length: Any, cell: int) -> jax.Array:
    """Returns for each window of a canvas that of the picture, `length` pixels long."""
    last = jnp.maximum(-(-length // cell) - _CELLS, 0)
    return jnp.minimum(jnp.arange(windows), last)


def spread_windows(
    values: Float[jax.Array, "n i j c"], size: int, height: int, width: int
) -> Float[jax.Array, "n h w c"]:
    """Returns values at windows of `pool_windows` for each pixel.

    Linear between the centres of windows, constant beyond the first and the last; an
    axis with one window keeps its length of 1, for broadcasting.
    """
    _check(size)
    if not (isinstance(height, int) and isinstance(width, int)):
        for axis, length in ((1, height), (2, width)):
            values = _spread_any_size(values, size, length, axis)
        return values
    values = _interpolate(values, size, height, axis=1)
    return _interpolate(values, size, width, axis=2)


def _check(size: int) -> None:
    if size < _CELLS or size % _CELLS:
        raise ValueError(f"a window's side is a multiple of {_CELLS}, got {size}")


def _reduce_windows(
    x: jax.Array, cell: int, axis: int, combine: Any, neutral: float
) -> jax.Array:
    """Combines along `axis`, first within cells, then runs of cells.

    Args:
        combine: jnp.add or jnp.maximum.
        neutral: what changes nothing when combined.
    """
    length = x.shape[axis]
    count = -(-length // cell)
    padding = [(0, 0)] * x.ndim
    padding[axis] = (0, count * cell - length)
    x = jnp.pad(x, padding, constant_values=neutral)
    x = x.reshape(*x.shape[:axis], count, cell, *x.shape[axis + 1 :])
    x = combine.reduce(x, axis=axis + 1)
    span = min(_CELLS, count)
    windows = count - span + 1
    result = jax.lax.slice_in_dim(x, 0, windows, axis=axis)
    for i in range(1, span):
        result = combine(result, jax.lax.slice_in_dim(x, i, i + windows, axis=axis))
    return result


def _interpolate(values: jax.Array, size: int, length: int, *, axis: int) -> jax.Array:
    windows = values.shape[axis]
    if windows == 1:
        return values
    cell = size // _CELLS
    here = jax.lax.slice_in_dim(values, 0, windows - 1, axis=axis)
    after = jax.lax.slice_in_dim(values, 1, windows, axis=axis)
    shape = [1] * (values.ndim + 1)
    shape[axis + 1] = cell
    ramp = (jnp.arange(cell, dtype=jnp.float32) + 0.5) / cell
    ramp = ramp.reshape(shape).astype(values.dtype)
    here, after = (jnp.expand_dims(v, axis + 1) for v in (here, after))
    between = here + ramp * (after - here)
    between = between.reshape(
        *values.shape[:axis], (windows - 1) * cell, *values.shape[axis + 1 :]
    )
    first = jax.lax.slice_in_dim(values, 0, 1, axis=axis)
    last = jax.lax.slice_in_dim(values, windows - 1, windows, axis=axis)
    before, beyond = size // 2, length - size // 2 - (windows - 1) * cell
    return jnp.concatenate(
        [
            jnp.repeat(first, before, axis=axis),
            between,
            jnp.repeat(last, beyond, axis=axis),
        ],
        axis=axis,
    )
