"""The size of a WebP from its header, before its decoder takes memory for it.

Source: https://developers.google.com/speed/webp/docs/riff_container
"""


def is_webp(head: bytes) -> bool:
    """Returns whether a file of these first bytes is a WebP."""
    return head[:4] == b"RIFF" and head[8:12] == b"WEBP"


def size(head: bytes) -> tuple[int, int]:
    """Returns width and height, of the first 30 bytes of a file."""
    kind = head[12:16]
    if kind == b"VP8X":
        return _number(head, 24, 3) + 1, _number(head, 27, 3) + 1
    if kind == b"VP8L":
        bits = _number(head, 21, 4)
        return (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
    if kind == b"VP8 ":
        return _number(head, 26, 2) & 0x3FFF, _number(head, 28, 2) & 0x3FFF
    raise ValueError("no header")


def _number(head: bytes, at: int, length: int) -> int:
    return int.from_bytes(head[at : at + length], "little")
