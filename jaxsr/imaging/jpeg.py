"""Whether a JPEG holds all the rows that its header promises.

libjpeg paints what is missing gray and says so in a warning that Pillow does not hear.
"""

_RESTARTS = range(0xD0, 0xD8)
_START_OF_SCAN, _END = 0xDA, 0xD9
# Read as pixels where pixels are missing, passed over where they are not.
_NOISE = b"\x55\xa3\x1b\x68" * 64
# Narrower than two blocks: one too few leaves noise, which shows nothing.
_NARROW = 32


def looks_unfinished(width: int, corner: list[int]) -> bool:
    """Returns whether a picture's last pixel may be one that libjpeg has made up.

    Args:
        width: of the picture.
        corner: the pixel: gray, RGB or CMYK.
    """
    if width <= _NARROW or len(corner) == 4:
        return True
    # Chroma may be mixed with that of the row above; luma is the middle of its range.
    weights = (0.299, 0.587, 0.114) if len(corner) == 3 else (1,)
    luma = sum(w * value for w, value in zip(weights, corner, strict=True))
    return 126 <= luma <= 130


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
            scan = content[done:at]
            parts += [scan, _filling(scan)]
            done = at
    return b"".join([content[:2], *parts, content[done:]])


def _filling(scan: bytes) -> bytes:
    """Returns noise, with restart markers as a scan that has them would go on."""
    last = max(scan.rfind(bytes([0xFF, restart])) for restart in _RESTARTS)
    first = scan[last + 1] - _RESTARTS.start + 1 if last >= 0 else 0
    markers = (bytes([0xFF, _RESTARTS[(first + i) % 8]]) for i in range(8))
    return _NOISE + b"".join(marker + _NOISE for marker in markers)


def _end_of_scan(content: bytes, at: int) -> int:
    """Returns where the next marker stands that is no restart."""
    while (at := content.find(b"\xff", at)) >= 0 and at + 1 < len(content):
        following = content[at + 1]
        if following not in (0x00, 0xFF) and following not in _RESTARTS:
            return at
        at += 1 if following == 0xFF else 2
    return len(content)
