"""PNG's chunks: what Pillow is shown of them and does not check, and how they are made.

Source: https://www.w3.org/TR/png-3/
"""

import itertools
import struct
import zlib
from collections.abc import Iterable, Iterator
from typing import Any, BinaryIO

import numpy as np

from jaxsr.files import Part
from jaxsr.imaging import xmp
from jaxsr.imaging.metadata import (
    Metadata,
    checked_dpi,
    checked_icc,
    exif_bytes,
    exif_for,
)

SIGNATURE = b"\x89PNG\r\n\x1a\n"

_METRE = 39.37007874  # inches
_PIXELS = (b"IHDR", b"PLTE", b"tRNS", b"IDAT", b"IEND")
_COLOUR = (b"cHRM", b"gAMA", b"sRGB", b"cICP")
_TEXT = b"iTXt"
# Not compressed, in no language and not translated, as its specification wants it.
_XMP_HEAD = xmp.NAME_IN_PNG + bytes(5)
_LARGEST_PROFILE = 16 * 2**20
_ROWS = 64  # are compressed at a time
_SAMPLES = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}
# Left, top, and steps to the right and down of Adam7's seven passes.
_PASSES = (
    *((0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4)),
    *((0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2)),
)

Chunks = list[tuple[bytes, bytes]]


def read_chunks(file: BinaryIO) -> Chunks:
    """Returns the chunks of pixels, colours, EXIF, XMP and resolution, in their order.

    Others, such as texts of any size, are passed over unread.
    """
    file.seek(len(SIGNATURE))
    wanted = {*_PIXELS, *_COLOUR, b"iCCP", b"eXIf", b"pHYs"}
    chunks: Chunks = []
    while len(head := file.read(8)) == 8:
        length, name = struct.unpack(">I4s", head)
        if name in wanted or (name == _TEXT and _is_xmp(file, length)):
            body, check = file.read(length), file.read(4)
            if len(body) < length or len(check) < 4:
                raise EOFError(f"the file ends within {name.decode()}")
            if struct.unpack(">I", check)[0] == zlib.crc32(body, zlib.crc32(name)):
                chunks.append((name, body))
            elif name in _PIXELS:
                raise ValueError(f"wrong checksum of {name.decode()}")
        else:
            file.seek(length + 4, 1)
        if name == b"IEND":
            break
    return chunks


def _is_xmp(file: BinaryIO, length: int) -> bool:
    """Returns whether the text that begins here is XMP, of an allowed length."""
    if length > len(_XMP_HEAD) + xmp.MAX_BYTES:
        return False
    head = file.read(len(_XMP_HEAD))
    file.seek(-len(head), 1)
    return head == _XMP_HEAD


def size(chunks: Chunks) -> tuple[int, int]:
    """Returns width and height."""
    if not chunks or chunks[0][0] != b"IHDR" or len(chunks[0][1]) != 13:
        raise ValueError("no header")
    width, height = struct.unpack(">2I", chunks[0][1][:8])
    return width, height


def pixels_alone(chunks: Chunks) -> bytes:
    """Returns a PNG of nothing but pixels, palette and transparency."""
    kept = (_chunk(name, body) for name, body in chunks if name in _PIXELS)
    return b"".join([SIGNATURE, *itertools.chain.from_iterable(kept)])


