"""What all fuzz tests share: how long they run, damage, bounds, and counts.

As a part of the test suite they take about a minute, with the same cases each time. By
hand they take as long as is asked for, with new cases:

    JAXSR_FUZZ_MINUTES=60 python -m pytest -n0 tests/fuzz

The property is always the same: the right answer, or one clear line; never another
exception, a crash, unbounded memory or time, or a word of somebody else's.
"""

import collections
import contextlib
import faulthandler
import functools
import os
import resource
import struct
import sys
import time
import zlib
from collections.abc import Callable, Iterator

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st

from jaxsr.errors import InputError

MINUTES = float(os.environ.get("JAXSR_FUZZ_MINUTES", 0))

COUNTS: collections.Counter[str] = collections.Counter()
"""How many cases there were, and how they ended; shown at the end of a run by hand."""

_SECONDS_FOR_ONE = 300  # on a busy machine
_UNIT = 1 if sys.platform == "darwin" else 1024


def fuzzed(*, examples: int, share: float) -> Callable:
    """Decorates a test by hypothesis.

    Args:
        examples: cases in the suite.
        share: of the minutes of a run by hand.
    """

    def decorate(test: Callable) -> Callable:
        test = settings(
            max_examples=min(examples, 200) if MINUTES else examples,
            derandomize=not MINUTES,
            database=None,
            deadline=None,
            print_blob=False,
            suppress_health_check=list(HealthCheck),
        )(test)
        if not MINUTES:
            return test

        @functools.wraps(test)
        def run(*args, **kwargs) -> None:
            end = time.monotonic() + 60 * MINUTES * share
            while time.monotonic() < end:
                test(*args, **kwargs)

        return run

    return decorate


@contextlib.contextmanager
def bounded(kind: str, *, megabytes: int) -> Iterator[None]:
    """Allows the block an answer or an `InputError` of one line, and counts which.

    One that takes too long ends the process with a traceback.
    """
    before = _peak()
    faulthandler.dump_traceback_later(_SECONDS_FOR_ONE, exit=True)
    try:
        yield
        COUNTS[f"{kind}: answered"] += 1
    except InputError as error:
        assert "\n" not in str(error) and len(str(error)) < 2000, error
        COUNTS[f"{kind}: refused"] += 1
    finally:
        faulthandler.cancel_dump_traceback_later()
    grown = (_peak() - before) / 2**20
    assert grown < megabytes, f"took {grown:.0f} MB"


def _peak() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * _UNIT


@st.composite
def damages(draw: st.DrawFn, *, most: int = 4) -> list[tuple[str, float, int]]:
    """Draws what is done to a file: kinds, places (as parts of it) and numbers."""
    kinds = ("flip", "byte", "number", "cut", "zeros", "repeat", "insert")
    place = st.floats(0, 1, exclude_max=True)
    # The beginning says what the rest is.
    places = st.one_of(place, place.map(lambda p: p * 0.1), place.map(lambda p: p**4))
    one = st.tuples(st.sampled_from(kinds), places, st.integers(0, 2**32 - 1))
    return draw(st.lists(one, min_size=1, max_size=most))


def damage(content: bytes, what: list[tuple[str, float, int]]) -> bytes:
    """Returns the content after it."""
    data = bytearray(content)
    for kind, place, number in what:
        at = int(place * len(data))
        length = number % 64
        if kind == "flip" and data:
            data[at] ^= 1 << number % 8
        elif kind == "byte" and data:
            data[at] = number % 256
        elif kind == "number":
            choices = (0, 1, 2**31 - 1, 2**31, 2**32 - 1, number)
            order = "<>"[number % 2] + "I"
            data[at : at + 4] = struct.pack(order, choices[number % 6])
        elif kind == "cut":
            del data[at:]
        elif kind == "zeros":
            data[at : at + length] = bytes(min(length, len(data) - at))
        elif kind == "repeat":
            data[at:at] = data[at : at + length]
        elif kind == "insert":
            data[at:at] = number.to_bytes(4, "big")
    return bytes(data)


def with_right_checksums(png: bytes) -> bytes:
    """Returns a PNG whose chunks say that they are whole: damage beyond checksums."""
    at, parts = 8, [png[:8]]
    while at + 12 <= len(png):
        (length,) = struct.unpack_from(">I", png, at)
        body = png[at + 4 : at + 8 + length]
        parts += [png[at : at + 4], body, struct.pack(">I", zlib.crc32(body))]
        at += 12 + length
    return b"".join(parts) + png[at:]
