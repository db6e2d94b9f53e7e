"""TIFF: every combination of its tags is read right or refused; 8 and 16 bits written.

tifffile reads the samples as they are stored; what they mean is decided here. Codecs
beside Deflate and PackBits come from imagecodecs (`pip install jaxsr-superres[tiff]`);
without it, Pillow reads 8-bit files that tifffile cannot.

Source: TIFF Revision 6.0, Adobe, 1992.
"""

import io
import logging
import math
from collections.abc import Callable, Iterable, Iterator
from typing import Any, BinaryIO

import numpy as np
from PIL import TiffImagePlugin

from jaxsr.files import Part
from jaxsr.imaging.metadata import (
    Metadata,
    checked_icc,
    exif_for,
    read_exif,
)
from jaxsr.imaging.strips import join_strips

_WHITE_IS_ZERO, _BLACK_IS_ZERO, _RGB, _PALETTE, _CMYK, _YCBCR = 0, 1, 2, 3, 5, 6
_COLOURS = {_WHITE_IS_ZERO: 1, _BLACK_IS_ZERO: 1, _RGB: 3, _PALETTE: 1, _CMYK: 4}
_ASSOCIATED, _UNASSOCIATED = 1, 2
_JPEGS = (6, 7, 33007, 34892)
_PREDICTOR_OF_FLOATS = 3
_XMP = 700
_BESIDE = {"icc_profile": 34675, "xmp": _XMP}
_MOST_EXTRA = 8  # a picture's memory is bounded by its pixels, and so by these