def is_complete(chunks: Chunks) -> bool:
    """Returns whether the compressed pixels are as many as the header says."""
    width, height, depth, colour, _, _, interlaced = struct.unpack(
        ">2I5B", chunks[0][1]
    )
    bits = depth * _SAMPLES[colour]
    passes = _PASSES if interlaced else ((0, 0, 1, 1),)
    expected = 0
    for left, top, right, down in passes:
        columns, rows = -((left - width) // right), -((top - height) // down)
        if columns > 0 and rows > 0:
            expected += rows * (1 + (columns * bits + 7) // 8)
    inflate, found = zlib.decompressobj(), 0
    for body in [*(body for name, body in chunks if name == b"IDAT"), b""]:
        # A megabyte at a time: a few bytes may stand for very many.
        while found < expected and (piece := inflate.decompress(body, 2**20)):
            found += len(piece)
            body = inflate.unconsumed_tail
    return found >= expected


def read_metadata(chunks: Chunks) -> dict[str, Any]:
    """Returns profile, EXIF, XMP, resolution and colours, as the file has them."""
    found: dict[str, Any] = {}
    for name, body in chunks:
        if name == b"iCCP":
            found["icc_profile"] = _inflate_profile(body)
        elif name == b"eXIf":
            found["exif"] = body
        elif name == _TEXT:
            found["xmp"] = body.removeprefix(_XMP_HEAD)
        elif name == b"pHYs" and len(body) == 9 and body[8] == 1:
            found["dpi"] = tuple(n / _METRE for n in struct.unpack(">2I", body[:8]))
    found["png"] = tuple((name, body) for name, body in chunks if name in _COLOUR)
    return found


def encode(
    rows: Iterable[np.ndarray],
    shape: tuple[int, int, int],
    dtype: np.dtype,
    metadata: Metadata,
) -> Iterator[Part]:
    """Yields the parts of a PNG; the pixels need not be there before their turn.

    Every row is stored as its difference to the row above (filter type 2). That takes
    two thirds of the time of Pillow, which tries all filters for each row, wants the
    whole picture and knows no colours of 16 bits; the file is 1 % larger.

    Args:
        rows: some at a time, from the top down, `[h, W, 1 to 4]`.
        shape: of the whole, `(H, W, 1 to 4)`.
        dtype: uint8 or uint16.
        metadata: what is to stand in the file beside the pixels.
    """
    height, width, channels = shape
    colour_type = {1: 0, 2: 4, 3: 2, 4: 6}[channels]
    header = (width, height, dtype.itemsize * 8, colour_type, 0, 0, 0)
    yield SIGNATURE
    yield from _chunk(b"IHDR", struct.pack(">2I5B", *header))
    for name, body in _ancillary(shape, metadata):
        yield from _chunk(name, body)
    packer = zlib.compressobj(6)
    above = np.zeros((1, width * channels * dtype.itemsize), np.uint8)
    for part in rows:
        for top in range(0, len(part), _ROWS):
            few = np.ascontiguousarray(part[top : top + _ROWS], dtype.newbyteorder(">"))
            few = few.view(np.uint8).reshape(len(few), -1)
            filtered = np.empty((len(few), few.shape[1] + 1), np.uint8)
            filtered[:, 0] = 2
            filtered[:, 1:] = few - np.concatenate([above, few[:-1]])
            above = few[-1:].copy()
            if packed := packer.compress(filtered.data):
                yield from _chunk(b"IDAT", packed)
    yield from _chunk(b"IDAT", packer.flush())
    yield from _chunk(b"IEND", b"")


def _ancillary(shape: tuple[int, int, int], metadata: Metadata) -> Chunks:
    height, width, channels = shape
    chunks: Chunks = []
    if profile := checked_icc(metadata.icc, channels):
        chunks.append((b"iCCP", b"ICC\0\0" + zlib.compress(profile)))
    for name, body in metadata.png:
        if not (profile and name == b"sRGB"):  # PNG allows one of the two
            chunks.append((name, body))
    if dpi := checked_dpi(metadata.dpi):
        per_metre = [round(value * _METRE) for value in dpi]
        chunks.append((b"pHYs", struct.pack(">2IB", *per_metre, 1)))
    if exif := exif_bytes(exif_for(metadata, width, height, full=False)):
        chunks.append((b"eXIf", exif))
    if metadata.xmp:
        chunks.append((_TEXT, _XMP_HEAD + metadata.xmp))
    return chunks


def _inflate_profile(body: bytes) -> bytes | None:
    _, _, rest = body.partition(b"\0")
    try:
        return zlib.decompressobj().decompress(rest[1:], _LARGEST_PROFILE)
    except zlib.error:
        return None


def _chunk(name: bytes, body: bytes) -> tuple[bytes, bytes, bytes]:
    check = struct.pack(">I", zlib.crc32(body, zlib.crc32(name)))
    return struct.pack(">I4s", len(body), name), body, check
