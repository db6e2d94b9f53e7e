"""What `jaxsr models` prints: the networks and their sizes, and what one is."""

import dataclasses
import inspect
import itertools
from collections.abc import Iterator

from jaxsr.errors import InputError
from jaxsr.models import Network, create, list_models
from jaxsr.models.complexity import count_multiply_adds, count_parameters
from jaxsr.models.variables import abstract_variables, count_learned

_HEADING = f"{'works on':<8}{'parameters':>14}{'multiply-adds':>16}"
_NOTE = "multiply-adds are those of 1280x720 pixels as output"


def list_networks(scale: int) -> Iterator[str]:
    """Yields the lines of a table of all networks at one scale.

    Raises:
        InputError: no network has the scale.
    """
    create("bicubic", scale=scale)
    yield f"x{scale}; {_NOTE}"
    yield f"{'network':<16}{_HEADING}"
    for name in list_models():
        yield f"{name:<16}{_sizes(name, scale)}"


def explain_network(name: str, scale: int) -> Iterator[str]:
    """Yields lines on one network: its sizes, its fields and what its module says.

    Args:
        scale: of which its parts are listed.

    Raises:
        InputError: no such network, or not of this scale.
    """
    model = create(name, scale=scale)
    yield f"{name}; {_NOTE}"
    yield f"{'scale':<16}{_HEADING}"
    for each in sorted({2, 3, 4, scale}):
        yield f"{f'x{each}':<16}{_sizes(name, each)}"
    yield f"\n{f'part (x{scale})':<32}{'parameters':>14}"
    for part, count in count_by_part(model):
        yield f"{part:<32}{count:>14,}"
    radius = model.receptive_radius
    yield "\nTiles: " + (
        "a little different from the whole picture, at which it looks"
        if radius is None
        else f"equal to the whole picture; it looks {radius} LR pixels far (x{scale})"
    )
    yield "\nFields, for `create` and --config.model.FIELD=VALUE, and their defaults:"
    for field in dataclasses.fields(model):
        if isinstance(field.default, int | float | str | tuple):
            yield f"    {field.name} = {field.default}"
    for what in (inspect.getmodule(type(model)), type(model)):
        if said := inspect.getdoc(what):
            yield f"\n{said}"


def count_by_part(model: Network) -> Iterator[tuple[str, int]]:
    """Yields the network's parts in the order of its variables, and what each learns.

    Equal neighbours that differ by their number alone are one line: "16 x block00".
    """
    parts = [
        (name, count_learned({"params": part}))
        for name, part in abstract_variables(model).get("params", {}).items()
    ]

    def kind(part: tuple[str, int]) -> tuple[str, int]:
        return part[0].rstrip("0123456789"), part[1]

    for (_, count), group in itertools.groupby(parts, key=kind):
        names = [name for name, _ in group]
        many = f"{len(names)} x " if len(names) > 1 else ""
        yield f"{many}{names[0]}", len(names) * count


def _sizes(name: str, scale: int) -> str:
    try:
        model = create(name, scale=scale)
        parameters, products = count_parameters(model), count_multiply_adds(model)
    except InputError:  # this network does not have this scale
        return "-"
    works_on = {1: "luma", 3: "RGB"}[model.channels]
    return f"{works_on:<8}{parameters:>14,}{products / 1e9:>14,.1f} G"
