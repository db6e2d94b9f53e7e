"""The networks of `train_step.py` and `forward.py` in PyTorch.

EDSR-baseline is torchSR's own (`pip install --no-deps torchsr`). RCBAM has no public
implementation; this one is written as its paper and CBAM's repository read, NCHW, from
PyTorch's own modules.
"""

import importlib.util
import types
from pathlib import Path
from typing import Any

import jax
import numpy as np
import torch  # pyright: ignore[reportMissingImports]
from torch import nn  # pyright: ignore[reportMissingImports]

from jaxsr.convert import from_torch
from jaxsr.errors import InputError

SCALE = 2


class ChannelGate(nn.Module):
    def __init__(self, features: int, reduction: int):
        super().__init__()
        hidden = max(features // reduction, 1)
        self.mlp = nn.Sequential(
            nn.Conv2d(features, hidden, 1), nn.ReLU(), nn.Conv2d(hidden, features, 1)
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        mean = self.mlp(x.mean((2, 3), keepdim=True))
        peak = self.mlp(x.amax((2, 3), keepdim=True))
        return x * torch.sigmoid(mean + peak)


class SpatialGate(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(2, 1, 7, padding=3, bias=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        peak, mean = x.amax(1, keepdim=True), x.mean(1, keepdim=True)
        return x * torch.sigmoid(self.conv(torch.cat([peak, mean], 1)))


class Block(nn.Module):
    def __init__(self, features: int, reduction: int):
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(features, features, 3, padding=1),
            nn.PReLU(features),
            nn.Conv2d(features, features, 3, padding=1),
            ChannelGate(features, reduction),
            SpatialGate(),
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x + self.body(x)


class RCBAM(nn.Module):
    def __init__(self, scale: int, features: int, depth: int, reduction: int = 16):
        super().__init__()
        self.scale = scale
        self.head = nn.Conv2d(3, features, 3, padding=1)
        self.blocks = nn.Sequential(*[Block(features, reduction) for _ in range(depth)])
        self.body_end = nn.Conv2d(features, features, 3, padding=1)
        self.tail = nn.Conv2d(features, 3 * scale**2, 3, padding=1)
        self.shuffle = nn.PixelShuffle(scale)

    def forward(self, lr: torch.Tensor) -> torch.Tensor:
        shallow = self.head(lr - 0.5)
        x = self.body_end(self.blocks(shallow)) + shallow
        bicubic = nn.functional.interpolate(
            lr, scale_factor=self.scale, mode="bicubic", align_corners=False
        )
        return self.shuffle(self.tail(x)) + bicubic


def _flax_rcbam(twin: RCBAM) -> dict[str, Any]:
    """Returns the twin's parameters as those of `jaxsr.models.rcbam.RCBAM`."""
    state = {k: v.detach().numpy() for k, v in twin.state_dict().items()}

    def conv(key: str) -> dict[str, np.ndarray]:
        parameters = {"kernel": state[f"{key}.weight"].transpose(2, 3, 1, 0)}
        if f"{key}.bias" in state:
            parameters["bias"] = state[f"{key}.bias"]
        return parameters

    def dense(key: str) -> dict[str, np.ndarray]:
        return {"kernel": state[f"{key}.weight"][..., 0, 0].T} | {
            "bias": state[f"{key}.bias"]
        }

    params: dict[str, Any] = {k: conv(k) for k in ("head", "body_end", "tail")}
    for i in range(len(twin.blocks)):
        body = f"blocks.{i}.body"
        params[f"block{i:02d}"] = {
            "conv1": conv(f"{body}.0"),
            "prelu": {"slope": state[f"{body}.1.weight"]},
            "conv2": conv(f"{body}.2"),
            "cbam": {
                "channel": {
                    "mlp": {
                        "squeeze": dense(f"{body}.3.mlp.0"),
                        "expand": dense(f"{body}.3.mlp.2"),
                    }
                },
                "spatial": {"conv": conv(f"{body}.4.conv")},
            },
        }
    return params


def _torchsr_edsr() -> types.ModuleType:
    """Returns torchSR's module of EDSR, without its data sets, which want torchvision.

    Raises:
        InputError: torchSR is not installed.
    """
    package = importlib.util.find_spec("torchsr")
    if package is None or not package.submodule_search_locations:
        raise InputError("edsr_baseline is torchSR's: pip install --no-deps torchsr")
    path = Path(package.submodule_search_locations[0], "models", "edsr.py")
    spec = importlib.util.spec_from_file_location("torchsr_edsr", path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def create_twins(
    name: str, *, fields: dict[str, int]
) -> tuple[nn.Module, dict[str, Any]]:
    """Returns a PyTorch network with random weights and jaxsr's parameters for these.

    Args:
        name: "edsr_baseline", which has no fields, or "rcbam" (`features`, `depth`).
    """
    torch.manual_seed(0)
    if name == "rcbam":
        twin = RCBAM(SCALE, **fields)
        params = _flax_rcbam(twin)
    else:
        twin = _torchsr_edsr().edsr_baseline(scale=SCALE, pretrained=False)
        _, _, variables = from_torch(twin.state_dict(), "torchsr/edsr", SCALE)
        params = variables["params"]
    return twin, jax.tree.map(np.array, params)  # copies: PyTorch trains its own


def place(network: nn.Module) -> torch.device:
    """Puts the network, channels_last, where PyTorch is fastest; returns the device."""
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    torch.backends.cudnn.benchmark = True
    network.to(device=device)
    network.to(memory_format=torch.channels_last)  # pyright: ignore[reportCallIssue]
    return device
