"""The networks, by name: `create("rcbam", scale=2)`, `list_models()`.

A network is a `flax.linen` module. `__call__(lr)` takes float images `[N, H, W, C]` in
[0, 1] and returns float32 `[N, scale*H, scale*W, C]`, unclipped. Fields all share:
`scale` (int), `channels` (3 for RGB, 1 for networks that work on luma) and `dtype` (the
compute type; parameters stay float32).
"""

import dataclasses
import importlib
from typing import Any

import flax.linen as nn

from jaxsr.errors import InputError

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


def list_models() -> list[str]:
    """Returns the networks' names, sorted."""
    return sorted(_NETWORKS)


def create(name: str, *, scale: int, **fields: Any) -> nn.Module:
    """Returns the network `name` for an integer `scale`; `fields` are its own fields.

    Raises:
        InputError: unknown name or field (the message lists those that exist), or a
            scale that the network does not have.
    """
    name = _ALIASES.get(name, name)
    if name not in _NETWORKS:
        raise InputError(
            f"unknown model {name!r}: expected one of {', '.join(list_models())}"
        )
    module, attribute = _NETWORKS[name].split(":")
    network = getattr(importlib.import_module(module), attribute)
    known = [
        field.name
        for field in dataclasses.fields(network)
        if field.name not in ("parent", "name")
    ]
    unknown = sorted(set(fields) - set(known))
    if unknown:
        raise InputError(
            f"model {name!r} has no field {unknown[0]!r}: its fields are "
            f"{', '.join(known)}"
        )
    if isinstance(scale, bool) or not isinstance(scale, int) or scale < 1:
        raise InputError(f"scale must be a whole number of at least 1, got {scale!r}")
    # JSON and configs have lists; a module's fields must be hashable.
    fields = {k: tuple(v) if isinstance(v, list) else v for k, v in fields.items()}
    return network(scale=scale, **fields)
