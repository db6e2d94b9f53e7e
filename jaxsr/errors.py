"""The one exception for bad input, and how programs report it."""

import functools
import os
import sys
from collections.abc import Callable

from jaxsr.interrupts import EXIT_CODE, ctrl_c_ends_it


class InputError(ValueError):
    """What the user gave cannot be used.

    The message is one line that names the file or key, what was expected and what came.
    Programs print it without a traceback and exit with code 2.
    """


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
        try:
            with ctrl_c_ends_it():
                return main(*args, **kwargs) or 0
        except InputError as error:
            print(f"error: {error}", file=sys.stderr)
            return 2
        except BrokenPipeError:
            # What is still buffered would raise again while Python shuts down.
            os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
            return 141
        except OSError as error:
            print(f"error: {error}", file=sys.stderr)
            return 1
        except KeyboardInterrupt:
            print("interrupted", file=sys.stderr)
            return EXIT_CODE

    return run
