"""Where tiles lie, and how their results become one picture.

Where two tiles share a strip, the outer quarter on either side is dropped and the
middle half fades from one into the other.
"""

import itertools
import math
from collections.abc import Callable, Iterable, Iterator

import numpy as np

from jaxsr.in_order import map_in_order


def enlarge_in_tiles(
    picture: np.ndarray,
    tile: tuple[int, int],
    overlap: int,
    scale: int,
    enlarge: Callable[[tuple[slice, slice]], np.ndarray],
    progress: Callable[[int, int], object] | None = None,
    *,
    at_once: int = 1,
) -> Iterator[np.ndarray]:
    """Yields the enlarged picture, float32, from the top down.

    What was yielded is overwritten when the next stretch is asked for: all rows of
    tiles use one piece of memory, since what they would free, tiles that are in work
    already would take bits of.

    Args:
        picture: `[H, W, C]`.
        tile: height and width of tiles, at most the picture's.
        overlap: least width of the strip that neighbours share.
        scale: how much `enlarge` enlarges.
        enlarge: returns a part, rows and columns, of the picture, enlarged.
        progress: told after each tile how many are done, and of how many.
        at_once: how many tiles are in work, each in a thread; `enlarge` may be called
            from any of them.
    """
    height, width, channels = picture.shape
    tile_height, tile_width = tile
    tops = tile_starts(height, tile_height, overlap)
    lefts = tile_starts(width, tile_width, overlap)
    parts = [
        (slice(top, top + tile_height), slice(left, left + tile_width))
        for top in tops
        for left in lefts
    ]
    results = map_in_order(enlarge, parts, min(at_once, len(parts)))
    done = itertools.count(1)
    row_shape = (tile_height * scale, width * scale, channels)
    row = np.empty(row_shape if len(lefts) > 1 else 0, np.float32)

    def next_tile() -> np.ndarray:
        sr = next(results)
        if progress is not None:
            progress(next(done), len(parts))
        return sr

    def next_row() -> np.ndarray:
        if len(lefts) == 1:
            return next_tile()
        tiles = (next_tile().swapaxes(0, 1) for _ in lefts)
        left = 0
        for stretch in join_tiles(tiles, lefts, scale):
            row[:, left : left + len(stretch)] = stretch.swapaxes(0, 1)
            left += len(stretch)
        return row

    return join_tiles((next_row() for _ in tops), tops, scale)


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
    pieces, seam, dropped = iter(pieces), np.empty(0, np.float32), 0
    for start, following in zip(starts, [*starts[1:], None], strict=True):
        piece = next(pieces)  # zip would hold on to it
        if len(seam):
            if not piece.flags.writeable:
                piece = piece.copy()
            _fade(seam, piece[dropped : dropped + len(seam)])
        begin, end = dropped, len(piece)
        if following is not None:
            shared = max(start * scale + end - following * scale, 0)
            dropped = shared // 4
            seam = piece[end - shared + dropped : end - dropped].copy()
            end += dropped - shared
        yield piece[begin:end]
        del piece  # before there is memory for the next
    if next(pieces, None) is not None:
        raise ValueError(f"expected {len(starts)} pieces, got more")


def _fade(old: np.ndarray, new: np.ndarray) -> None:
    """Writes into `new` what fades from `old` to it along axis 0."""
    ramp = (np.arange(len(old), dtype=np.float32) + 0.5) / len(old)
    # Written so, pixels on which both agree keep their exact value.
    new[:] = old + ramp[:, None, None] * (new - old)
