"""Finds in a pickle, before it is read, what would take all memory, time or stack.

A pickle is a program for a stack machine. Three of its tricks cost a reader anything,
whatever names are allowed: a note under the number 2**31 fills a table up to there; a
tuple of tuples of tuples is hashed, as a dict's key, by a function that calls itself
until the process dies; and one that holds itself twice, sixty times over, is hashed for
years. So the program is run here with the sizes of tuples in place of the objects.
"""

import pickletools
from typing import IO, Any, NamedTuple

from jaxsr.errors import first_line

# No honest file comes near: tuples are shapes, strides and arguments of functions.
_MOST_NODES, _MOST_DEPTH = 1_000_000, 500

# Numbers of notes follow one another; a pickler that is used twice goes on counting.
_FURTHEST_NOTE = 2**16


class PickleBoundsError(Exception):
    """A pickle is none, or would take more than it is worth."""


class _Extent(NamedTuple):
    """Of a tuple with all that is in it; other objects end it, they are not hashed."""

    nodes: int
    depth: int


_ONE = _Extent(1, 0)
_MARK = "MARK"
_TUPLES = ("TUPLE", "TUPLE1", "TUPLE2", "TUPLE3")
_PUTS = ("PUT", "BINPUT", "LONG_BINPUT")
_GETS = ("GET", "BINGET", "LONG_BINGET")


def check_pickle(file: IO[bytes]) -> None:
    """Reads the next pickle of a file and goes back to where it begins.

    Raises:
        PickleBoundsError: it is damaged, or one that no `torch.save` writes.
        OSError: it cannot be read.
    """
    start = file.tell()
    try:
        _run(file)
    except (PickleBoundsError, OSError):
        raise
    except Exception as error:  # pickletools raises whatever damage leads to
        raise PickleBoundsError(f"is no whole pickle ({first_line(error)})") from None
    file.seek(start)


def _run(file: IO[bytes]) -> None:
    stack: list[_Extent | str] = []
    notes: dict[int, _Extent] = {}
    argument: Any
    for count, (operation, argument, _) in enumerate(pickletools.genops(file)):
        name = operation.name
        if name == "MARK":
            stack.append(_MARK)
        elif name in _PUTS or name == "MEMOIZE":
            number = len(notes) if name == "MEMOIZE" else argument
            if number > count + _FURTHEST_NOTE:
                raise PickleBoundsError(f"notes an object under the number {number}")
            notes[number] = _extent(stack[-1])
        elif name in _GETS:
            stack.append(notes[argument])
        elif name == "DUP":
            stack.append(stack[-1])
        else:
            taken = _take(stack, operation)
            given = _together(taken, name) if operation.stack_after else _ONE
            stack += [given] * len(operation.stack_after)


def _take(stack: list, operation: pickletools.OpcodeInfo) -> list[_Extent]:
    """Takes from the stack what an operation does, back to a mark if it has one."""
    names = [kind.name for kind in operation.stack_before]
    taken = []
    if "mark" in names:
        while (top := stack.pop()) != _MARK:
            taken.append(top)
        names = names[: names.index("mark")]
    for _ in names:
        taken.append(_extent(stack.pop()))
    return taken


def _together(parts: list[_Extent], name: str) -> _Extent:
    """Returns the extent of what an operation makes of parts: a tuple holds them all,
    of others' results one may be what is given back."""
    if name not in _TUPLES:
        return max(parts, default=_ONE)
    made = _Extent(
        1 + sum(part.nodes for part in parts),
        1 + max((part.depth for part in parts), default=0),
    )
    if made.nodes > _MOST_NODES or made.depth > _MOST_DEPTH:
        raise PickleBoundsError(
            f"holds a tuple of {made.nodes} parts, {made.depth} deep, expected at most "
            f"{_MOST_NODES} and {_MOST_DEPTH}"
        )
    return made


def _extent(entry: _Extent | str) -> _Extent:
    if isinstance(entry, str):
        raise ValueError("a mark in place of an object")
    return entry
