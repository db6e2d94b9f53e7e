"""Which tiles a picture goes through in, smaller where memory does not suffice."""

import logging
import math
from collections.abc import Callable, Iterator

import numpy as np

from jaxsr.cpu import count_idle_threads
from jaxsr.errors import InputError, is_out_of_memory
from jaxsr.inference.tiling import enlarge_in_tiles

_log = logging.getLogger(__name__)

WHOLE_PICTURE_PIXELS = 2**22
"""Pictures of up to so many output pixels go through the network whole by default.

Every picture of the usual benchmarks does, DIV2K's 2040x2040 included. XLA needs 1 GiB
for such a one with RCBAM x2 and 8 GiB with EDSR x2 of 256 features (CPU, float32).
"""

AUTOMATIC_TILE_PIXELS = 2**20
"""Most output pixels of a tile where the tile is chosen automatically."""

AUTOMATIC_TILE_SIDE = 256
"""Most LR pixels a side of such a tile: larger ones take more memory and, on a CPU, no
less time (`docs/performance.md`)."""

HUGE_PICTURE_PIXELS = 2**26
"""Above so many output pixels such tiles are at most `_LOW_TILE` LR pixels high: a row
of tiles, whose result is in memory as floats, then takes half."""

_LOW_TILE = 128


def fits_beside_others(height: int, width: int) -> bool:
    """Whether a result of so many pixels is small enough to be one of several in work.

    Larger ones take much memory, and keep all cores busy by tiles of their own.
    """
    return height * width <= WHOLE_PICTURE_PIXELS


class Tiles:
    """Tiles, of pictures too large to go through whole.

    Attributes:
        tile: as given.
        overlap: as given.
    """

    def __init__(self, tile: int | None, overlap: int, scale: int):
        """Checks the sizes.

        Args:
            tile: side in pixels of the LR picture. 0 never tiles. None tiles only
                pictures of more than `WHOLE_PICTURE_PIXELS` output pixels.
            overlap: least width of the strip that neighbouring tiles share.
            scale: of the network.

        Raises:
            InputError: no whole number; `tile` below 0 or below twice the `overlap`;
                negative `overlap`.
        """
        for name, given in (("tile", tile), ("overlap", overlap)):
            none = name == "tile" and given is None
            if not (none or isinstance(given, int | np.integer)):
                raise InputError(f"{name}: expected a whole number, got {given!r}")
        if overlap < 0:
            raise InputError(f"overlap must be at least 0, got {overlap}")
        self._smallest = 2 * max(overlap, 1)
        if tile is not None and (tile < 0 or 0 < tile < self._smallest):
            raise InputError(
                f"tile must be 0 (never) or at least {self._smallest} pixels, "
                f"twice the overlap, got {tile}"
            )
        self.tile = tile
        self.overlap = overlap
        self._scale = scale
        self._most_pixels = math.inf  # of a tile, for which the memory suffices

    def shape(self, height: int, width: int) -> tuple[int, int]:
        """Returns the shape of tiles for such a picture: its own if it is not cut."""
        if self.tile is None:
            rows, columns = self._automatic(height * width * self._scale**2)
        else:
            rows = columns = self.tile
        shape = (min(rows, height), min(columns, width)) if rows else (height, width)
        while math.prod(shape) > self._most_pixels and self._halve(shape) != shape:
            shape = self._halve(shape)
        return shape

    def run(
        self,
        picture: np.ndarray,
        enlarge: Callable[[tuple[slice, slice]], np.ndarray],
        take: Callable[[Iterator[np.ndarray]], object],
        progress: Callable[[int, int], object] | None = None,
    ) -> None:
        """Enlarges a picture tile by tile.

        Where the memory does not suffice it is begun anew with tiles of half the side,
        a line is logged, and later pictures begin with what sufficed.

        Args:
            picture: `[H, W, C]`.
            enlarge: see `enlarge_in_tiles`; called from `count_idle_threads` threads.
            take: is given stretches of float rows, from the top down; called again
                where the picture is begun anew.
            progress: see `enlarge_in_tiles`.

        Raises:
            MemoryError, RuntimeError: not even the smallest tiles find memory, or there
                are to be none.
        """
        while True:
            shape = self.shape(*picture.shape[:2])
            stretches = enlarge_in_tiles(
                picture,
                shape,
                self.overlap,
                self._scale,
                enlarge,
                progress,
                at_once=count_idle_threads(),
            )
            try:
                take(stretches)
                return
            except (MemoryError, RuntimeError) as error:
                smaller = self._halve(shape)
                if not is_out_of_memory(error) or self.tile == 0 or smaller == shape:
                    raise
            self._most_pixels = math.prod(smaller)
            _log.warning(
                "not enough memory for %dx%d pixels at once: going on with tiles of "
                "%dx%d",
                *(shape[1], shape[0], smaller[1], smaller[0]),
            )

    def _automatic(self, pixels: int) -> tuple[int, int]:
        """Returns the shape of tiles for so many output pixels; (0, 0) is none."""
        if pixels <= WHOLE_PICTURE_PIXELS:
            return 0, 0
        side = min(
            math.isqrt(AUTOMATIC_TILE_PIXELS) // self._scale, AUTOMATIC_TILE_SIDE
        )
        height = min(side, _LOW_TILE) if pixels > HUGE_PICTURE_PIXELS else side
        return max(height, self._smallest), max(side, self._smallest)

    def _halve(self, shape: tuple[int, int]) -> tuple[int, int]:
        """Returns tiles of half the longer side, as small as the overlap allows."""
        side = max(max(shape) // 2, self._smallest)
        return min(side, shape[0]), min(side, shape[1])
