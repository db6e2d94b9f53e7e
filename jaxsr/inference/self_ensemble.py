"""A network's output on average over eight views of a picture.

Source: "geometric self-ensemble" of B. Lim et al., "Enhanced deep residual networks for
single image super-resolution" (EDSR), CVPRW 2017.
"""

from collections.abc import Callable

import numpy as np


def average_views(
    network: Callable[[np.ndarray], np.ndarray], lr: np.ndarray
) -> np.ndarray:
    """Returns the mean over the flips and quarter turns, float32.

    Args:
        network: `[h, w, C]` to `[scale*h, scale*w, C]`.
        lr: `[H, W, C]`.
    """
    total = np.zeros((), np.float64)
    for turns in range(4):
        for flip in (False, True):
            view = np.rot90(lr, turns)
            sr = network(view[:, ::-1] if flip else view)
            total = total + np.rot90(sr[:, ::-1] if flip else sr, -turns)
    return (total / 8).astype(np.float32)
