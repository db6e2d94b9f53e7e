"""What every importer shares: from foreign arrays by name to a network's variables.

An importer describes a checkpoint by a `Plan`: which network it is, and where each of
its arrays goes. `apply_plan` checks the whole of it before anything is converted.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from flax.traverse_util import unflatten_dict

from jaxsr.errors import InputError
from jaxsr.models import create
from jaxsr.models.variables import abstract_variables, by_name

Arrays = Mapping[str, np.ndarray]

# A layout says which axis of the source each axis of the parameter is. Parameters with
# fewer axes than the source have ones there.
CONV = (2, 3, 1, 0)  # torch.nn.Conv2d: [out, in, h, w] to [h, w, in, out]
CONV_AS_DENSE = (1, 0, 2, 3)  # a 1x1 one: [out, in, 1, 1] to [in, out]
CONV_TRANSPOSE = (2, 3, 0, 1)  # torch.nn.ConvTranspose2d: [in, out, h, w]
VECTOR = (0,)
MATLAB_CONV = (0, 1, 2, 3)  # MatConvNet: [h, w, in, out], as here
MATLAB_CONV_TRANSPOSE = (0, 1, 3, 2)  # [h, w, out, in]
MATRIX = (0, 1)

# More names than this say nothing new: the file is of another family.
_LONGEST_LIST = 50


class OtherNetworkError(InputError):
    """Chosen fields make a network of other parameters than a checkpoint has."""


@dataclass
class Plan:
    """How a checkpoint becomes a network's variables.

    Attributes:
        arrays: the checkpoint's, by name.
        network: its name in `jaxsr.models`.
        fields: what `create` takes, `scale` among them.
        sources: path of the parameter ("head/kernel") -> key of its source and layout.
        consumed: further keys that must be there, and their shapes; `finish` uses them.
        unused: a regular expression for keys of no use to the network.
        finish: gets all arrays once they are known to fit; returns them changed, and
            fields to add. None changes nothing.
    """

    arrays: Arrays
    network: str
    fields: dict[str, Any]
    sources: dict[str, tuple[str, tuple[int, ...]]] = field(default_factory=dict)
    consumed: dict[str, tuple[int, ...]] = field(default_factory=dict)
    unused: str = "(?!)"
    finish: Callable[[Arrays], tuple[Arrays, dict[str, Any]]] | None = None

    def add_conv(self, key: str, path: str, *, bias: bool = True) -> None:
        """Adds a PyTorch convolution: `key.weight`, `key.bias`."""
        self.sources[f"{path}/kernel"] = (f"{key}.weight", CONV)
        if bias:
            self.sources[f"{path}/bias"] = (f"{key}.bias", VECTOR)

    def missing(self) -> list[str]:
        """Returns the names that the network needs and the checkpoint lacks."""
        return sorted(self._needed() - self.arrays.keys())

    def unknown(self) -> list[str]:
        """Returns the names in the checkpoint that the network knows nothing of."""
        others = self.arrays.keys() - self._needed()
        return sorted(key for key in others if not re.fullmatch(self.unused, key))

    def _needed(self) -> set[str]:
        return {key for key, _ in self.sources.values()} | self.consumed.keys()


def apply_plan(plan: Plan) -> tuple[dict[str, Any], dict[str, Any]]:
    """Returns (fields, variables), the variables as NumPy float32.

    Raises:
        OtherNetworkError: the fields are those of another network.
        InputError: keys are missing, unknown or of the wrong shape: all are listed.
    """
    arrays, fields = plan.arrays, dict(plan.fields)
    targets = _targets(plan)
    if differing := sorted(targets.keys() ^ plan.sources.keys()):
        raise OtherNetworkError(
            f"holds another network than {plan.network} "
            f"({', '.join(f'{k}={v}' for k, v in fields.items())}), which differs in "
            f"{differing[0]}{' and others' if len(differing) > 1 else ''}"
        )
    problems = [
        _listing("missing", plan.missing()),
        _listing("unknown", plan.unknown()),
        _listing("misshapen", misshapen(plan)),
    ]
    if any(problems):
        raise InputError(
            f"expected the weights of {plan.network} "
            f"({', '.join(f'{k}={v}' for k, v in fields.items())}); "
            + "; ".join(filter(None, problems))
        )
    if plan.finish:
        arrays, more = plan.finish(arrays)
        fields |= more
    params = {
        path: np.array(
            arrays[key].transpose(layout).reshape(targets[path]), np.float32, order="C"
        )
        for path, (key, layout) in plan.sources.items()
    }
    broken = sorted(
        key for key, value in params.items() if not np.isfinite(value).all()
    )
    if broken:
        raise InputError(_listing("not finite", broken))
    return fields, {"params": unflatten_dict(params, sep="/")}


def misshapen(plan: Plan) -> list[str]:
    """Returns what is said of each array that has not the shape that it must have."""
    targets, shapes = _targets(plan), dict(plan.consumed)
    for path, (key, layout) in plan.sources.items():
        padded = targets[path] + (1,) * (len(layout) - len(targets[path]))
        shapes[key] = tuple(padded[layout.index(i)] for i in range(len(layout)))
    return [
        f"{key} {_shape(plan.arrays[key].shape)} instead of {_shape(shapes[key])}"
        for key in sorted(plan.arrays.keys() & shapes.keys())
        if plan.arrays[key].shape != shapes[key]
    ]


def _targets(plan: Plan) -> dict[str, tuple[int, ...]]:
    """Returns the shape of each of the network's parameters."""
    variables = abstract_variables(create(plan.network, **plan.fields))
    return {path: leaf.shape for path, leaf in by_name(variables["params"]).items()}


