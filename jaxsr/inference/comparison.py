"""A figure that shows what a network makes of a photo, beside bicubic interpolation."""

from collections.abc import Callable
from fractions import Fraction
from typing import TYPE_CHECKING, Any

import numpy as np

from jaxsr.errors import InputError
from jaxsr.imaging import imresize, to_8_bits
from jaxsr.inference.pictures import open_picture

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def compare(
    upscale: Callable[[np.ndarray], np.ndarray],
    photo: Any,
    crop: int | None,
    *,
    scale: int | Fraction,
    network: str,
) -> "Figure":
    """Returns bicubic and a network side by side, whole above and a detail below.

    Args:
        upscale: enlarges one picture.
        photo, crop: see `Upscaler.compare`.
        scale: the factor of `upscale`.
        network: what it is called.
    """
    try:
        from matplotlib import pyplot
        from matplotlib.patches import Rectangle
    except ImportError:
        raise InputError(
            "compare draws with matplotlib, which is not here: pip install matplotlib"
        ) from None

    if crop is not None and (not isinstance(crop, int | np.integer) or crop < 1):
        raise InputError(f"crop: expected a whole number from 1 on, got {crop!r}")
    lr, _ = open_picture(photo)
    if isinstance(lr, list):
        raise InputError(f"compare: expected one picture, got {len(lr)}")
    if lr.ndim not in (2, 3):
        raise InputError(f"compare: expected one picture, got shape {list(lr.shape)}")
    ours = upscale(lr)
    bicubic = imresize(lr, output_size=ours.shape[:2])
    side = round((crop or max(min(lr.shape[:2]) // 4, 1)) * scale)
    top, left = _where_they_differ(ours, bicubic, side)

    figure, axes = pyplot.subplots(2, 2, figsize=(10, 10), layout="constrained")
    columns = (("bicubic", bicubic), (network, ours))
    for (whole, detail), (title, picture) in zip(axes.T, columns, strict=True):
        shown = _for_screen(picture)
        whole.imshow(shown, cmap="gray", vmin=0, vmax=255)
        frame = Rectangle((left, top), side, side, fill=False, edgecolor="red")
        whole.add_patch(frame)
        whole.set_title(f"{title} x{float(scale):g}")
        part = shown[top : top + side, left : left + side]
        detail.imshow(part, cmap="gray", vmin=0, vmax=255, interpolation="nearest")
        for axis in (whole, detail):
            axis.set_axis_off()
    pyplot.close(figure)  # a notebook shows what a cell returns; once is enough
    return figure


def _where_they_differ(
    one: np.ndarray, other: np.ndarray, side: int
) -> tuple[int, int]:
    """Returns top and left of the square in which two pictures differ most."""
    height, width = one.shape[:2]
    difference = np.abs(one.astype(np.float32) - other).reshape(height, width, -1)
    best, place = -1.0, (0, 0)
    step = max(side // 2, 1)
    for top in range(0, max(height - side, 0) + 1, step):
        for left in range(0, max(width - side, 0) + 1, step):
            found = float(difference[top : top + side, left : left + side].sum())
            if found > best:
                best, place = found, (top, left)
    return place


def _for_screen(picture: np.ndarray) -> np.ndarray:
    """Returns 8 bits, gray as `[H, W]`, else RGB or RGBA."""
    picture = to_8_bits(picture)
    if picture.ndim == 3 and picture.shape[-1] < 3:
        picture = picture[..., 0]
    return picture
