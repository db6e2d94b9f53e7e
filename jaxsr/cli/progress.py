"""What `jaxsr upscale` says while it works: bars on a terminal, else plain lines."""

import sys
import time

from tqdm import tqdm

from jaxsr.errors import printable

# Seconds between two lines about the tiles of one picture.
_PAUSE = 10.0


class Progress:
    """Of so many pictures, and of the tiles of each."""

    def __init__(self, pictures: int):
        """Shows nothing done yet."""
        self._bars = sys.stderr.isatty()
        self._total = pictures
        self._done = 0
        self._tiles: tqdm | None = None
        self._began = self._last = time.monotonic()
        self._pictures = None
        if self._bars and pictures > 1:
            self._pictures = tqdm(total=pictures, unit="picture")

    def tile(self, done: int, total: int) -> None:
        """Tells how many tiles of a picture are done, and the time that is left."""
        if total == 1:
            return
        if self._bars:
            if self._tiles is None:
                self._tiles = tqdm(total=total, unit="tile", leave=False)
            self._tiles.update(done - self._tiles.n)
            if done >= total:
                self._close_tiles()
            return
        now = time.monotonic()
        if done == 1:
            # The first tile compiles; what follows tells how long the others take.
            self._began = self._last = now
        elif now - self._last > _PAUSE and done < total:
            left = (now - self._began) / (done - 1) * (total - done)
            self.say(f"tile {done} of {total}, {left:.0f} s left")
            self._last = now

    def written(self, name: str) -> None:
        """Tells that a picture has been written."""
        self._next()
        if not self._bars:
            of = f"{self._done} of {self._total}: " if self._total > 1 else ""
            self.say(f"{of}{name}")

    def skipped(self, reason: str) -> None:
        """Tells that a picture has been left out."""
        self._next()
        self.say(f"skipped: {reason}")

    def say(self, line: str) -> None:
        """Prints a line beside whatever is shown."""
        tqdm.write(printable(line), file=sys.stderr)

    def close(self) -> None:
        """Takes the bars away."""
        self._close_tiles()
        if self._pictures is not None:
            self._pictures.close()

    def _next(self) -> None:
        self._done += 1
        self._close_tiles()
        if self._pictures is not None:
            self._pictures.update()

    def _close_tiles(self) -> None:
        if self._tiles is not None:
            self._tiles.close()
            self._tiles = None
