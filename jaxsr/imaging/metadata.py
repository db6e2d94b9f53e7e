"""What a picture file says beside its pixels, and how it is handed on.

Colour profile, EXIF, XMP and resolution go from the picture read to the one written, in
every format that can hold them. None of it is needed to read the pixels: what is broken
is left out, and never keeps a picture from being read or written.
"""

import contextlib
import dataclasses
import math
from typing import Any, BinaryIO

from PIL import Image

_ORIENTATION = 0x0112
_X_RESOLUTION, _Y_RESOLUTION, _RESOLUTION_UNIT = 282, 283, 296
_EXIF_IFD, _GPS_IFD = 0x8769, 0x8825
_MAKER_NOTE = 0x927C
_PIXEL_SIZE = (0xA002, 0xA003)
# What the main directory, which TIFF shares with its own layout, tells of the picture:
# words, names, dates, ratings, the directories of the camera and of the place.
# Orientation is not among it, as the pixels have been turned, nor is resolution, which
# has a place of its own in most formats.
_KEPT = {
    *(270, 271, 272, 305, 306, 315, 316, 18246, 18249, 33432, *range(40091, 40096)),
    *(_EXIF_IFD, _GPS_IFD),
}


@dataclasses.dataclass(frozen=True)
class Metadata:
    """What is kept of a file beside its pixels.

    Attributes:
        icc: the colour profile, of the pixels' own kind (gray or RGB).
        exif: EXIF as a TIFF stream, without orientation, resolution and thumbnail.
        xmp: XMP without what it says of the old pixels.
        dpi: pixels per inch, horizontally and vertically.
        png: the chunks in which PNG tells of colours without a profile.
    """

    icc: bytes | None = None
    exif: bytes | None = None
    xmp: bytes | None = None
    dpi: tuple[float, float] | None = None
    png: tuple[tuple[bytes, bytes], ...] = ()


@dataclasses.dataclass(frozen=True)
class ReadExif:
    """What EXIF holds, taken apart: see `Metadata`.

    Orientation is from 1 to 8, None where it says none.
    """

    content: bytes | None = None
    orientation: int | None = None
    dpi: tuple[float, float] | None = None


def read_exif(source: bytes | BinaryIO | None) -> ReadExif:
    """Returns EXIF without what holds for the old pixels only.

    Args:
        source: a TIFF stream, with or without the name that JPEG puts before it, or an
            opened TIFF file.
    """
    exif = Image.Exif()
    try:
        if isinstance(source, bytes):
            exif.load(source)
        elif source is not None:
            source.seek(0)
            exif.load_from_fp(source)
    except Exception:  # whatever is broken in it: the picture can do without
        return ReadExif()
    orientation, dpi = _orientation(exif), _resolution(exif)
    try:
        for tag in list(exif):
            if tag not in _KEPT:
                del exif[tag]
        content = _bare(exif.tobytes()) if len(exif) else None
    except Exception:
        content = None
    return ReadExif(content, orientation, dpi)


def exif_for(metadata: Metadata, width: int, height: int, *, full: bool) -> Image.Exif:
    """Returns the EXIF for a picture of that size.

    Args:
        metadata: what is kept.
        width: of the picture to be written.
        height: of the picture to be written.
        full: the format has no other place for the resolution.
    """
    exif = Image.Exif()
    with contextlib.suppress(Exception):
        if metadata.exif:
            exif.load(metadata.exif)
            camera = exif.get_ifd(_EXIF_IFD)
            for tag, length in zip(_PIXEL_SIZE, (width, height), strict=True):
                if tag in camera:
                    camera[tag] = length
    dpi = checked_dpi(metadata.dpi)
    if dpi and (full or len(exif)):
        exif[_X_RESOLUTION], exif[_Y_RESOLUTION] = dpi
        exif[_RESOLUTION_UNIT] = 2  # inches
    return exif


def exif_bytes(exif: Image.Exif, limit: int | None = None) -> bytes | None:
    """Returns EXIF as a TIFF stream; None where there is none or it does not fit.

    The maker's own note, often most of it, goes first where there is a limit in bytes.
    """
    if not len(exif):
        return None
    content = _bare(exif.tobytes())
    if limit is not None and len(content) > limit:
        exif.get_ifd(_EXIF_IFD).pop(_MAKER_NOTE, None)
        content = _bare(exif.tobytes())
        if len(content) > limit:
            return None
    return content


def checked_icc(profile: Any, channels: int) -> bytes | None:
    """Returns a colour profile if it is one for pixels of so many channels.

    CMYK pixels become RGB when read, and their profile would then be a lie.
    """
    kind = b"GRAY" if channels < 3 else b"RGB "
    if not isinstance(profile, bytes) or len(profile) < 132:
        return None
    whole = profile[36:40] == b"acsp" and profile[16:20] == kind
    return profile if whole else None


def checked_dpi(dpi: Any) -> tuple[float, float] | None:
    """Returns a resolution if it is one: two positive numbers."""
    try:
        x, y = (float(value) for value in dpi)
    except (TypeError, ValueError, ZeroDivisionError):
        return None
    return (x, y) if all(math.isfinite(v) and 0 < v < 1e6 for v in (x, y)) else None


def _orientation(exif: Image.Exif) -> int | None:
    try:
        orientation = exif.get(_ORIENTATION)
    except Exception:
        return None
    return orientation if orientation in (None, *range(1, 9)) else 1


def _resolution(exif: Image.Exif) -> tuple[float, float] | None:
    try:
        per_inch = {2: 1.0, 3: 2.54}[exif.get(_RESOLUTION_UNIT, 2)]
        x, y = exif[_X_RESOLUTION], exif[_Y_RESOLUTION]
        return checked_dpi((float(x) * per_inch, float(y) * per_inch))
    except Exception:
        return None


def _bare(content: bytes) -> bytes:
    return content.removeprefix(b"Exif\0\0")
