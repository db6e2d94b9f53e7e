"""HR images and the LR images that belong to them, as networks are trained on them."""

from typing import NamedTuple

import numpy as np

from jaxsr.data.sources import Source
from jaxsr.errors import InputError
from jaxsr.imaging import crop_to_multiple, imresize, rgb_to_y


class Pair(NamedTuple):
    """An LR image, uint8 [h, w, C], and its HR image, uint8 [scale*h, scale*w, C]."""

    lr: np.ndarray
    hr: np.ndarray


def read_pair(source: Source, index: int, *, scale: int, channels: int = 3) -> Pair:
    """Returns image `index` of the source at both sizes.

    The HR image is cropped at the bottom and right to a multiple of the scale. The LR
    image is the one that the source ships; if it ships none, the exact bicubic one.

    Args:
        source: the source, opened at this scale (`Source.at_scale`).
        index: the image's number.
        scale: the factor between both images.
        channels: 3, gray images are then repeated; or 1, colour images then become
            luma rounded to uint8, and the LR image is made from that.

    Raises:
        InputError: the LR image that the source ships is not of the HR image's size
            divided by the scale.
    """
    whole = source.hr(index)
    hr = crop_to_multiple(whole, scale)
    lr = source.lr(index, scale)
    if lr is not None:
        check_sizes(source, index, whole, lr, scale)
        lr = _with_channels(lr, channels)[
            : hr.shape[0] // scale, : hr.shape[1] // scale
        ]
        return Pair(lr, _with_channels(hr, channels))
    if channels == 1:
        hr = _with_channels(hr, 1)
    lr = imresize(hr, 1 / scale)
    return Pair(_with_channels(lr, channels), _with_channels(hr, channels))


def check_sizes(
    source: Source, index: int, hr: np.ndarray, lr: np.ndarray, scale: int
) -> None:
    """Raises an InputError unless the LR image's size is the HR image's by `scale`.

    Both roundings are in use: sets made from HR images cropped to a multiple of the
    scale have them rounded down, sets made from whole ones by `imresize` rounded up.
    """
    for hr_side, lr_side in zip(hr.shape[:2], lr.shape[:2], strict=True):
        if lr_side not in (hr_side // scale, -(-hr_side // scale)):
            raise InputError(
                f"{source.name}: HR and LR of {source.image_name(index)} do not pair "
                f"at x{scale}: HR is {hr.shape[1]}x{hr.shape[0]}, LR is "
                f"{lr.shape[1]}x{lr.shape[0]}"
            )


def _with_channels(image: np.ndarray, channels: int) -> np.ndarray:
    if image.shape[-1] == channels:
        return image
    return rgb_to_y(image) if channels == 1 else np.repeat(image, channels, axis=-1)
