"""RCBAM in PyTorch, written as its paper and CBAM's repository read.

It has no public implementation. NCHW, from PyTorch's own modules and functions; the
modules are named as jaxsr's. Nothing of JAX or jaxsr is imported.
"""

import torch  # pyright: ignore[reportMissingImports]
import torch.nn.functional as F  # pyright: ignore[reportMissingImports]
from torch import nn  # pyright: ignore[reportMissingImports]

# A window of `pool_size` pixels begins at every fourth of its side.
CELLS = 4


def pool_windows(x: torch.Tensor, size: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Returns mean and maximum over windows of size x size pixels, size / 4 apart.

    First over cells, then over runs of four cells; the last window may be shorter.
    """
    cell = size // CELLS
    cells = [-(-length // cell) for length in x.shape[2:]]
    span = [min(CELLS, count) for count in cells]
    peak = F.max_pool2d(F.max_pool2d(x, cell, ceil_mode=True), span, stride=1)
    total = F.avg_pool2d(x, cell, ceil_mode=True, divisor_override=1)
    total = F.avg_pool2d(total, span, stride=1, divisor_override=1)
    rows, columns = (
        (length - cell * torch.arange(windows, device=x.device)).clamp(max=size)
        for length, windows in zip(x.shape[2:], total.shape[2:], strict=True)
    )
    return total / torch.outer(rows, columns), peak


def spread_windows(gate: torch.Tensor, size: int, shape: torch.Size) -> torch.Tensor:
    """Returns a gate for each pixel: linear between the centres of windows."""
    cell = size // CELLS
    sides = [cell * n if n > 1 else 1 for n in gate.shape[2:]]
    gate = F.interpolate(gate, size=sides, mode="bilinear", align_corners=False)
    before = (size - cell) // 2
    padding = []
    for side, length in zip(reversed(sides), reversed(shape), strict=True):
        padding += [before, length - side - before] if side > 1 else [0, 0]
    return F.pad(gate, padding, mode="replicate")


class GateMLP(nn.Module):
    def __init__(self, features: int, reduction: int):
        super().__init__()
        hidden = max(features // reduction, 1)
        self.squeeze = nn.Conv2d(features, hidden, 1)
        self.expand = nn.Conv2d(hidden, features, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.expand(F.relu(self.squeeze(x)))


class ChannelGate(nn.Module):
    def __init__(self, features: int, reduction: int, pool_size: int | None):
        super().__init__()
        self.pool_size = pool_size
        self.mlp = GateMLP(features, reduction)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        size, shape = self.pool_size, x.shape[2:]
        if size is None or max(shape) <= size:
            mean, peak = x.mean((2, 3), keepdim=True), x.amax((2, 3), keepdim=True)
            return x * torch.sigmoid(self.mlp(mean) + self.mlp(peak))
        mean, peak = pool_windows(x, size)
        gate = torch.sigmoid(self.mlp(mean) + self.mlp(peak))
        return x * spread_windows(gate, size, shape)


class SpatialGate(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(2, 1, 7, padding=3, bias=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        peak, mean = x.amax(1, keepdim=True), x.mean(1, keepdim=True)
        return x * torch.sigmoid(self.conv(torch.cat([peak, mean], 1)))


class Block(nn.Module):
    def __init__(self, features: int, reduction: int, pool_size: int | None):
        super().__init__()
        self.conv1 = nn.Conv2d(features, features, 3, padding=1)
        self.prelu = nn.PReLU(features)
        self.conv2 = nn.Conv2d(features, features, 3, padding=1)
        self.cbam = nn.Sequential()
        self.cbam.add_module("channel", ChannelGate(features, reduction, pool_size))
        self.cbam.add_module("spatial", SpatialGate())

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x + self.cbam(self.conv2(self.prelu(self.conv1(x))))


class RCBAM(nn.Module):
    """The network; `edge` is as far as bicubic interpolation sees beyond the picture.

    Out there MATLAB mirrors the picture and PyTorch sees nothing.
    """

    edge = 4

    def __init__(
        self,
        scale: int,
        features: int,
        depth: int,
        reduction: int = 16,
        pool_size: int | None = None,
    ):
        super().__init__()
        self.scale = scale
        self.head = nn.Conv2d(3, features, 3, padding=1)
        self.blocks = [f"block{i:02d}" for i in range(depth)]
        for name in self.blocks:
            self.add_module(name, Block(features, reduction, pool_size))
        self.body_end = nn.Conv2d(features, features, 3, padding=1)
        self.tail = nn.Conv2d(features, 3 * scale**2, 3, padding=1)

    def forward(self, lr: torch.Tensor) -> torch.Tensor:
        x = shallow = self.head(lr - 0.5)
        for name in self.blocks:
            x = getattr(self, name)(x)
        x = self.tail(self.body_end(x) + shallow)
        return F.pixel_shuffle(x, self.scale) + enlarge_bicubic(lr, self.scale)


def enlarge_bicubic(lr: torch.Tensor, scale: int) -> torch.Tensor:
    """Returns the picture enlarged by MATLAB's kernel, a = -0.5.

    PyTorch has that one with `antialias`, which changes nothing else on the way up.
    """
    return F.interpolate(lr, scale_factor=scale, mode="bicubic", antialias=True)