def choose_scale(asked: int | None, held: int | None) -> int:
    """Returns the scale of weights that are for `held`, or for any if it is None.

    Raises:
        InputError: another one is asked for, or any would do and none is.
    """
    if held is None and asked is None:
        raise InputError("these weights serve any scale: say which (--scale)")
    if held is not None and asked not in (None, held):
        raise InputError(f"expected weights for x{asked}, got weights for x{held}")
    return asked or held or 0


def pyramid_scale(asked: int | None, levels: int) -> int:
    """Returns the scale of a network that doubles `levels` times.

    x3 is what such networks make of two doublings, by shrinking their output.
    """
    if asked is not None and asked > 1 and (asked - 1).bit_length() == levels:
        return asked
    return choose_scale(asked, 2**levels)


class Outline(dict[str, np.ndarray]):
    """Names of a checkpoint without its arrays.

    Attributes:
        patterns: what `count` was asked for, as keys.
    """

    def __init__(self, arrays: Arrays):
        super().__init__(arrays)
        self.patterns: dict[str, None] = {}


def count(arrays: Arrays, pattern: str) -> int:
    """Returns 1 plus the largest number that the group of `pattern` takes in a key."""
    if isinstance(arrays, Outline):
        arrays.patterns[pattern] = None
    found = (re.fullmatch(pattern, key) for key in arrays)
    return max((int(match[1]) + 1 for match in found if match), default=0)


def size(arrays: Arrays, key: str, axis: int, default: int) -> int:
    """Returns the length of an array's axis; `default` if there is no such array."""
    shape = np.shape(arrays.get(key, 0))
    return shape[axis] if len(shape) > axis else default


def _listing(what: str, names: list[str]) -> str:
    if not names:
        return ""
    more = len(names) - _LONGEST_LIST
    rest = f" and {more} more" if more > 0 else ""
    return f"{len(names)} {what}: {', '.join(names[:_LONGEST_LIST])}{rest}"


def _shape(shape: tuple[int, ...]) -> str:
    return "x".join(map(str, shape)) or "a single number"
