"""PNG's chunks: what Pillow is shown of them, what it does not check and cannot write.

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
            if struct.unpack(">I", check)[0] == zlib.crc32(name + body):
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
    return b"".join(_join((name, body) for name, body in chunks if name in _PIXELS))


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
    image: np.ndarray, pillows: memoryview | None, metadata: Metadata
) -> list[Part]:
    """Returns the parts of a PNG with the metadata.

    Args:
        image: `[H, W, C]`.
        pillows: the PNG that Pillow makes of it; None for 16 bits a channel, which it
            writes for gray only.
        metadata: what is to stand in the file beside the pixels.
    """
    if pillows is None:
        chunks: list[tuple[bytes, Part]] = [*_chunks16(image)]
    else:
        chunks = list(_split(pillows))
    return _join([chunks[0], *_ancillary(image, metadata), *chunks[1:]])


def _ancillary(image: np.ndarray, metadata: Metadata) -> Chunks:
    height, width, channels = image.shape
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


def _chunks16(image: np.ndarray) -> Chunks:
    """Returns the chunks of a PNG of 16 bits a channel.

    Every row is stored as its difference to the row above (filter type 2).
    """
    height, width, channels = image.shape
    colour_type = {1: 0, 2: 4, 3: 2, 4: 6}[channels]
    header = struct.pack(">2I5B", width, height, 16, colour_type, 0, 0, 0)
    chunks: Chunks = [(b"IHDR", header)]
    packer = zlib.compressobj(6)
    above = np.zeros((1, width * channels * 2), np.uint8)
    for top in range(0, height, _ROWS):
        rows = np.ascontiguousarray(image[top : top + _ROWS].astype(">u2"))
        rows = rows.view(np.uint8).reshape(len(rows), -1)
        filtered = np.empty((len(rows), rows.shape[1] + 1), np.uint8)
        filtered[:, 0] = 2
        filtered[:, 1:] = rows - np.concatenate([above, rows[:-1]])
        above = rows[-1:]
        chunks.append((b"IDAT", packer.compress(filtered.data)))
    chunks.append((b"IDAT", packer.flush()))
    return [*chunks, (b"IEND", b"")]


def _split(content: memoryview) -> Iterator[tuple[bytes, Part]]:
    at = len(SIGNATURE)
    while at < len(content):
        length, name = struct.unpack_from(">I4s", content, at)
        yield name, content[at + 8 : at + 8 + length]
        at += 12 + length


def _join(chunks: Iterable[tuple[bytes, Part]]) -> list[Part]:
    parts = [
        (
            struct.pack(">I4s", len(body), name),
            body,
            struct.pack(">I", zlib.crc32(body, zlib.crc32(name))),
        )
        for name, body in chunks
    ]
    return [SIGNATURE, *itertools.chain.from_iterable(parts)]
