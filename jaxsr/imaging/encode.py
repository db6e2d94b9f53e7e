"""Pixels into the bytes of an image file, and which format can hold which pixels."""

import contextlib
import io
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np
from PIL import Image

from jaxsr.files import Part
from jaxsr.imaging import png, tiff
from jaxsr.imaging.metadata import (
    Metadata,
    checked_dpi,
    checked_icc,
    exif_bytes,
    exif_for,
)

with contextlib.suppress(ImportError):
    from PIL import AvifImagePlugin as _  # noqa: F401 (registers itself)

_FORMATS = {
    ".avif": "AVIF",
    ".bmp": "BMP",
    ".jpeg": "JPEG",
    ".jpg": "JPEG",
    ".png": "PNG",
    ".tif": "TIFF",
    ".tiff": "TIFF",
    ".webp": "WEBP",
}
if "AVIF" not in Image.SAVE:
    del _FORMATS[".avif"]

SUFFIXES = tuple(_FORMATS)
"""Of the files that are read from folders, and written."""

_LARGEST_SIDE = {"AVIF": 65536, "JPEG": 65500, "WEBP": 16383}
_LARGEST_FILE = {"BMP": 2**32 - 2**16, "TIFF": 2**32 - 2**24}
# Where Pillow alone would lose detail: JPEG keeps its defaults of 75 and half chroma.
_SAVE_OPTIONS = {
    "AVIF": {"quality": 95, "subsampling": "4:4:4"},
    "JPEG": {"quality": 95, "subsampling": "4:4:4"},
    "WEBP": {"lossless": True, "exact": True},
}
# A JPEG marker's 16 bits of length, less themselves and the name before EXIF.
_LARGEST_EXIF = {"JPEG": 65533 - 6}
_LARGEST_XMP = {"JPEG": 65533 - 29}


class CannotHold(ValueError):
    """The format cannot hold the picture."""


def check(path: Path, shape: tuple[int, ...], dtype: np.dtype) -> str:
    """Returns the format of a file name, if it can hold such pixels.

    Raises:
        CannotHold: it cannot, or the suffix is no format's.
    """
    kind = _FORMATS.get(path.suffix.lower())
    if kind is None:
        raise CannotHold(
            f"expected a suffix among {', '.join(SUFFIXES)}, "
            f"got {path.suffix or 'none'}"
        )
    height, width, channels = shape
    if dtype == np.uint16 and kind not in ("PNG", "TIFF"):
        raise CannotHold(
            f"{kind} would lose the image's 16 bits a channel: write .png or .tif"
        )
    if channels in (2, 4) and kind in ("JPEG", "BMP"):
        raise CannotHold(f"{kind} cannot hold transparency: write .png")
    longest = _LARGEST_SIDE.get(kind, 2**31 - 1)
    largest = _LARGEST_FILE.get(kind, 2**62)
    if max(height, width) > longest:
        raise CannotHold(
            f"{kind} cannot hold {width}x{height} pixels, only {longest} a side: "
            "write .png"
        )
    if height * width * channels * dtype.itemsize > largest:
        raise CannotHold(
            f"{kind} cannot hold {width}x{height} pixels, only 4 GiB: write .png"
        )
    return kind


def takes_rows(path: Path) -> bool:
    """Returns whether `encode_rows` knows the format; Pillow wants pictures whole."""
    return _FORMATS.get(path.suffix.lower()) in ("PNG", "TIFF")


def encode_rows(
    path: Path,
    rows: Iterable[np.ndarray],
    shape: tuple[int, int, int],
    dtype: np.dtype,
    metadata: Metadata,
) -> Iterator[Part]:
    """Returns the content of a file of that name, in parts, made one by one.

    Args:
        path: of the file, for which `takes_rows` is true.
        rows: some at a time, from the top down, `[h, W, C]`.
        shape: `(H, W, C)` of the whole.
        dtype: uint8 or uint16.
        metadata: what is to stand in the file beside the pixels.

    Raises:
        CannotHold: see `check`.
        ValueError: other rows than the shape says.
    """
    encoder = tiff if check(path, shape, dtype) == "TIFF" else png
    return encoder.encode(_checked(rows, shape, dtype), shape, dtype, metadata)


def _checked(
    rows: Iterable[np.ndarray], shape: tuple[int, int, int], dtype: np.dtype
) -> Iterator[np.ndarray]:
    missing = shape[0]
    for part in rows:
        missing -= len(part)
        if part.shape[1:] != shape[1:] or part.dtype != dtype or missing < 0:
            raise ValueError(
                f"expected rows of {shape}, {dtype}, got {part.shape}, {part.dtype}"
            )
        yield part
    if missing:
        raise ValueError(f"expected {missing} rows more of {shape}")


def encode(
    path: Path, image: np.ndarray, metadata: Metadata, quality: int | None = None
) -> list[Part]:
    """Returns the content of a file of that name for `[H, W, 1 to 4]`, in parts.

    `quality`, 1 to 100, is that of the formats which may lose.

    Raises:
        CannotHold: see `check`.
    """
    height, width, channels = shape = image.shape
    kind = check(path, shape, image.dtype)
    if takes_rows(path):
        return list(encode_rows(path, [image], shape, image.dtype, metadata))
    options = dict(_SAVE_OPTIONS.get(kind, {}))
    if quality is not None and options:
        options["quality"] = quality
        options.pop("lossless", None)
    if kind in ("AVIF", "JPEG", "WEBP"):
        in_file = 3 if kind != "JPEG" else channels  # the other two have no gray
        if profile := checked_icc(metadata.icc, in_file):
            options["icc_profile"] = profile
        exif = exif_for(metadata, width, height, full=kind != "JPEG")
        if content := exif_bytes(exif, _LARGEST_EXIF.get(kind)):
            options["exif"] = b"Exif\0\0" + content
        if metadata.xmp and len(metadata.xmp) <= _LARGEST_XMP.get(kind, 2**30):
            options["xmp"] = metadata.xmp
    dpi = checked_dpi(metadata.dpi)
    if dpi and (kind == "BMP" or (kind == "JPEG" and _fits_jfif(dpi))):
        options["dpi"] = dpi
    pixels = Image.fromarray(image[..., 0] if channels == 1 else image)
    buffer = io.BytesIO()
    try:
        pixels.save(buffer, format=kind, **options)
    except (ValueError, OSError) as error:
        # Nothing has touched the disk yet: it is the image that does not fit.
        raise CannotHold(
            f"{kind} cannot hold {width}x{height} pixels: {error}"
        ) from error
    return [buffer.getbuffer()]


def _fits_jfif(dpi: tuple[float, float]) -> bool:
    """Whether JFIF's 16 bits hold a resolution, of which more would wrap around."""
    return all(1 <= round(each) < 2**16 for each in dpi)
