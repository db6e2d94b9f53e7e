"""The one exception for bad input, and how programs report it."""

import contextlib
import difflib
import errno
import functools
import os
import sys
from collections.abc import Callable, Iterable, Iterator

from jaxsr.interrupts import EXIT_CODE, ctrl_c_ends_it


class InputError(ValueError):
    """What the user gave cannot be used.

    The message is one line that names the file or key, what was expected and what came.
    Programs print it without a traceback and exit with code 2.
    """


@contextlib.contextmanager
def named(what: object) -> Iterator[None]:
    """Puts `what` before the message of an InputError from within."""
    try:
        yield
    except InputError as error:
        raise InputError(f"{what}: {error}") from error


def did_you_mean(word: str, known: Iterable[str], *, least: float = 0.6) -> str:
    """Returns the end of a message about a word that is none of `known`, or "".

    Args:
        least: the likeness, up to 1, of what is worth a mention.
    """
    close = difflib.get_close_matches(word, list(known), n=1, cutoff=least)
    return f", did you mean {close[0]}?" if close else ""


def printable(line: str) -> str:
    r"""Returns a message as one line that does nothing to a terminal.

    File names may hold any byte but "/": a line break comes out as "\n", an escape
    sequence as "\x1b[", what is not in the file system's encoding as "\udcff".
    """
    return "".join(
        c if c.isprintable() else c.encode("unicode_escape").decode() for c in line
    )


# What XLA says of memory, when it runs a program and when it compiles one.
_NO_MEMORY = ("RESOURCE_EXHAUSTED", "Out of memory")


def first_line(error: BaseException) -> str:
    """Returns what another library's error says, shortened to go into one line."""
    return (str(error).strip() or type(error).__name__).splitlines()[0][:200]


def is_out_of_memory(error: BaseException) -> bool:
    """Returns whether an error says that there was no memory, on the host or a device.

    XLA's is a RuntimeError, which has many meanings.
    """
    return isinstance(error, MemoryError) or (
        isinstance(error, RuntimeError)
        and any(words in str(error) for words in _NO_MEMORY)
    )


def reports_input_errors(main: Callable[..., int | None]) -> Callable[..., int]:
    """Returns `main` as a program's entry: exit code 0, or 2 after an `InputError`.

    A full disk or an unreadable file (`OSError`) is the user's to mend as well; it ends
    with one line and code 1. Ctrl-C ends with code 130; a reader of the output that has
    gone, such as `head`, with 141 and no word, as programs in C do.
    """

    @functools.wraps(main)
    def run(*args, **kwargs) -> int:
        _open_missing_streams()
        try:
            with ctrl_c_ends_it(), _all_is_written():
                return main(*args, **kwargs) or 0
        except InputError as error:
            print(printable(f"error: {error}"), file=sys.stderr)
            return 2
        except BrokenPipeError:
            _forget_what_is_buffered()
            return 141
        except OSError as error:
            print(printable(f"error: {error}"), file=sys.stderr)
            _forget_what_is_buffered()
            return 1
        except KeyboardInterrupt:
            print("interrupted", file=sys.stderr)
            return EXIT_CODE

    return run


@contextlib.contextmanager
def _all_is_written() -> Iterator[None]:
    """Flushes standard output at the end, while an error can still be reported."""
    try:
        yield
    finally:
        try:
            sys.stdout.flush()
        except BrokenPipeError:
            raise
        except OSError as error:
            raise OSError(error.errno, error.strerror, "standard output") from error


def _forget_what_is_buffered() -> None:
    """Drops what cannot be written; it would raise again while Python shuts down."""
    try:
        sys.stdout.flush()
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)


def _open_missing_streams() -> None:
    """Lets standard streams that the program was started without (`>&-`) be errors.

    Python has None for them, and the next file that is opened gets their number.
    """
    for number, name, wrong_way in (
        (0, "stdin", os.O_WRONLY),
        (1, "stdout", os.O_RDONLY),
        (2, "stderr", os.O_RDWR),  # nobody wants to hear what is said there
    ):
        try:
            os.fstat(number)
        except OSError as error:
            if error.errno != errno.EBADF:
                raise
            # As gnulib's stdopen does: to read or write fails, as it would have.
            os.open(os.devnull, wrong_way)
            mode = "r" if number == 0 else "w"
            setattr(sys, name, open(number, mode, closefd=False))
