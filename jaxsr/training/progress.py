"""What a person sees of a run: messages, and a bar on a terminal or in a notebook or
lines in a log file.
"""

import contextlib
import logging
import math
import sys
import threading
import time
import traceback
from collections.abc import Iterator

from tqdm import tqdm

from jaxsr import processes

_log = logging.getLogger(__name__)


@contextlib.contextmanager
def messages() -> Iterator[None]:
    """Shows on stderr what jaxsr has to say, and of everything else only errors.

    Those of other processes than the first are left out, but for warnings. A program
    that has chosen a level for the logger "jaxsr" shows messages in its own way, and
    nothing is changed.
    """
    drop_callbacks_of_closed_loops()
    ours = logging.getLogger("jaxsr")
    if ours.level != logging.NOTSET:
        yield
        return
    handler = logging.StreamHandler()
    handler.setFormatter(logging.Formatter("%(message)s"))
    handler.addFilter(
        lambda record: record.levelno > logging.INFO or processes.is_first()
    )
    # orbax logs, and raises in its threads, what it then raises here as well.
    absl = logging.getLogger("absl")
    before = absl.level, ours.propagate, threading.excepthook
    absl.setLevel(logging.CRITICAL)
    threading.excepthook = _say_unless_from_orbax
    ours.addHandler(handler)
    ours.setLevel(logging.INFO)
    ours.propagate = False
    try:
        yield
    finally:
        ours.removeHandler(handler)
        ours.setLevel(logging.NOTSET)
        absl.level, ours.propagate, threading.excepthook = before


def drop_callbacks_of_closed_loops() -> None:
    """Keeps Python from telling what orbax's storage calls after its loop is closed.

    When one file of a checkpoint cannot be written orbax closes the event loop, which
    the other files' writes still report to, from threads in which nothing can be
    raised, until the process ends. The error itself is reported to who saves.
    """
    before = sys.unraisablehook
    if getattr(before, "__name__", "") == "say_unless_loop_is_closed":
        return

    def say_unless_loop_is_closed(unraisable: "sys.UnraisableHookArgs") -> None:
        frames = traceback.walk_tb(unraisable.exc_traceback)
        modules = [frame.f_globals.get("__name__", "") for frame, _ in frames]
        if not (
            isinstance(unraisable.exc_value, RuntimeError)
            and str(unraisable.exc_value) == "Event loop is closed"
            and all(module.startswith("asyncio.") for module in modules)
        ):
            before(unraisable)

    sys.unraisablehook = say_unless_loop_is_closed


def _say_unless_from_orbax(error: threading.ExceptHookArgs) -> None:
    frames = traceback.walk_tb(error.exc_traceback)
    modules = [frame.f_globals.get("__name__", "") for frame, _ in frames]
    if not any(module.startswith("orbax.") for module in modules):
        threading.__excepthook__(error)


def _draws_bars() -> bool:
    """Returns whether stderr is a terminal or a notebook's."""
    return sys.stderr.isatty() or type(sys.stderr).__module__.startswith("ipykernel")


class Progress:
    """Steps, images per second, loss, PSNR and time left; silent if not `enabled`.

    On a terminal and in a notebook a bar is drawn; elsewhere `report` logs a line.
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
            disable=not (enabled and _draws_bars()),
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
