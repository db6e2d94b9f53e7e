"""The networks of the benchmarks in PyTorch, with jaxsr's weights.

EDSR-baseline is torchSR's own (`pip install --no-deps torchsr`). The others are in
`torch_first_networks.py`, `torch_rcbam.py` and `torch_amms.py`.
"""

import importlib.util
import types
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch  # pyright: ignore[reportMissingImports]
from torch import nn  # pyright: ignore[reportMissingImports]
from torch_amms import AMMS
from torch_first_networks import ESPCN, FSRCNN, SRCNN, VDSR
from torch_rcbam import RCBAM

from jaxsr.export.pytorch import to_state_dict
from jaxsr.models import fields_of
from jaxsr.models.variables import by_name
from jaxsr.weights import Weights

_FIRST_NETWORKS = {"srcnn": SRCNN, "fsrcnn": FSRCNN, "espcn": ESPCN, "vdsr": VDSR}


def create_twin(weights: Weights) -> nn.Module:
    """Returns the same network in PyTorch."""
    scale, network = weights.scale, weights.network
    if network in ("rcbam", "rcbam_lite"):
        fields = fields_of(weights.create())
        taken = ("features", "depth", "reduction", "pool_size")
        twin = RCBAM(scale, **{name: fields[name] for name in taken})
        state = mirrored_state(weights.variables["params"])
    elif network == "amms":
        twin, state = AMMS(scale), mirrored_state(weights.variables["params"])
    elif network in _FIRST_NETWORKS:
        twin, (_, state) = _FIRST_NETWORKS[network](scale), to_state_dict(weights)
    else:
        twin = _torchsr_edsr().edsr_baseline(scale=scale, pretrained=False)
        _, state = to_state_dict(weights)
    # Copies: PyTorch trains its own.
    twin.load_state_dict({k: torch.tensor(v) for k, v in state.items()})
    return twin


def mirrored_state(params: Mapping[str, Any]) -> dict[str, np.ndarray]:
    """Returns the parameters for a network whose modules are named as jaxsr's.

    A dense layer is a 1x1 convolution there.
    """
    state = {}
    for path, value in by_name(params).items():
        *module, leaf = path.split("/")
        value = np.asarray(value)
        if leaf == "kernel":
            value = value.reshape((1,) * (4 - value.ndim) + value.shape)
            value = value.transpose(3, 2, 0, 1)
        name = "bias" if leaf == "bias" else "weight"
        state[".".join([*module, name])] = np.ascontiguousarray(value)
    return state


def _torchsr_edsr() -> types.ModuleType:
    """Returns torchSR's module of EDSR; its data sets would want torchvision."""
    package = importlib.util.find_spec("torchsr")
    assert package is not None and package.submodule_search_locations
    path = Path(package.submodule_search_locations[0], "models", "edsr.py")
    spec = importlib.util.spec_from_file_location("torchsr_edsr", path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
