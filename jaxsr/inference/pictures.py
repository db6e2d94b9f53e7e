"""Pictures as people have them: arrays, batches, lists, paths, PIL images.

What goes in says what comes out: an array gives an array, a JAX array one of JAX, a PIL
image one of PIL, a path the array of the picture in the file, a list a list.
"""

import functools
import os
from collections.abc import Callable, Sequence
from typing import Any, Protocol

import jax
import jax.numpy as jnp
import numpy as np
from PIL import Image, ImageOps

from jaxsr.cpu import count_idle_threads
from jaxsr.errors import InputError
from jaxsr.imaging import read_image
from jaxsr.in_order import map_in_order
from jaxsr.inference.tiles import fits_beside_others

# An array or several pictures, and what makes of results the kind that it was.
_Opened = tuple[np.ndarray | list[Any], Callable[[Any], Any]]

# PIL's modes that arrays hold as they are, and what the others become.
_AS_THEY_ARE = ("L", "LA", "RGB", "RGBA", "I;16")
_BECOME = {"1": "L", "CMYK": "RGB", "YCbCr": "RGB", "HSV": "RGB", "RGBX": "RGB"}


class Enlarge(Protocol):
    """Takes and returns an array `[H, W]` or `[H, W, C]`.

    It is called from several threads, with `beside_others`, where others are in work.
    """

    def __call__(self, image: np.ndarray, *, beside_others: bool) -> np.ndarray: ...


def apply_to(
    picture: Any, enlarge: Enlarge, output_shape: Callable[[int, int], tuple[int, int]]
) -> Any:
    """Returns what `enlarge` makes of a picture, or of each of several.

    Small pictures of a list or batch are in work several at a time where that keeps
    more cores busy (see `jaxsr.cpu.count_idle_threads`), large ones alone.

    Args:
        picture: see the top of the module. An array of four axes is a batch
            `[N, H, W, C]`, whose pictures come back as one array; a PIL image keeps its
            colour profile, and is turned as its EXIF orientation says.
        enlarge: see there.
        output_shape: height and width of what becomes of a picture.

    Raises:
        InputError: nothing of this kind; a file that cannot be read; a batch without
            pictures.
    """

    def is_alone(opened: _Opened) -> bool:
        content = opened[0]
        if isinstance(content, list) or content.ndim < 2:
            return True
        return not fits_beside_others(*output_shape(*content.shape[:2]))

    def apply_to_each(pictures: Sequence[Any]) -> list[Any]:
        at_once = min(count_idle_threads(), max(len(pictures), 1))

        def apply(opened: _Opened) -> Any:
            content, as_it_was = opened
            if isinstance(content, list):
                return as_it_was(apply_to_each(content))
            beside_others = at_once > 1 and not is_alone(opened)
            return as_it_was(enlarge(content, beside_others=beside_others))

        opened = map(open_picture, pictures)
        return list(map_in_order(apply, opened, at_once, alone=is_alone))

    return apply_to_each([picture])[0]


def open_picture(picture: Any) -> _Opened:
    """Returns a picture's array, or a list of pictures, and what gives results back.

    Raises:
        InputError: as `apply_to`.
    """
    if isinstance(picture, list | tuple):
        return list(picture), list
    if isinstance(picture, str | os.PathLike):
        return read_image(picture), _unchanged
    if isinstance(picture, Image.Image):
        return _from_pil(picture), functools.partial(_to_pil, original=picture)
    if isinstance(picture, jax.Array):
        content, as_it_was = open_picture(np.asarray(picture))
        return content, lambda sr: jnp.asarray(as_it_was(sr))
    if not isinstance(picture, np.ndarray):
        raise InputError(
            "expected a picture: an array, a path, a PIL image or a list of them, got "
            f"{type(picture).__name__}"
        )
    if isinstance(picture, np.ma.MaskedArray):
        raise InputError("expected a picture without a mask, got a masked array")
    picture = np.asarray(picture)  # of a subclass, such as a matrix, what it holds
    if picture.ndim != 4:
        return picture, _unchanged
    if not len(picture):
        raise InputError("expected a batch of at least one picture, got none")
    return list(picture), np.stack


def _unchanged(sr: np.ndarray) -> np.ndarray:
    return sr


def _from_pil(image: Image.Image) -> np.ndarray:
    image = ImageOps.exif_transpose(image)
    mode = image.mode
    if mode in ("1", "P", "L", "RGB") and image.has_transparency_data:
        image = image.convert("LA" if mode in ("1", "L") else "RGBA")
    elif mode == "I;16" and image.has_transparency_data:
        raise InputError(
            "expected a PIL image that can hold its transparency enlarged, got 16 bits "
            "of gray with a transparent value: give the file's path instead"
        )
    elif mode == "P":
        image = image.convert("RGB")
    elif mode in _BECOME:
        image = image.convert(_BECOME[mode])
    elif mode not in _AS_THEY_ARE:
        raise InputError(
            f"expected a PIL image of mode {', '.join(_AS_THEY_ARE)}, got {mode}"
        )
    return np.asarray(image)


def _to_pil(array: np.ndarray, original: Image.Image) -> Image.Image:
    image = Image.fromarray(array)
    profile = original.info.get("icc_profile")
    # What became RGB has no use for a profile of its own colours.
    if profile and original.mode not in ("CMYK", "YCbCr", "HSV"):
        image.info["icc_profile"] = profile
    return image
