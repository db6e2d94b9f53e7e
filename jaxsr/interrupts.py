"""Ctrl-C ends a program, wherever it comes."""

import contextlib
import os
import signal
import sys
import threading
from collections.abc import Iterator
from types import FrameType

EXIT_CODE = 130
"""Of a program that Ctrl-C ended: what shells report of one that died of it."""

# Out of the callback in which the first one was lost.
_SECONDS_UNTIL_SENT_AGAIN = 0.02


class Interrupted(BaseException):
    """What a signal's handler raises to break off whatever the program does.

    Attributes:
        number: the signal's.
    """

    def __init__(self, number: int):
        """Says no more than the number."""
        super().__init__(number)
        self.number = number


@contextlib.contextmanager
def ctrl_c_ends_it() -> Iterator[None]:
    """Lets Ctrl-C end the program inside the block, quietly.

    It raises `KeyboardInterrupt`, so that half-written files can be removed; but while
    modules are imported, which leave nothing behind, the program ends at once: an
    import that is broken off may be taken for a module that is not there.
    """
    at_start = signal.getsignal(signal.SIGINT)
    if (
        threading.current_thread() is not threading.main_thread()
        or at_start is not signal.default_int_handler  # ignored, or another's business
    ):
        yield
        return
    signal.signal(signal.SIGINT, _interrupt)
    try:
        with nothing_swallowed():
            yield
    finally:
        signal.signal(signal.SIGINT, at_start)


@contextlib.contextmanager
def sigterm_tidies_up() -> Iterator[None]:
    """Lets SIGTERM unwind the block, so that half-written files go, before it kills.

    SIGHUP too, of a terminal that is closed.
    """
    numbers = [signal.SIGTERM, getattr(signal, "SIGHUP", signal.SIGTERM)]
    numbers = [n for n in numbers if signal.getsignal(n) is signal.SIG_DFL]
    if threading.current_thread() is not threading.main_thread() or not numbers:
        yield
        return

    def unwind(number: int, frame: FrameType | None) -> None:
        del frame
        raise Interrupted(number)

    for number in numbers:
        signal.signal(number, unwind)
    try:
        with nothing_swallowed():
            yield
    except Interrupted as interrupted:
        signal.signal(interrupted.number, signal.SIG_DFL)
        os.kill(os.getpid(), interrupted.number)
    finally:
        for number in numbers:
            signal.signal(number, signal.SIG_DFL)


@contextlib.contextmanager
def nothing_swallowed() -> Iterator[None]:
    """Sends a signal again if what its handler raised went nowhere.

    Python cannot raise from a callback of the garbage collector, JAX has one, or from a
    finaliser: it prints the exception and goes on.
    """
    before = sys.unraisablehook

    def send_again(unraisable: "sys.UnraisableHookArgs") -> None:
        error = unraisable.exc_value
        if not isinstance(error, KeyboardInterrupt | Interrupted):
            before(unraisable)
            return
        number = getattr(error, "number", signal.SIGINT)
        again = threading.Timer(
            _SECONDS_UNTIL_SENT_AGAIN, os.kill, (os.getpid(), number)
        )
        again.daemon = True
        again.start()

    sys.unraisablehook = send_again
    try:
        yield
    finally:
        if sys.unraisablehook is send_again:  # else somebody's who means to stay
            sys.unraisablehook = before


def _interrupt(number: int, frame: FrameType | None) -> None:
    del number
    while frame is not None:
        if frame.f_code.co_filename == "<frozen importlib._bootstrap>":
            os.write(2, b"interrupted\n")
            os._exit(EXIT_CODE)
        frame = frame.f_back
    raise KeyboardInterrupt