def is_tiff(head: bytes) -> bool:
    """Returns whether a file of these first bytes is a TIFF or BigTIFF."""
    return head[:4] in (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")


class Unsupported(ValueError):
    """A TIFF may be so, but is not read here."""


def decode(
    file: BinaryIO, check_size: Callable[[int, int], None]
) -> tuple[np.ndarray, dict[str, Any]] | None:
    """Returns the pixels of the first page and its metadata.

    Args:
        file: the opened file.
        check_size: is called with width and height before there is memory for them.

    Returns:
        Pixels `[H, W, 1 to 4]`, uint8 or uint16; None where Pillow reads it as well.

    Raises:
        Unsupported: samples that are no whole numbers of up to 16 bits, or colours that
            are not converted.
        Exception: the file is damaged.
    """
    import tifffile

    # It reports on damaged files at length; here, an exception says it all.
    logging.getLogger("tifffile").setLevel(logging.CRITICAL + 1)
    with tifffile.TiffFile(file) as container:
        page = container.pages[0]
        assert isinstance(page, tifffile.TiffPage)
        check_size(page.imagewidth, page.imagelength)
        _check_samples(page)
        metadata = _metadata(page, file)
        stored = _samples(page, check_size)
        if stored is None:
            return None
        height, width, _ = stored.shape
        pixels = join_strips(
            lambda start, end: _meaning(page, stored[start:end]), 0, height, width
        )
        return pixels, metadata


def encode(
    rows: Iterable[np.ndarray],
    shape: tuple[int, int, int],
    dtype: np.dtype,
    metadata: Metadata,
) -> Iterator[Part]:
    """Yields the parts of a TIFF without compression, in one strip: the pixels are the
    picture's own, and need not be there before their turn.

    Args:
        rows: of the picture, some at a time, `[h, W, 1 to 4]`; alpha is not associated.
        shape: of the whole, `(H, W, 1 to 4)`.
        dtype: uint8 or uint16.
        metadata: what is to stand in the file beside the pixels.
    """
    yield _head(shape, dtype, metadata)
    for part in rows:
        pixels = np.ascontiguousarray(part, dtype.newbyteorder("<"))
        yield pixels.view(np.uint8).reshape(-1).data


def _head(shape: tuple[int, int, int], dtype: np.dtype, metadata: Metadata) -> bytes:
    """Returns what stands before the pixels."""
    height, width, channels = shape
    directory: Any = TiffImagePlugin.ImageFileDirectory_v2(b"II*\0\0\0\0\0")
    exif = exif_for(metadata, width, height, full=True)
    for tag, value in exif.items():
        directory[tag] = value
        if tag in (0x8769, 0x8825):
            directory[tag] = dict(exif.get_ifd(tag))
            directory.tagtype[tag] = 4
    if profile := checked_icc(metadata.icc, channels):
        directory[34675] = profile
        directory.tagtype[34675] = 7
    if metadata.xmp:
        directory[_XMP] = metadata.xmp
        directory.tagtype[_XMP] = 1
    directory[256], directory[257] = width, height
    directory[258] = (dtype.itemsize * 8,) * channels
    directory[259] = 1
    directory[262] = _BLACK_IS_ZERO if channels < 3 else _RGB
    directory[273], directory[279] = 0, math.prod(shape) * dtype.itemsize
    directory[277], directory[278] = channels, height
    directory[284] = 1
    if channels in (2, 4):
        directory[338] = _UNASSOCIATED
    buffer = io.BytesIO()
    directory.save(buffer)
    # The directory is a whole number of words and says that pixels follow it.
    return buffer.getvalue()


def _value(page: Any, tag: int, default: Any) -> Any:
    found = page.tags.get(tag)
    return default if found is None else found.value


def _check_samples(page: Any) -> None:
    """Refuses what is not unsigned whole numbers of equal size with a known meaning."""
    bits, formats = (set(np.ravel(_value(page, tag, 1)).tolist()) for tag in (258, 339))
    if not formats <= {1, 4}:
        names = {2: "signed numbers", 3: "floating point"}
        what = " and ".join(names.get(f, f"sample format {f}") for f in sorted(formats))
        raise Unsupported(f"expected 8 or 16 bits a channel, got {what}")
    if len(bits) > 1 or not 1 <= min(bits) <= 16:
        listed = ", ".join(map(str, sorted(bits)))
        raise Unsupported(f"expected 8 or 16 bits a channel, got {listed}")
    kind = int(page.photometric)
    if kind not in (*_COLOURS, _YCBCR):
        name = getattr(page.photometric, "name", kind)
        raise Unsupported(f"expected gray, RGB, CMYK or a palette, got {name}")
    if kind == _CMYK and _value(page, 332, 1) != 1:
        raise Unsupported("expected the inks CMYK, got others")
    extra = page.samplesperpixel - _COLOURS.get(kind, 3)
    if extra < 0:
        raise ValueError(f"{page.samplesperpixel} samples are too few for its colours")
    if extra > _MOST_EXTRA:
        raise Unsupported(f"expected up to {_MOST_EXTRA} extra samples, got {extra}")
    if _value(page, 317, 1) == _PREDICTOR_OF_FLOATS:
        raise Unsupported("expected whole numbers, got the predictor of floating point")
    if page.imagedepth != 1:
        raise Unsupported("expected a picture, got a volume")


def _samples(page: Any, check_size: Callable[[int, int], None]) -> np.ndarray | None:
    """Returns `[H, W, samples]` as stored; None where only Pillow can."""
    count = math.prod(page.chunked)
    offsets, lengths = page.dataoffsets, page.databytecounts
    if len(offsets) < count or len(lengths) < count:
        raise EOFError(f"{count} strips or tiles promised, {len(offsets)} are there")
    end = page.parent.filehandle.size
    for offset, length in zip(offsets[:count], lengths[:count], strict=True):
        if offset <= 0 or length <= 0 or offset + length > end:
            raise EOFError("the file ends before its pixels do")
    if page.is_tiled:
        check_size(page.tilewidth, page.tilelength)
    is_plain = page.bitspersample == 8
    is_jpeg = page.compression in _JPEGS
    if int(page.photometric) == _YCBCR and not is_jpeg:
        if is_plain:
            return None
        raise Unsupported("expected 8 bits a channel of YCbCr, got another number")
    try:
        samples = page.asarray(maxworkers=1)
    except Exception as error:
        if "requires the 'imagecodecs' package" not in str(error):
            raise
        if is_plain:
            return None
        raise Unsupported(
            f"{error}: pip install 'jaxsr-superres[tiff]', or save it as PNG"
        ) from None
    height, width = page.imagelength, page.imagewidth
    if page.planarconfig == 2 and page.samplesperpixel > 1:
        return np.moveaxis(samples.reshape(-1, height, width), 0, -1)
    return samples.reshape(height, width, -1)


def _meaning(page: Any, stored: np.ndarray) -> np.ndarray:
    """Returns gray or RGB, with alpha if there is one, of samples as stored."""
    kind, bits = int(page.photometric), page.bitspersample
    if kind == _YCBCR:
        kind = _RGB  # JPEG's decoder has converted it
    top = 2**bits - 1
    stored = stored.astype(np.uint16)
    count = _COLOURS[kind]
    colours, extra = stored[..., :count], stored[..., count:]
    alpha, is_associated = None, False
    for index, meaning in enumerate(page.extrasamples[: extra.shape[-1]]):
        if meaning in (_ASSOCIATED, _UNASSOCIATED):
            alpha = _scale(extra[..., index : index + 1], bits)
            is_associated = meaning == _ASSOCIATED
            break
    if is_associated and kind in (_WHITE_IS_ZERO, _PALETTE, _CMYK):
        raise Unsupported("expected gray or RGB multiplied by alpha, got other colours")
    if kind == _PALETTE:
        colours = _look_up(page, colours[..., 0])
        if alpha is not None and alpha.dtype != colours.dtype:
            raise Unsupported("expected alpha of the palette's depth, got another")
    else:
        if kind == _WHITE_IS_ZERO:
            colours = top - colours
        elif kind == _CMYK:
            light = np.uint32(top) - colours
            colours = (light[..., :3] * light[..., 3:] + top // 2) // top
        colours = _scale(colours, bits)
    if alpha is None:
        return colours
    if is_associated:
        peak = np.iinfo(alpha.dtype).max
        wide = colours.astype(np.uint32) * peak + alpha // 2
        wide = wide // np.maximum(alpha, 1)
        colours = np.minimum(wide, peak).astype(alpha.dtype)
    return np.concatenate([colours, alpha], axis=-1)


def _scale(samples: np.ndarray, bits: int) -> np.ndarray:
    """Returns samples of 1 to 16 bits over the range of 8, or of 16 above that."""
    dtype, peak = (np.uint8, 255) if bits <= 8 else (np.uint16, 65535)
    top = 2**bits - 1
    if top != peak:
        samples = (samples.astype(np.uint32) * peak + top // 2) // top
    return samples.astype(dtype)


def _look_up(page: Any, indices: np.ndarray) -> np.ndarray:
    """Returns the colours of a palette; 8 bits where its 16 hold no more than that."""
    table = np.asarray(_value(page, 320, ()), np.uint16)
    if table.size != 3 * 2**page.bitspersample:
        raise ValueError("its palette is not whole")
    table = table.reshape(3, -1).T
    low, high = table & 255, table >> 8
    if table.max() < 256:
        table = low.astype(np.uint8)
    elif ((low == 0) | (low == high)).all():
        table = high.astype(np.uint8)
    return table[indices]


def _metadata(page: Any, file: BinaryIO) -> dict[str, Any]:
    at = file.tell()
    found = {key: _value(page, tag, None) for key, tag in _BESIDE.items()}
    found["exif"] = read_exif(file)
    file.seek(at)
    return found
