"""Where tiles lie, and how their results become one picture.

Where two tiles share a strip, the outer quarter on either side is dropped and the
middle half fades from one into the other.
"""

import math
from collections.abc import Iterable, Iterator

import numpy as np


def tile_starts(size: int, tile: int, overlap: int) -> list[int]:
    """Returns where tiles begin, evenly; neighbours share at least `overlap`."""
    if tile == size:
        return [0]
    count = math.ceil((size - overlap) / (tile - overlap))
    return [i * (size - tile) // (count - 1) for i in range(count)]


def join_tiles(
    pieces: Iterable[np.ndarray], starts: list[int], scale: int
) -> Iterator[np.ndarray]:
    """Yields the whole along axis 0, stretch by stretch, as soon as each is final.

    Rows are joined after the tiles of each row, not both at once: a corner that four
    tiles share then never shows the outer edge of any of them.

    Args:
        pieces: enlarged `[t, w, C]`, which begin at `starts`; may be written to.
        starts: in LR pixels.
        scale: the network's factor.
    """
    open_part, end = np.empty(0, np.float32), 0
    final = 0  # where what has been yielded ends and `open_part` begins
    for start, piece in zip(starts, pieces, strict=True):
        begin = start * scale
        shared = max(end - begin, 0)
        dropped = shared // 4
        if end:
            fade_from = begin + dropped
            yield open_part[: fade_from - final]
            old = open_part[fade_from - final : end - dropped - final]
            if not piece.flags.writeable:
                piece = piece.copy()
            new = piece[dropped : dropped + len(old)]
            ramp = (np.arange(len(old), dtype=np.float32) + 0.5) / max(len(old), 1)
            # Written so, pixels on which both agree keep their exact value.
            new[:] = old + ramp[:, None, None] * (new - old)
            open_part, final = piece[dropped:], fade_from
        else:
            open_part = piece
        end = begin + len(piece)
    yield open_part
