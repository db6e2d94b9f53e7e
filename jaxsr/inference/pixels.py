"""Pixels of a picture into a network and out of it: floats, channels, rounding."""

from collections.abc import Callable, Iterable, Iterator

import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from jaxsr.errors import InputError
from jaxsr.imaging import (
    gray_to_y,
    imresize,
    rgb_to_ycbcr,
    y_to_gray,
    ycbcr_to_rgb,
)

Part = tuple[slice, slice]

# What floats in [0, 1] may be beyond it, after interpolation and the like.
_BEYOND = 1.0


def enlarge_part(
    picture: np.ndarray,
    part: Part,
    network: Callable[[np.ndarray], np.ndarray],
    *,
    channels: int,
    scale: int,
    gray: bool,
) -> np.ndarray:
    """Returns a part of the picture, float32, enlarged, with the picture's channels.

    Args:
        picture: float in [0, 1], uint8 or uint16, `[H, W, 1 or 3]`.
        part: rows and columns.
        network: `[h, w, channels]` in [0, 1] to `[scale*h, scale*w, channels]`.
        channels: of the network. One that has 1 gets the luma of a colour picture,
            whose chroma is enlarged by bicubic; one that has 3 gets a gray picture
            three times, and its outputs are averaged.
        scale: the network's factor.
        gray: whether a picture of one channel is gray and not luma. A network for luma
            gets the luma of it, in [16/255, 235/255] as in its training: published
            weights have turned the black of gray pictures, 0, into white.
    """
    lr = _to_float(picture[part])
    if gray and channels == lr.shape[-1] == 1:
        return y_to_gray(network(np.asarray(gray_to_y(lr))))
    if lr.shape[-1] == channels:
        return network(lr)
    if channels == 3:
        return network(np.repeat(lr, 3, axis=-1)).mean(axis=-1, keepdims=True)
    luma = network(np.asarray(rgb_to_ycbcr(lr))[..., :1])
    chroma = _bicubic_chroma(picture, part, scale)
    sr = ycbcr_to_rgb(np.concatenate([luma, chroma], axis=-1))
    return np.asarray(sr, np.float32)


def check_picture(image: np.ndarray) -> None:
    """Refuses what is no uint8 or uint16 picture `[H, W, 1 to 4]`.

    Raises:
        InputError: another type or shape, or no pixels.
    """
    if image.dtype not in (np.uint8, np.uint16):
        swapped = "" if image.dtype.isnative else ", of swapped bytes,"
        raise InputError(
            f"expected a uint8 or uint16 picture, got {image.dtype.name}{swapped} "
            "(for floats in [0, 1] use Upscaler.run)"
        )
    if image.ndim != 3 or image.shape[-1] not in (1, 2, 3, 4) or not image.size:
        raise InputError(
            "expected a picture [H, W] or [H, W, 1 to 4] with at least one pixel, "
            f"got {list(image.shape)}"
        )


def as_floats(lr: np.ndarray) -> Float[np.ndarray, "... h w c"]:
    """Returns a picture or batch of floats as float32.

    Raises:
        InputError: another type or shape, no pixels, NaN, or values that are not about
            0 to 1: bicubic interpolation goes beyond by an eighth, and 0 to 255 would
            give a picture that is nothing but wrong.
    """
    lr = np.asarray(lr)
    if not jnp.issubdtype(lr.dtype, jnp.floating):
        raise InputError(
            f"expected floats in [0, 1], got {lr.dtype} (call the Upscaler itself "
            "with a uint8 or uint16 picture)"
        )
    lr = lr.astype(np.float32, copy=False)
    if lr.ndim not in (3, 4) or lr.shape[-1] not in (1, 3) or not lr.size:
        raise InputError(
            "expected a picture [H, W, 1] or [H, W, 3] with at least one pixel, "
            f"or a batch of such, got {list(lr.shape)}"
        )
    least, most = float(lr.min()), float(lr.max())
    if not (-_BEYOND <= least and most <= 1 + _BEYOND):
        raise InputError(
            f"expected floats in [0, 1], got {least:.4g} to {most:.4g} (a picture of "
            "0 to 255 is to be divided by 255)"
        )
    return lr


def round_rows(
    stretches: Iterable[np.ndarray], dtype: np.dtype, alpha: np.ndarray
) -> Iterator[np.ndarray]:
    """Yields float pixels in [0, 1] as integers over the full range of `dtype`.

    Args:
        stretches: of rows, `[h, W, C]`.
        dtype: uint8 or uint16.
        alpha: of this type, `[H, W, 0 or 1]`, goes behind the colours.

    Yields:
        A few rows at a time: what is made in between stays small.

    Raises:
        InputError: a pixel is not finite.
    """
    peak, done = np.float32(np.iinfo(dtype).max), 0
    for stretch in stretches:
        step = max(2**20 // stretch[0].size, 1)
        for top in range(0, len(stretch), step):
            rows = stretch[top : top + step]
            if not np.isfinite(rows).all():  # rounded, it would be black spots
                raise InputError(
                    "the network made NaN or infinite pixels of this picture"
                )
            rounded = np.floor(np.clip(rows, 0.0, 1.0) * peak + 0.5).astype(dtype)
            below = done + len(rounded)
            if alpha.size:
                rounded = np.concatenate([rounded, alpha[done:below]], axis=-1)
            yield rounded
            done = below
        del stretch, rows  # before there is memory for the next


def join_rows(out: np.ndarray, stretches: Iterable[np.ndarray]) -> None:
    """Writes stretches of rows into `out`, one below the other."""
    top = 0
    for stretch in stretches:
        out[top : top + len(stretch)] = stretch
        top += len(stretch)
        del stretch  # before there is memory for the next


def _to_float(image: np.ndarray) -> np.ndarray:
    """Returns the picture as float32 in [0, 1]."""
    if image.dtype.kind == "f":
        return image
    return image.astype(np.float32) / np.float32(np.iinfo(image.dtype).max)


def _bicubic_chroma(picture: np.ndarray, part: Part, scale: int) -> np.ndarray:
    """Returns a part's chroma enlarged as in the whole picture."""
    margin = 2  # as far as the interpolation looks
    wider, cut = [], []
    for side, span in zip(picture.shape[:2], part, strict=True):
        start, stop = max(span.start - margin, 0), min(span.stop + margin, side)
        wider.append(slice(start, stop))
        begin = (span.start - start) * scale
        cut.append(slice(begin, begin + (span.stop - span.start) * scale))
    ycbcr = np.asarray(rgb_to_ycbcr(_to_float(picture[tuple(wider)])))
    return imresize(ycbcr[..., 1:], scale)[tuple(cut)]
