"""AVIF above 8 bits a channel, which Pillow reads as 8."""

import re
from collections.abc import Iterator

import numpy as np

from jaxsr.imaging.tiff import Unsupported

# The box that configures AV1's decoder, version 1: a byte of profile and level, then
# bits that say tier, high depth, and of that the higher one. (AV1-ISOBMFF, 2.3.3)
_CONFIGURATION = re.compile(rb"av1C\x81.(.)", re.DOTALL)
_HIGH, _TWELVE = 0x40, 0x20


def is_avif(head: bytes) -> bool:
    """Returns whether a file of these first bytes is an AVIF, or may be one."""
    return head[4:12] in (b"ftypavif", b"ftypavis", b"ftypmif1")


def depth(content: bytes) -> int:
    """Returns the bits a channel: 8, 10 or 12."""
    found = [
        flags[0]
        for box in _boxes(content)
        if box[4:8] != b"mdat"  # pixels, whose bytes may look like anything
        for flags in _CONFIGURATION.findall(box)
    ]
    if not any(flags & _HIGH for flags in found):
        return 8
    return 12 if any(flags & _TWELVE for flags in found) else 10


def _boxes(content: bytes) -> Iterator[bytes]:
    """Yields the boxes of a file, each size, kind and body (ISO 14496-12, 4.2)."""
    at = 0
    while at + 8 <= len(content):
        size = int.from_bytes(content[at : at + 4], "big")
        if size == 1:
            size = int.from_bytes(content[at + 8 : at + 16], "big")
        if size < 8:  # 0: the last one, up to the end
            size = len(content) - at
        yield content[at : at + size]
        at += size


def decode_deep(content: bytes, width: int, height: int) -> np.ndarray:
    """Returns the first picture, uint16 `[H, W, 1 to 4]` over its full range.

    Args:
        content: of a file of more than 8 bits a channel.
        width: as Pillow read it, which has been allowed.
        height: as Pillow read it.

    Raises:
        Unsupported: imagecodecs is not installed.
        Exception: the file is damaged.
    """
    bits = depth(content)
    try:
        import imagecodecs

        decode = imagecodecs.avif_decode
    except (ImportError, AttributeError):
        raise Unsupported(
            f"an AVIF of {bits} bits a channel needs imagecodecs: "
            "pip install 'jaxsr-superres[tiff]', or save it as PNG"
        ) from None
    samples = np.asarray(decode(content, index=0)).reshape(height, width, -1)
    top = 2**bits - 1
    if samples.dtype != np.uint16 or samples.max() > top:
        raise ValueError(f"its pixels have not the {bits} bits that its header says")
    wide = (samples.astype(np.uint32) * 65535 + top // 2) // top
    return wide.astype(np.uint16)
