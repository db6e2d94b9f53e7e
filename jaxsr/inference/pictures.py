"""Pictures as people have them: arrays, batches, lists, paths, PIL images.

What goes in says what comes out: an array gives an array, a JAX array one of JAX, a PIL
image one of PIL, a path the array of the picture in the file, a list a list.
"""

import os
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from PIL import Image, ImageOps

from jaxsr.errors import InputError
from jaxsr.imaging import read_image

# PIL's modes that arrays hold as they are, and what the others become.
_AS_THEY_ARE = ("L", "LA", "RGB", "RGBA", "I;16")
_BECOME = {"1": "L", "CMYK": "RGB", "YCbCr": "RGB", "HSV": "RGB", "RGBX": "RGB"}


def apply_to(picture: Any, function: Callable[[np.ndarray], np.ndarray]) -> Any:
    """Returns what `function` makes of a picture, or of each of several.

    Args:
        picture: see the top of the module. An array of four axes is a batch
            `[N, H, W, C]`, whose pictures come back as one array; a PIL image keeps its
            colour profile, and is turned as its EXIF orientation says.
        function: takes and returns an array `[H, W]` or `[H, W, C]`.

    Raises:
        InputError: nothing of this kind; a file that cannot be read; a batch without
            pictures.
    """
    if isinstance(picture, list | tuple):
        return [apply_to(one, function) for one in picture]
    if isinstance(picture, str | os.PathLike):
        return function(read_image(picture))
    if isinstance(picture, Image.Image):
        return _to_pil(function(_from_pil(picture)), picture)
    if isinstance(picture, jax.Array):
        return jnp.asarray(apply_to(np.asarray(picture), function))
    if not isinstance(picture, np.ndarray):
        raise InputError(
            "expected a picture: an array, a path, a PIL image or a list of them, got "
            f"{type(picture).__name__}"
        )
    if picture.ndim != 4:
        return function(picture)
    if not len(picture):
        raise InputError("expected a batch of at least one picture, got none")
    return np.stack([function(one) for one in picture])


def _from_pil(image: Image.Image) -> np.ndarray:
    image = ImageOps.exif_transpose(image)
    mode = image.mode
    if mode == "P":
        image = image.convert("RGBA" if "transparency" in image.info else "RGB")
    elif mode in _BECOME:
        image = image.convert(_BECOME[mode])
    elif mode not in _AS_THEY_ARE:
        raise InputError(
            f"expected a PIL image of mode {', '.join(_AS_THEY_ARE)}, got {mode}"
        )
    return np.asarray(image)


def _to_pil(array: np.ndarray, original: Image.Image) -> Image.Image:
    image = Image.fromarray(array)
    if profile := original.info.get("icc_profile"):
        image.info["icc_profile"] = profile
    return image
