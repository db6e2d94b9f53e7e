"""Enlarging images whose height and width are not known yet, as exporters trace it.

`imresize_jnp` builds its program for one size. Here the size may be a symbol of
`jax.export`, so the edges are mirrored first and no index depends on the size: every
phase of the output is a weighted sum of shifted inputs.
"""

from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np

Kernel = Callable[[np.ndarray], np.ndarray]


def enlarge_any_size(
    images: jax.Array, scale: int, kernel: Kernel, radius: int, edge: str
) -> jax.Array:
    """Returns floats `[N, H, W, C]` enlarged along both axes.

    Args:
        images: with at least `radius` pixels along each axis.
        scale: a whole number.
        kernel: of interpolation, even, zero beyond `radius` input pixels.
        radius: see there, a whole number.
        edge: "symmetric" or "replicate".
    """
    for axis in (1, 2):
        images = _enlarge_axis(images, scale, kernel, radius, edge, axis)
    return images


def extend(x: jax.Array, count: int, axis: int, edge: str = "symmetric") -> jax.Array:
    """Returns `x` with `count` more pixels on both sides, as `imresize` sees them.

    Args:
        x: with at least `count` pixels along the axis.
        count: how many.
        axis: which one.
        edge: "symmetric" (mirrored, the edge pixel repeated) or "replicate".
    """
    length = x.shape[axis]

    def pixel(index) -> jax.Array:
        return jax.lax.slice_in_dim(x, index, index + 1, axis=axis)

    inward = range(count) if edge == "symmetric" else [0] * count
    before = [pixel(i) for i in reversed(inward)]
    after = [pixel(length - 1 - i) for i in inward]
    # jax.lax throughout: exporters mistake what jnp's functions do with symbols.
    return jax.lax.concatenate([*before, x, *after], axis)


def _enlarge_axis(
    x: jax.Array, scale: int, kernel: Kernel, radius: int, edge: str, axis: int
) -> jax.Array:
    length = x.shape[axis]
    extended = extend(x, radius, axis, edge)
    offsets = np.arange(-radius, radius + 1)
    phases = []
    for phase in range(scale):
        centre = (phase + 0.5) / scale - 0.5  # of the output pixel, in input pixels
        weights = kernel(centre - offsets)
        weights = weights / weights.sum()
        total = 0.0
        for weight, offset in zip(weights, offsets.tolist(), strict=True):
            if abs(weight) > 1e-12:
                start = offset + radius
                shifted = jax.lax.slice_in_dim(
                    extended, start, start + length, axis=axis
                )
                total = total + np.asarray(weight, x.dtype) * shifted
        phases.append(jnp.asarray(total))
    stacked = jax.lax.concatenate(
        [jax.lax.expand_dims(phase, [axis + 1]) for phase in phases], axis + 1
    )
    shape = (*x.shape[:axis], scale * length, *x.shape[axis + 1 :])
    return jax.lax.reshape(stacked, shape)
