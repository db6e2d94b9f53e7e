"""The networks, by name: `create("rcbam", scale=2)`, `list_models()`.

A network is a `flax.linen` module that keeps the contract of `jaxsr.models.Network`.
One of another package needs no entry here: it is named by its place,
`create("my_package.my_module:MyNet", scale=2)`, or by a name that `register` gives it.
"""

import dataclasses
from typing import Any

from jaxsr.errors import InputError, did_you_mean
from jaxsr.models.base import Network
from jaxsr.places import at_place

__all__ = [
    "Network",
    "as_field",
    "create",
    "fields_of",
    "find",
    "list_models",
    "name_of",
    "register",
    "usual_name",
]

# name -> module and class; a module is imported when its network is first asked for.
_NETWORKS = {
    "srcnn": "jaxsr.models.srcnn:SRCNN",
    "fsrcnn": "jaxsr.models.fsrcnn:FSRCNN",
    "espcn": "jaxsr.models.espcn:ESPCN",
    "vdsr": "jaxsr.models.vdsr:VDSR",
    "srresnet": "jaxsr.models.srresnet:SRResNet",
    "msrresnet": "jaxsr.models.msrresnet:MSRResNet",
    "edsr": "jaxsr.models.edsr:EDSR",
    "edsr_baseline": "jaxsr.models.edsr:EDSRBaseline",
    "rcan": "jaxsr.models.rcan:RCAN",
    "drcn": "jaxsr.models.drcn:DRCN",
    "scn": "jaxsr.models.scn:SCN",
    "lapsrn": "jaxsr.models.lapsrn:LapSRN",
    "memnet": "jaxsr.models.memnet:MemNet",
    "san": "jaxsr.models.san:SAN",
    "amms": "jaxsr.models.amms:AMMS",
    "bicubic": "jaxsr.models.bicubic:Bicubic",
    "rcbam": "jaxsr.models.rcbam:RCBAM",
    "rcbam_lite": "jaxsr.models.rcbam:RCBAMLite",
}

# Other names that papers and repositories use; not listed.
_ALIASES = {"mlrn": "amms"}

# What belongs to a run of a network and not to the network that its weights are for.
_PASSING_FIELDS = ("parent", "name", "dtype", "block_loop")


def register(name: str, network: type[Network] | str) -> None:
    """Gives a network a name that `create`, configs and weights files understand.

    Args:
        name: the name; one that is taken by another network is refused.
        network: a subclass of `Network`, or where to find one, "package.module:Class".

    Raises:
        InputError: the name is taken, or `network` is no such thing.
    """
    place = network if isinstance(network, str) else _place(network)
    if ":" not in place or ":" in name:
        raise InputError(
            f"register: expected a name and a network as package.module:Class, got "
            f"{name!r} and {place!r}"
        )
    if _NETWORKS.get(name, place) != place or name in _ALIASES:
        raise InputError(
            f"register: the name {name!r} is taken by {_NETWORKS.get(name, 'an alias')}"
        )
    _NETWORKS[name] = place


def list_models() -> list[str]:
    """Returns the networks' names, sorted."""
    return sorted(_NETWORKS)


def create(name: str, *, scale: int, **fields: Any) -> Network:
    """Returns the network `name` for an integer `scale`; `fields` are its own fields.

    Args:
        name: one of `list_models()`, or "package.module:Class".

    Raises:
        InputError: unknown name or field (the message lists those that exist), or a
            scale or another field's value that the network does not have.
    """
    network = find(name)
    known = [
        field.name
        for field in dataclasses.fields(network)
        if field.name not in ("parent", "name")
    ]
    unknown = sorted(set(fields) - set(known))
    if unknown:
        raise InputError(
            f"model {name!r} has no field {unknown[0]!r}: its fields are "
            f"{', '.join(known)}{did_you_mean(unknown[0], known)}"
        )
    fields = {key: as_field(value) for key, value in fields.items()}
    model = network(scale=scale, **fields)
    model.check()
    return model


def find(name: str) -> type[Network]:
    """Returns the class of the network `name`.

    Raises:
        InputError: there is none of that name; the message lists those that exist.
    """
    place = _NETWORKS.get(usual_name(name), name)
    if ":" not in place:
        raise InputError(
            f"unknown model {name!r}: expected one of {', '.join(list_models())}, or "
            f"package.module:Class{did_you_mean(name, list_models())}"
        )
    network = at_place(place, f"model {name!r}")
    if not (isinstance(network, type) and issubclass(network, Network)):
        raise InputError(
            f"model {name!r}: expected a subclass of jaxsr.models.Network, got "
            f"{network!r}"
        )
    return network


def usual_name(name: str) -> str:
    """Returns a network's name in `list_models` for any that it has: "mlrn", "amms"."""
    return _ALIASES.get(name, name)


def name_of(model: Network) -> str:
    """Returns the name by which `create` finds a network's class."""
    place = _place(type(model))
    return next((name for name, at in _NETWORKS.items() if at == place), place)


def fields_of(model: Network) -> dict[str, Any]:
    """Returns the fields with which `create` makes a network anew, `scale` first.

    Without `dtype` and how its blocks are run, the choice of whoever runs it, and
    without what JSON cannot hold (a function, a type) where it is the field's default.

    Raises:
        InputError: a field that JSON cannot hold, of another value than its default.
    """
    fields = {}
    for field in dataclasses.fields(model):
        value = getattr(model, field.name)
        if field.name in _PASSING_FIELDS:
            continue
        if _is_plain(value):
            fields[field.name] = value
        elif value is not field.default:
            model.refuse(
                field.name,
                "expected numbers, words and tuples of them, which files can hold, got "
                f"{value!r}",
            )
    return fields


def as_field(value: Any) -> Any:
    """Returns what JSON or a config holds as a field, which must be hashable."""
    return tuple(map(as_field, value)) if isinstance(value, list | tuple) else value


def _is_plain(value: Any) -> bool:
    if isinstance(value, list | tuple):
        return all(map(_is_plain, value))
    return value is None or isinstance(value, bool | int | float | str)


def _place(network: type[Network]) -> str:
    return f"{network.__module__}:{network.__qualname__}"
