"""Image files in and out of arrays `[H, W, C]`.

C is 1 (gray), 2 (gray and alpha), 3 (RGB) or 4 (RGB and alpha), the values uint8 or
uint16 over their full range; alpha is not premultiplied. Of an animation or a file of
several pages the first picture counts. Colour profiles are not applied, as is the
custom of the field (its published numbers are those of the raw values), but kept.
"""

import io
import math
import os
import unicodedata
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import BinaryIO

import numpy as np

from jaxsr.errors import InputError, first_line
from jaxsr.files import Part, check_place, is_written_to, write_whole
from jaxsr.imaging import decode, encode, tiff
from jaxsr.imaging.bit_depth import to_8_bits
from jaxsr.imaging.encode import SUFFIXES
from jaxsr.imaging.metadata import Metadata

READ_SUFFIXES = (*SUFFIXES, ".gif")
"""Of the files that are enlarged in folders."""

MAX_MEGAPIXELS = 100.0
"""Pictures of more are refused by default: some bytes may claim any size."""


def read_picture(
    path: str | os.PathLike, *, max_megapixels: float = MAX_MEGAPIXELS
) -> tuple[np.ndarray, Metadata]:
    """Returns the picture in a file as `[H, W, C]`, and what else the file tells of it.

    The picture is uint8, or uint16 where it has more than 8 bits; fewer bits are
    stretched to 8, and 9 to 15 to 16. EXIF orientation is applied, a palette expanded
    (with its transparency as alpha), and CMYK converted to RGB.

    Args:
        path: of the file.
        max_megapixels: millions of pixels that a picture may have.

    Raises:
        InputError: no such file; no image, or one that is not whole; floating-point or
            32-bit pixels; more pixels than allowed.
    """
    path = Path(path)
    if not path.is_file():
        raise InputError(f"{path}: expected an image file, found none")
    return _decode(lambda: path.open("rb"), str(path), max_megapixels)


def decode_picture(
    content: bytes, name: str, *, max_megapixels: float = MAX_MEGAPIXELS
) -> tuple[np.ndarray, Metadata]:
    """Returns what `read_picture` does for the content of a file.

    Args:
        content: of the file.
        name: what errors call it.
        max_megapixels: see `read_picture`.
    """
    return _decode(lambda: io.BytesIO(content), name, max_megapixels)


def _decode(
    open_file: Callable[[], BinaryIO], path: str, max_megapixels: float
) -> tuple[np.ndarray, Metadata]:
    def check_size(width: int, height: int) -> None:
        megapixels = width * height / 1e6
        if not megapixels <= max_megapixels:  # nothing is within NaN
            raise InputError(
                f"{path}: {width}x{height} are {megapixels:.0f} megapixels, more than "
                f"the {max_megapixels:g} allowed: raise --max-megapixels "
                f"(max_megapixels) to {math.ceil(megapixels)} if it is to be so"
            )

    try:
        with open_file() as file:
            return decode.decode(file, check_size)
    except InputError:
        raise
    except tiff.Unsupported as error:
        raise InputError(f"{path}: {error}") from error
    # Damaged files bring out errors of every kind in decoders.
    except Exception as error:
        raise InputError(
            f"{path}: expected a whole image file: {first_line(error)}"
        ) from error


def read_image(
    path: str | os.PathLike, *, max_megapixels: float = MAX_MEGAPIXELS
) -> np.ndarray:
    """Returns the picture alone: see `read_picture`."""
    return read_picture(path, max_megapixels=max_megapixels)[0]


def read_image8(path: str | os.PathLike) -> np.ndarray:
    """Returns a picture as uint8 `[H, W, 1 or 3]`: no alpha, 16 bits rounded to 8.

    Raises:
        InputError: as `read_picture`; the picture has transparent pixels, whose colours
            nobody has ever seen.
    """
    image = read_image(path)
    if image.shape[-1] in (2, 4):
        if (image[..., -1] != np.iinfo(image.dtype).max).any():
            raise InputError(f"{path}: has transparent pixels, expected opaque ones")
        image = image[..., :-1]
    return to_8_bits(image)


def check_writable(
    path: str | os.PathLike,
    shape: tuple[int, ...],
    dtype: np.dtype,
    *,
    quality: int | None = None,
) -> None:
    """Refuses what `write_image` would, as far as it is known before the pixels are.

    Args:
        path: of the file to be written.
        shape: `(H, W, C)` of the image.
        dtype: its type.
        quality: see `write_image`.

    Raises:
        InputError: as `check_encodable`; the name is too long, or is a folder's.
    """
    path = Path(path)
    check_encodable(path, shape, dtype, quality=quality)
    try:
        check_place(path)
    except IsADirectoryError as error:
        raise InputError(
            f"{path}: expected the name of a file, got a folder's"
        ) from error
    except OSError as error:
        raise InputError(f"{path}: cannot be written: {error.strerror}") from error


