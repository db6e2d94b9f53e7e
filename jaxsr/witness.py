"""What the libraries beneath print, kept off the terminal; and a last word if they end
the process."""

import contextlib
import io
import os
import subprocess
import sys

from jaxsr import witness_child

_STDOUT, _STDERR = 1, 2


class Witness:
    """A process beside this one, that reads along: see `witness_child`.

    Python's own `sys.stdout` and `sys.stderr` are not read; they write where they did.
    """

    def __init__(self, who: str, *, seconds: int, goes_on: str):
        """Starts it.

        Args:
            who: what this process is called.
            seconds: of silence after which other processes are taken for dead.
            goes_on: how the advice to start all of them again ends.
        """
        noise, self._into = os.pipe()
        self._process = subprocess.Popen(
            [sys.executable, "-S", "-E", witness_child.__file__]
            + [who, str(seconds), goes_on, str(noise)],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            start_new_session=True,  # Ctrl-C is not for it
            pass_fds=[noise],
        )
        os.close(noise)
        sys.stdout = _moved(sys.stdout, _STDOUT)
        sys.stderr = _moved(sys.stderr, _STDERR)
        self._before = {number: os.dup(number) for number in (_STDOUT, _STDERR)}
        for number in self._before:
            os.dup2(self._into, number)

    def dismiss(self) -> None:
        """Says that whatever comes, this process knows how it ends."""
        stdin = self._process.stdin
        if stdin is not None and not stdin.closed:
            with contextlib.suppress(BrokenPipeError):
                stdin.write(b"This end is a regular one.")
                stdin.close()

    def leave(self) -> None:
        """Dismisses it, gives the libraries their output back and waits for its end."""
        self.dismiss()
        for number, original in self._before.items():
            os.dup2(original, number)
        os.close(self._into)
        self._process.wait()


def _moved(stream, number: int):
    """Returns a stream that writes where the open file `number` leads now."""
    try:
        if stream.fileno() != number:
            return stream
        stream.flush()
    except (AttributeError, OSError, ValueError):  # a notebook's, or none at all
        return stream
    return io.TextIOWrapper(
        os.fdopen(os.dup(number), "wb"),
        encoding=stream.encoding,
        errors=stream.errors,
        line_buffering=stream.line_buffering or number == _STDERR,
    )
