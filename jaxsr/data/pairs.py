"""HR images and the LR images that belong to them, as networks are trained on them."""

import logging
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from tqdm import tqdm

from jaxsr.data.source import Source
from jaxsr.errors import InputError
from jaxsr.imaging import crop_to_multiple, gray_to_y, imresize, rgb_to_y
from jaxsr.in_order import map_in_order

_log = logging.getLogger(__name__)


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
        channels: 3, gray images are then repeated; or 1, all images then become luma
            rounded to uint8, gray ones as three equal channels, and the LR image is
            made from that.

    Raises:
        InputError: the image is smaller than the scale, or the LR image that the source
            ships is not of the HR image's size divided by the scale.
    """
    hr = source.hr(index)
    _check_image(source, index, "HR", hr)
    return _pair(source, index, hr, scale=scale, channels=channels)


def _pair(
    source: Source, index: int, whole: np.ndarray, *, scale: int, channels: int
) -> Pair:
    if min(whole.shape[:2]) < scale:
        raise InputError(
            f"{source.name}: image {source.image_name(index)} is {whole.shape[1]}x"
            f"{whole.shape[0]}, expected at least {scale}x{scale} at x{scale}"
        )
    hr = crop_to_multiple(whole, scale)
    lr = source.lr(index, scale)
    if lr is not None:
        _check_image(source, index, "LR", lr)
        check_sizes(source, index, whole, lr, scale)
        lr = _with_channels(lr, channels)[
            : hr.shape[0] // scale, : hr.shape[1] // scale
        ]
        return Pair(lr, _with_channels(hr, channels))
    hr = _with_channels(hr, channels)
    return Pair(imresize(hr, 1 / scale), hr)


def read_pairs(
    source: Source,
    *,
    scale: int,
    channels: int,
    patch_size: int,
    skip_small: bool,
    threads: int,
    progress: bool,
) -> Iterator[tuple[int, Pair]]:
    """Yields number and pair of every image of the source that holds a patch, in order.

    Args:
        source: the source, opened at this scale (`Source.at_scale`).
        scale: the factor between LR and HR.
        channels: 1 or 3, see `read_pair`.
        patch_size: side of the LR patch in pixels.
        skip_small: whether images smaller than a patch are left out, which is logged,
            instead of refused.
        threads: how many images are read at once.
        progress: whether a terminal shows a progress bar.

    Raises:
        InputError: an image is smaller than a patch or all are, or a pair is no pair.
    """
    count, left_out = len(source), 0
    bar = tqdm(
        total=count,
        desc=f"reading {source.name}",
        unit="image",
        leave=False,
        disable=None if progress else True,  # None: shown on terminals only
    )

    side = scale * patch_size

    def read(index: int) -> Pair | None:
        hr = source.hr(index)
        _check_image(source, index, "HR", hr)
        height, width = (length // scale * scale for length in hr.shape[:2])
        if min(height, width) >= side:
            return _pair(source, index, hr, scale=scale, channels=channels)
        if skip_small:
            return None
        raise InputError(
            f"{source.name}: image {source.image_name(index)} is {width}x{height}, "
            f"smaller than a patch of {side}x{side} (patch_size {patch_size} at "
            f"x{scale})"
        )

    with bar:
        for index, pair in enumerate(map_in_order(read, range(count), threads)):
            bar.update()
            if pair is None:
                left_out += 1
            else:
                yield index, pair
    if left_out == count:
        raise InputError(
            f"{source.name}: none of its {count} images is as large as a patch "
            f"(patch_size {patch_size} at x{scale})"
        )
    if left_out:
        _log.warning(
            "%s: left out %d of %d images, smaller than a patch (patch_size %d)",
            source.name,
            left_out,
            count,
            patch_size,
        )


def _check_image(source: Source, index: int, kind: str, image: np.ndarray) -> None:
    """Finds that a source, which may be somebody's own, gives what it should."""
    if image.dtype != np.uint8 or image.ndim != 3 or image.shape[-1] not in (1, 3):
        raise InputError(
            f"{source.name}: expected {kind} images of uint8 [H, W, 1 or 3], got "
            f"{image.dtype} {list(image.shape)} of {source.image_name(index)}"
        )


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
    if channels == 1:
        return gray_to_y(image) if image.shape[-1] == 1 else rgb_to_y(image)
    return image if image.shape[-1] == channels else np.repeat(image, channels, -1)
