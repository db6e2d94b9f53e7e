"""Whether a JPEG holds all the rows that its header promises.

libjpeg paints what is missing gray and says so in a warning that Pillow does not hear.
"""

_RESTARTS = range(0xD0, 0xD8)
_START_OF_SCAN, _END = 0xDA, 0xD9
# Read as pixels where pixels are missing, passed over where they are not.
_FILLING = b"\x55\xa3\x1b\x68" * 64


def looks_unfinished(corner: list[int]) -> bool:
    """Returns whether a picture's last pixel is as libjpeg paints missing ones."""
    return all(126 <= value <= 129 for value in corner)


def fill_scans(content: bytes) -> bytes:
    """Returns the JPEG with other bytes behind the data of every scan.

    Its pixels are the same if and only if no scan had too few data.
    """
    parts: list[bytes] = []
    at = done = 2
    while at + 4 <= len(content):
        marker = content[at + 1]
        if content[at] != 0xFF or marker == _END:
            break
        at += 2 + int.from_bytes(content[at + 2 : at + 4], "big")
        if marker == _START_OF_SCAN:
            at = _end_of_scan(content, at)
            parts += [content[done:at], _FILLING]
            done = at
    return b"".join([content[:2], *parts, content[done:]])


def _end_of_scan(content: bytes, at: int) -> int:
    """Returns where the next marker stands that is no restart."""
    while (at := content.find(b"\xff", at)) >= 0 and at + 1 < len(content):
        following = content[at + 1]
        if following not in (0x00, 0xFF) and following not in _RESTARTS:
            return at
        at += 1 if following == 0xFF else 2
    return len(content)
