"""What a person sees of a run: a bar on a terminal, lines in a log file."""

import logging
import math
import sys
import time

from tqdm import tqdm

_log = logging.getLogger(__name__)


class Progress:
    """Steps, images per second, loss, PSNR and time left; silent if not `enabled`.

    On a terminal a bar is drawn; elsewhere `report` logs a line.
    """

    def __init__(
        self,
        *,
        steps: int,
        first_step: int,
        max_minutes: float | None,
        enabled: bool,
    ):
        self._enabled = enabled
        self._steps = steps
        self._first_step = first_step
        self._start = time.monotonic()
        self._limit = 60 * max_minutes if max_minutes else math.inf
        self._psnr: float | None = None
        self._bar = tqdm(
            total=steps,
            initial=first_step,
            unit="step",
            desc="train",
            dynamic_ncols=True,
            disable=not (enabled and sys.stderr.isatty()),
        )

    def __enter__(self) -> "Progress":
        return self

    def __exit__(self, *exception) -> None:
        self._bar.close()

    def update(self, steps: int) -> None:
        """Counts so many steps."""
        self._bar.update(steps)

    def report(self, step: int, numbers: dict[str, float]) -> None:
        """Shows `loss`, `images_per_second` and, from then on, `psnr` where given."""
        self._psnr = numbers.get("psnr", self._psnr)
        shown = {
            "loss": f"{numbers['loss']:.5f}",
            "images/s": f"{numbers['images_per_second']:.1f}",
        }
        if self._psnr is not None:
            shown["PSNR"] = f"{self._psnr:.2f} dB"
        if not self._bar.disable:
            if self._limit < math.inf:
                shown["left"] = tqdm.format_interval(self._seconds_left(step))
            self._bar.set_postfix(shown)
        elif self._enabled:
            text = ", ".join(f"{name} {value}" for name, value in shown.items())
            left = tqdm.format_interval(self._seconds_left(step))
            _log.info("step %d/%d: %s, left %s", step, self._steps, text, left)

    def _seconds_left(self, step: int) -> int:
        passed = time.monotonic() - self._start
        to_go = passed / (step - self._first_step) * (self._steps - step)
        return int(max(min(to_go, self._limit - passed), 0))
