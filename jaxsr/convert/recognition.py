"""Which network of which repository a checkpoint is, by its names and shapes.

A checkpoint may hold more than one network's weights: the state of an optimiser, a
moving average, a loss, another network. The weights that are meant have a common prefix
(`state_dict.module.net.`) behind which the names are exactly a family's.
"""

import re
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from jaxsr.convert import matconvnet, pytorch
from jaxsr.convert.mapping import Arrays, Plan, misshapen
from jaxsr.errors import InputError

Family = Callable[[Arrays, int | None], Plan]

FAMILIES: dict[str, Family] = pytorch.FAMILIES | matconvnet.FAMILIES

# Of every PyTorch family one key that must be there: what stands before it is a prefix.
_ANCHORS = (
    "sub_mean.weight",
    "conv_first.weight",
    "conv_input.weight",
    "first_part.0.weight",
    "input.weight",
    "conv1.weight",
)


def recognise(arrays: Mapping[str, Any]) -> list[str]:
    """Returns the families whose names and shapes a checkpoint has.

    None if it is of no known family; several only where they would be read in different
    ways. Of families that are read in the same way, the first by name is returned.

    Args:
        arrays: name -> array, or its shape alone as a tuple; with whatever prefix.
    """
    empty = {
        # Arrays of such a shape that take no memory.
        name: np.broadcast_to(
            np.float32(0), value if isinstance(value, tuple) else np.shape(value)
        )
        for name, value in arrays.items()
    }
    found: list[str] = []
    for family in sorted(FAMILIES):
        if any(FAMILIES[family] is FAMILIES[other] for other in found):
            continue
        if any(_is_whole(plan) for _, plan in fitting_parts(family, empty)):
            found.append(family)
    return found


def _is_whole(plan: Plan) -> bool:
    try:
        return bool(plan.sources) and not misshapen(plan)
    except InputError:  # no network has such fields
        return False


def fitting_parts(family: str, arrays: Arrays) -> list[tuple[str, Plan]]:
    """Returns the parts of a checkpoint whose names are a family's: prefix and plan."""
    if family not in pytorch.FAMILIES:
        prepared = [("", matconvnet.restore_axes(arrays))]
    else:
        prepared = list(split(arrays).items())
    plans = [(prefix, plan_of(family, part)) for prefix, part in prepared]
    return [(prefix, plan) for prefix, plan in plans if plan and fits(plan)]


def split(arrays: Arrays) -> dict[str, Arrays]:
    """Returns by its prefix each part of a checkpoint that may be a network's weights.

    The whole is among them if it has no prefix.
    """
    prefixes = {
        key.removesuffix(anchor): None
        for key in arrays
        for anchor in _ANCHORS
        if key == anchor or key.endswith(f".{anchor}")
    }
    return {
        prefix: {
            key.removeprefix(prefix): array
            for key, array in arrays.items()
            if key.startswith(prefix)
        }
        for prefix in prefixes
    }


# A word of its own, as in "params_ema.": there is a schema as well.
_AVERAGE = re.compile(r"(^|[._])ema([._]|$)", re.IGNORECASE)


def choose_part(family: str, arrays: Arrays) -> Arrays:
    """Returns the part of a checkpoint that is a family's, without its prefix.

    The moving average is taken where it lies beside the weights that it is of: it is
    what its makers validate with. Where no part is the family's, the likeliest is
    returned, for the message that says what differs.

    Raises:
        InputError: several parts are.
    """
    if family not in pytorch.FAMILIES:
        return matconvnet.restore_axes(arrays)
    parts = {prefix: plan.arrays for prefix, plan in fitting_parts(family, arrays)}
    if len(parts) > 1:
        averages = [prefix for prefix in parts if _AVERAGE.search(prefix)]
        if len(averages) != 1:
            names = ", ".join(sorted(prefix.rstrip(".") or "all" for prefix in parts))
            raise InputError(f"expected one set of weights, got {names}")
        return parts[averages[0]]
    if parts:
        return next(iter(parts.values()))
    return max([_without_prefix(arrays), *split(arrays).values()], key=_likeness)


def _likeness(part: Arrays) -> tuple[bool, int]:
    return any(anchor in part for anchor in _ANCHORS), len(part)


def _without_prefix(arrays: Arrays) -> Arrays:
    """Returns the arrays without the words that all of their names begin with."""
    while len(arrays) > 1 and len({key.partition(".")[0] for key in arrays}) == 1:
        if any("." not in key for key in arrays):
            break
        arrays = {key.partition(".")[2]: value for key, value in arrays.items()}
    return arrays


def plan_of(family: str, arrays: Arrays, scale: int | None = None) -> Plan | None:
    """Returns the plan that a family has for these arrays, at any scale if need be."""
    for asked in (scale, None, 2):  # those that show their scale, and that need one
        try:
            return FAMILIES[family](arrays, asked)
        except InputError:
            continue
    return None


def fits(plan: Plan) -> bool:
    """Returns whether all keys are there that the network needs, and no other."""
    return not plan.missing() and not plan.unknown()
