"""Image files in and out of arrays `[H, W, C]`.

C is 1 (gray), 2 (gray and alpha), 3 (RGB) or 4 (RGB and alpha); uint8 or uint16. Alpha
is not premultiplied.
"""

import contextlib
import io
import os
import secrets
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps

from jaxsr.errors import InputError

SUFFIXES = (".bmp", ".jpeg", ".jpg", ".png", ".tif", ".tiff", ".webp")


def read_image(path: str | os.PathLike) -> np.ndarray:
    """Returns the picture in a file as `[H, W, C]`, uint8 or uint16.

    Raises:
        InputError: no such file, or it is no whole image.
    """
    try:
        with Image.open(path) as image:
            image = ImageOps.exif_transpose(image)
            if image.mode == "P":
                image = image.convert("RGBA" if "transparency" in image.info else "RGB")
            if image.mode not in ("L", "LA", "RGB", "RGBA", "I;16"):
                image = image.convert("L" if image.mode == "1" else "RGB")
            pixels = np.array(image)
    except (OSError, SyntaxError, ValueError) as error:
        raise InputError(f"{path}: expected an image file: {error}") from error
    return pixels.reshape(*pixels.shape[:2], -1)


def read_image8(path: str | os.PathLike) -> np.ndarray:
    """Returns a picture as uint8 `[H, W, 1 or 3]`: no alpha, 16 bits rounded to 8.

    Raises:
        InputError: no such file, or it is no whole image.
    """
    image = read_image(path)
    if image.shape[-1] in (2, 4):
        image = image[..., :-1]
    if image.dtype == np.uint16:
        image = ((image.astype(np.uint32) + 128) // 257).astype(np.uint8)
    return image


def write_image(path: str | os.PathLike, image: np.ndarray) -> None:
    """Writes `[H, W, C]` to a file whose suffix gives the format, wholly or not at all.

    Raises:
        InputError: a suffix, shape or dtype that cannot be written.
        OSError: the disk is full or the folder cannot be written.
    """
    path = Path(path)
    pixels = image[..., 0] if image.ndim == 3 and image.shape[-1] == 1 else image
    buffer = io.BytesIO()
    kind = Image.registered_extensions().get(path.suffix.lower())
    if kind is None:
        raise InputError(f"{path}: expected a suffix among {', '.join(SUFFIXES)}")
    Image.fromarray(pixels).save(buffer, format=kind)
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}.tmp")
    try:
        temporary.write_bytes(buffer.getvalue())
        os.replace(temporary, path)
    except BaseException:
        with contextlib.suppress(OSError):
            temporary.unlink()
        raise


def list_images(folder: str | os.PathLike) -> list[Path]:
    """Returns the image files directly inside a folder, sorted by name.

    Raises:
        InputError: the folder does not exist or holds no image.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise InputError(f"{folder}: expected a folder of images, found none")
    paths = sorted(
        path
        for path in folder.iterdir()
        if path.suffix.lower() in SUFFIXES and not path.name.startswith(".")
    )
    if not paths:
        raise InputError(f"{folder}: expected images ({', '.join(SUFFIXES)}), got none")
    return paths