def check_encodable(
    path: Path,
    shape: tuple[int, ...],
    dtype: np.dtype,
    *,
    quality: int | None = None,
) -> None:
    """Refuses what `encode_picture` would, as far as it is known before the pixels are.

    Args:
        path: whose suffix gives the format.
        shape, dtype, quality: see `check_writable`.

    Raises:
        InputError: the format cannot hold such an image; another quality than 1 to 100.
    """
    _check_quality(quality)
    try:
        encode.check(path, shape, np.dtype(dtype))
    except encode.CannotHold as error:
        raise InputError(f"{path}: {error}") from error


def write_image(
    path: str | os.PathLike,
    image: np.ndarray,
    metadata: Metadata | None = None,
    *,
    quality: int | None = None,
) -> None:
    """Writes `[H, W]` or `[H, W, C]` to a file; its suffix gives the format.

    The file appears whole or not at all: on any error what was there before stays. Its
    folder is made as needed. 16-bit images go to .png and .tif.

    Args:
        path: of the file.
        image: uint8 or uint16.
        metadata: colour profile, EXIF and resolution, written as far as the format can
            hold them.
        quality: 1 to 100, of JPEG, AVIF and WebP. By default JPEG and AVIF are written
            at 95 with full chroma, WebP without loss; other formats never lose.

    Raises:
        InputError: a shape or dtype that is no image, a suffix that is no format, or a
            format that cannot hold the image; another quality.
        OSError: the disk is full, or the folder not writable.
    """
    write_whole(path, _encode(path, image, metadata, quality))


def takes_rows(path: str | os.PathLike) -> bool:
    """Returns whether `write_rows` can write a file of that name."""
    path = Path(path)
    return encode.takes_rows(path) and not is_written_to(path)


def write_rows(
    path: str | os.PathLike,
    rows: Iterable[np.ndarray],
    shape: tuple[int, int, int],
    dtype: np.dtype,
    metadata: Metadata | None = None,
) -> None:
    """Writes what `write_image` would, of a picture that comes row by row.

    Args:
        path: of the file, for which `takes_rows` is true.
        rows: some at a time, from the top down, `[h, W, C]`.
        shape: `(H, W, C)` of the whole.
        dtype: uint8 or uint16.
        metadata: see `write_image`.

    Raises:
        InputError: see `check_writable`.
        OSError: as `write_image`.
    """
    dtype, kept = np.dtype(dtype), metadata or Metadata()
    check_writable(path, shape, dtype)
    write_whole(path, encode.encode_rows(Path(path), rows, shape, dtype, kept))


def encode_picture(
    path: str | os.PathLike,
    image: np.ndarray,
    metadata: Metadata | None = None,
    *,
    quality: int | None = None,
) -> bytes:
    """Returns what `write_image` writes to a file of that name."""
    return b"".join(_encode(path, image, metadata, quality))


def _encode(
    path: str | os.PathLike,
    image: np.ndarray,
    metadata: Metadata | None,
    quality: int | None,
) -> list[Part]:
    path, image = Path(path), np.asarray(image)
    if image.ndim == 2:
        image = image[..., None]
    if image.ndim != 3 or image.shape[-1] not in (1, 2, 3, 4) or 0 in image.shape:
        raise InputError(f"{path}: expected [H, W, 1 to 4], got shape {image.shape}")
    if image.dtype not in (np.uint8, np.uint16):
        raise InputError(f"{path}: expected uint8 or uint16, got {image.dtype}")
    _check_quality(quality)
    try:
        return encode.encode(path, image, metadata or Metadata(), quality)
    except encode.CannotHold as error:
        raise InputError(f"{path}: {error}") from error


def _check_quality(quality: int | None) -> None:
    if quality is not None and not 1 <= quality <= 100:
        raise InputError(f"quality: expected 1 to 100, got {quality}")


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
        if path.suffix.lower() in SUFFIXES
        and not path.name.startswith(".")
        and not path.is_dir()
    )
    if not paths:
        raise InputError(f"{folder}: expected images ({', '.join(SUFFIXES)}), got none")
    return paths


def image_stem(path: Path) -> str:
    """Returns the name of an image file without its suffix, to compare with others.

    An umlaut may be one character or a letter and its dots, as macOS has written names:
    they look alike and are meant alike.
    """
    return unicodedata.normalize("NFC", path.stem)
