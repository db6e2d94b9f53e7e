"""Published weights of other projects, turned into those of jaxsr's networks.

    name, fields, variables = from_torch(torch.load(...), "edsr-pytorch/edsr")
    convert(["EDSR_x2.pt"]).save("edsr_x2.safetensors")

A family is a repository and one of its networks, see `list_families()`; the repository
alone ("edsr-pytorch") will do, since the keys tell which network it is. PyTorch is not
needed: `read_checkpoint` reads its files, and never runs code from them.
"""

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from jaxsr.convert import matconvnet, pytorch
from jaxsr.convert.checkpoint_file import read_checkpoint
from jaxsr.convert.mapping import Arrays, apply_plan
from jaxsr.errors import InputError
from jaxsr.models import create
from jaxsr.weights import Weights

__all__ = [
    "convert",
    "from_matconvnet",
    "from_torch",
    "list_families",
    "read_checkpoint",
    "recognise",
]


_FAMILIES = pytorch.FAMILIES | matconvnet.FAMILIES


def list_families() -> list[str]:
    """Returns the names that the importers know, sorted."""
    return sorted(_FAMILIES)


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
        state_dict: key -> array or tensor, as the repository names and lays them out.
        family: one of `list_families()` by a PyTorch repository, or that repository.
        scale: what the weights are for. Some serve any scale and need it; others show
            it, and then it is only checked.
        fields: fields of the network that shapes do not show, such as `res_scale`.

    Raises:
        InputError: unknown family; keys that are missing, unknown or misshapen (all are
            listed); weights of another scale.
    """
    arrays = pytorch.strip_prefixes(state_dict)
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
    arrays = matconvnet.join_stages([matconvnet.restore_axes(file) for file in files])
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
    if family is not None and not _members(family, _FAMILIES):
        raise _unknown_family(family, _FAMILIES)
    paths = [Path(path) for path in paths]
    files = [read_checkpoint(path) for path in paths]
    try:
        family = family or _recognise(files)
        of_torch = _members(family, pytorch.FAMILIES)
        prepare = pytorch.strip_prefixes if of_torch else matconvnet.restore_axes
        arrays = matconvnet.join_stages([prepare(arrays) for arrays in files])
        if len(paths) > 1 and not _members(family, matconvnet.CASCADES):
            raise InputError(f"{family} is one file, got {len(paths)}")
        family = _find_family(family, arrays, _FAMILIES)
        name, held, variables = _convert(arrays, family, scale, fields)
    except InputError as error:
        raise InputError(f"{' '.join(map(str, paths))}: {error}") from None
    hashes = [hashlib.sha256(path.read_bytes()).hexdigest() for path in paths]
    origin = {
        "source": " ".join(path.name for path in paths),
        "source_sha256": " ".join(hashes),
        "family": family,
        "protocol": "classic" if create(name, **held).channels == 1 else "rgb",
    }
    return Weights(name, held, variables, origin)


def recognise(files: Sequence[Arrays]) -> list[str]:
    """Returns the families whose names and shapes the arrays of the files have."""
    found = []
    for families, prepare in (
        (pytorch.FAMILIES, pytorch.strip_prefixes),
        (matconvnet.FAMILIES, matconvnet.restore_axes),
    ):
        try:
            arrays = matconvnet.join_stages([prepare(arrays) for arrays in files])
        except InputError:
            continue
        found += [family for family in families if _names_fit(family, arrays)]
    return sorted(found)


def _recognise(files: Sequence[Arrays]) -> str:
    found = recognise(files)
    if len(found) == 1:
        return found[0]
    if found:
        raise InputError(
            f"its names are those of {' and '.join(found)}: say which (--from)"
        )
    raise InputError(
        "its names are those of no family that jaxsr knows; say which it should be "
        f"(--from), to hear what differs: {', '.join(list_families())}"
    )


def _convert(
    arrays: Arrays, family: str, scale: int | None, fields: Mapping[str, Any] | None
) -> tuple[str, dict[str, Any], dict[str, Any]]:
    try:
        plan = _FAMILIES[family](arrays, scale)
        chosen = dict(fields or {})
        if fixed := sorted({"scale", "dtype"} & set(chosen)):
            raise InputError(f"{fixed[0]} is no field to choose here")
        plan.fields |= chosen
        fields, variables = apply_plan(plan)
    except InputError as error:
        others = [name for name in list_families() if _names_fit(name, arrays)]
        hint = f"; its keys are those of {' and '.join(others)}"
        raise InputError(
            f"not {family}: {error}{hint if others and family not in others else ''}"
        ) from None
    return plan.network, fields, variables


def _names_fit(family: str, arrays: Arrays) -> bool:
    """Whether all keys are there that the family has, and no other."""
    for scale in (None, 2):  # weights that show their scale, and those that need one
        try:
            plan = _FAMILIES[family](arrays, scale)
        except InputError:
            continue
        return not plan.missing() and not plan.unknown()
    return False


def _find_family(family: str, arrays: Arrays, known: Iterable[str]) -> str:
    """Returns the family, or for a repository its network with these keys."""
    members = _members(family, known)
    if not members:
        raise _unknown_family(family, known)
    if len(members) == 1:
        return members[0]
    fitting = [name for name in members if _names_fit(name, arrays)]
    if len(fitting) != 1:
        raise InputError(
            f"which network of {family}? expected the keys of one of "
            f"{', '.join(members)}; say which, to hear what differs"
        )
    return fitting[0]


def _members(family: str, known: Iterable[str]) -> list[str]:
    """Returns the family itself, or all families of the repository of that name."""
    return sorted(name for name in known if family in (name, name.partition("/")[0]))


def _unknown_family(family: str, known: Iterable[str]) -> InputError:
    return InputError(
        f"unknown family {family!r}: expected one of {', '.join(sorted(known))}"
    )
