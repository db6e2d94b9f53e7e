"""Colours of pixels that cannot be seen."""

import numpy as np


def fill_transparent(colours: np.ndarray, alpha: np.ndarray) -> np.ndarray:
    """Returns the colours with those under zero alpha replaced by their neighbours'.

    What stands there is chance, often black, and whatever looks at neighbouring pixels
    would draw it into the visible edge. The picture is averaged down by halves, each
    pixel weighing as much as it is visible, and what is empty takes the colour of the
    first average that is not.

    Args:
        colours: `[H, W, C]`, uint8 or uint16.
        alpha: `[H, W, 1]`, of the same type; not multiplied into the colours.
    """
    hidden = alpha == 0
    if not hidden.any() or hidden.all():
        return colours
    filled = _fill(colours * alpha.astype(np.float32), alpha.astype(np.float32))
    return np.where(hidden, np.floor(filled + 0.5).astype(colours.dtype), colours)


def _fill(weighted: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Returns colours everywhere, of colours times weights where weights are not 0."""
    height, width = weights.shape[:2]
    colours = weighted / np.where(weights > 0, weights, 1)
    if height == width == 1 or weights.all():
        return colours
    coarse = _fill(_halve(weighted), _halve(weights))
    coarse = coarse.repeat(2, axis=0)[:height].repeat(2, axis=1)[:, :width]
    return np.where(weights > 0, colours, coarse)


def _halve(values: np.ndarray) -> np.ndarray:
    """Returns the means of blocks of 2 x 2; what lacks at the edges counts as 0."""
    height, width = values.shape[:2]
    values = np.pad(values, ((0, height % 2), (0, width % 2), (0, 0)))
    rows = values[::2] + values[1::2]
    return (rows[:, ::2] + rows[:, 1::2]) / 4
