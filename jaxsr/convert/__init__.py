"""Published weights of other projects, turned into those of jaxsr's networks.

    convert(["EDSR_x2.pt"]).save("edsr_x2.safetensors")
    name, fields, variables = from_torch(torch.load(...), "edsr-pytorch/edsr")

A family is a repository and one of its networks, see `list_families()`; the repository
alone ("edsr-pytorch") will do, since the keys tell which network it is, and mostly
nothing need be said: names and shapes show the family (`recognise`). PyTorch is not
needed: `read_checkpoint` reads its files, and never runs code from them.
"""

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from jaxsr.convert import matconvnet, pytorch
from jaxsr.convert.checkpoint_file import read_arrays, read_checkpoint
from jaxsr.convert.mapping import Arrays, OtherNetworkError, apply_plan
from jaxsr.convert.recognition import FAMILIES, choose_part, fits, plan_of, recognise
from jaxsr.errors import InputError, named
from jaxsr.models import as_field, create
from jaxsr.weights import Weights

__all__ = [
    "convert",
    "from_matconvnet",
    "from_torch",
    "list_families",
    "read_checkpoint",
    "recognise",
]


def list_families() -> list[str]:
    """Returns the names that the importers know, sorted."""
    return sorted(FAMILIES)


def from_torch(
    state_dict: Mapping[str, Any],
    family: str,
    scale: int | None = None,
    fields: Mapping[str, Any] | None = None,
) -> tuple[str, dict[str, Any], dict[str, Any]]:
    """Returns (name, fields, variables) of the network that a state dict is for.

    `jaxsr.models.create(name, **fields).apply(variables, lr)` then computes what the
    original does.

    Args:
        state_dict: key -> array or tensor, as the repository names and lays them out,
            behind whatever prefix and among whatever else.
        family: one of `list_families()` by a PyTorch repository, or that repository.
        scale: what the weights are for. Some serve any scale and need it; others show
            it, and then it is only checked.
        fields: fields of the network that shapes do not show, such as `res_scale`.

    Raises:
        InputError: unknown family; keys that are missing, unknown or misshapen (all are
            listed); weights of another scale.
    """
    arrays = pytorch.to_numpy(state_dict)
    family = _find_family(family, arrays, pytorch.FAMILIES)
    return _convert(arrays, family, scale, fields)


def from_matconvnet(
    arrays: Arrays | Sequence[Arrays],
    family: str,
    scale: int | None = None,
    fields: Mapping[str, Any] | None = None,
) -> tuple[str, dict[str, Any], dict[str, Any]]:
    """Returns (name, fields, variables) for the arrays of a MATLAB file.

    See `from_torch`; `arrays` are named as `read_checkpoint` names them. For a cascade
    of stages from different files, `[stage0, stage1]`.
    """
    files = [arrays] if isinstance(arrays, Mapping) else arrays
    arrays = matconvnet.join_stages(files)
    family = _find_family(family, arrays, matconvnet.FAMILIES)
    return _convert(arrays, family, scale, fields)


def convert(
    paths: Sequence[str | Path],
    family: str | None = None,
    scale: int | None = None,
    fields: Mapping[str, Any] | None = None,
) -> Weights:
    """Returns the weights in another project's file.

    Their origin says where they come from (file, SHA-256, family) and under which
    protocol networks of this kind are scored.

    Args:
        paths: one file that `read_checkpoint` can read; for a cascade (SCN's) one a
            stage.
        family: one of `list_families()`, or a repository; None: the one whose names
            and shapes the file has.
        scale: see `from_torch`.
        fields: see `from_torch`.

    Raises:
        InputError: the file cannot be read, does not fit the family, or fits none or
            several.
    """
    if family is not None and not _members(family, FAMILIES):
        raise _unknown_family(family, FAMILIES)
    paths = [Path(path) for path in paths]
    files = [read_arrays(path) for path in paths]
    with named(" ".join(map(str, paths))):
        arrays = matconvnet.join_stages(files)
        if len(paths) > 1 and family and not _members(family, matconvnet.CASCADES):
            raise InputError(f"{family} is one file, got {len(paths)}")
        family = _find_family(family, arrays, FAMILIES)
        name, held, variables = _convert(arrays, family, scale, fields)
    hashes = [hashlib.sha256(path.read_bytes()).hexdigest() for path in paths]
    origin = {
        "source": " ".join(path.name for path in paths),
        "source_sha256": " ".join(hashes),
        "family": family,
        "protocol": "classic" if create(name, **held).channels == 1 else "rgb",
    }
    return Weights(name, held, variables, origin)


def _convert(
    arrays: Arrays, family: str, scale: int | None, fields: Mapping[str, Any] | None
) -> tuple[str, dict[str, Any], dict[str, Any]]:
    arrays = choose_part(family, arrays)
    try:
        plan = FAMILIES[family](arrays, scale)
        chosen = dict(fields or {})
        if fixed := sorted({"scale", "dtype", "block_loop"} & set(chosen)):
            raise InputError(f"{fixed[0]} is no field to choose here")
        plan.fields |= chosen
        fields, variables = apply_plan(plan)
        for key in chosen:
            if fields[key] != as_field(chosen[key]):
                raise InputError(
                    f"{key}: the file says {fields[key]}, got {chosen[key]}"
                )
    except OtherNetworkError:
        raise
    except InputError as error:
        plan = plan_of(family, arrays, scale)
        if plan and fits(plan):  # the right family: something else is wrong
            raise InputError(f"{family}: {error}") from None
        if plan:  # what differs says more than that a scale is missing
            try:
                apply_plan(plan)
            except InputError as listed:
                error = listed
        others = [name for name in recognise(arrays) if not _same(name, family)]
        hint = f"; its keys are those of {' and '.join(others)}" if others else ""
        raise InputError(f"not {family}: {error}{hint}") from None
    return plan.network, fields, variables


def _same(family: str, other: str) -> bool:
    return FAMILIES[family] is FAMILIES[other]


def _find_family(family: str | None, arrays: Arrays, known: Iterable[str]) -> str:
    """Returns the family, or for a repository (or None) the one with these keys."""
    members = sorted(known) if family is None else _members(family, known)
    if not members:
        raise _unknown_family(str(family), known)
    if len(members) == 1:
        return members[0]
    recognised = recognise(arrays)
    fitting = [
        name for name in members if any(_same(name, other) for other in recognised)
    ]
    if family is None and len(recognised) == 1:
        return recognised[0]
    if family is not None and len(fitting) == 1:
        return fitting[0]
    if family is None and recognised:
        raise InputError(
            f"its names are those of {' and '.join(recognised)}: say which (--from)"
        )
    if family is None:
        raise InputError(
            "its names are those of no family that jaxsr knows; say which it should be "
            f"(--from), to hear what differs: {', '.join(members)}"
        )
    if recognised and not fitting:
        raise InputError(
            f"no network of {family} ({', '.join(members)}): its keys are those of "
            f"{' and '.join(recognised)}"
        )
    raise InputError(
        f"which network of {family}? expected the keys of one of "
        f"{', '.join(members)}; say which, to hear what differs"
    )


def _members(family: str, known: Iterable[str]) -> list[str]:
    """Returns the family itself, or all families of the repository of that name."""
    return sorted(name for name in known if family in (name, name.partition("/")[0]))


def _unknown_family(family: str, known: Iterable[str]) -> InputError:
    return InputError(
        f"unknown family {family!r}: expected one of {', '.join(sorted(known))}"
    )
