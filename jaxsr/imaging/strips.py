"""A picture made a few rows at a time, so that what is made in between stays small."""

from collections.abc import Callable

import numpy as np

_PIXELS_AT_ONCE = 2**20


def join_strips(
    make: Callable[[int, int], np.ndarray], top: int, bottom: int, width: int
) -> np.ndarray:
    """Returns the rows from `top` to `bottom`, at least one.

    Args:
        make: returns those from one row to before another, `[h, width, ...]`.
        top: the first row.
        bottom: the one after the last.
        width: of the picture, in pixels.
    """
    step = max(_PIXELS_AT_ONCE // width, 1)
    strip = make(top, min(top + step, bottom))
    joined = np.empty((bottom - top, *strip.shape[1:]), strip.dtype)
    joined[: len(strip)] = strip
    for start in range(top + step, bottom, step):
        end = min(start + step, bottom)
        joined[start - top : end - top] = make(start, end)
    return joined
