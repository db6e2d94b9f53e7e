"""SRCNN, FSRCNN, ESPCN and VDSR in PyTorch, with the names of their repositories.

Of one channel. Weights come by `load_state_dict` of what `jaxsr.export` writes for
PyTorch. `edge` is by how many HR pixels a difference at the edge of the bicubic picture
spreads, see `torch_rcbam.RCBAM`.
"""

from collections import OrderedDict

import torch  # pyright: ignore[reportMissingImports]
from torch import nn  # pyright: ignore[reportMissingImports]
from torch_rcbam import enlarge_bicubic


def conv(inputs: int, outputs: int, size: int, *, bias: bool = True) -> nn.Conv2d:
    return nn.Conv2d(inputs, outputs, size, padding=size // 2, bias=bias)


class SRCNN(nn.Module):
    """yjn870/SRCNN-pytorch, with the bicubic enlargement of its input."""

    edge = 12

    def __init__(self, scale: int):
        super().__init__()
        self.scale = scale
        self.conv1, self.conv2, self.conv3 = (
            conv(1, 64, 9),
            conv(64, 32, 5),
            conv(32, 1, 5),
        )

    def forward(self, lr: torch.Tensor) -> torch.Tensor:
        x = enlarge_bicubic(lr, self.scale)
        x = self.conv1(x).relu_()
        return self.conv3(self.conv2(x).relu_())


class FSRCNN(nn.Module):
    """yjn870/FSRCNN-pytorch."""

    edge = 0

    def __init__(self, scale: int, d: int = 56, s: int = 12, m: int = 4):
        super().__init__()
        self.first_part = nn.Sequential(conv(1, d, 5), nn.PReLU(d))
        mapping = [layer for _ in range(m) for layer in (conv(s, s, 3), nn.PReLU(s))]
        self.mid_part = nn.Sequential(
            conv(d, s, 1), nn.PReLU(s), *mapping, conv(s, d, 1), nn.PReLU(d)
        )
        self.last_part = nn.ConvTranspose2d(
            d, 1, 9, stride=scale, padding=4, output_padding=scale - 1
        )

    def forward(self, lr: torch.Tensor) -> torch.Tensor:
        return self.last_part(self.mid_part(self.first_part(lr)))


class ESPCN(nn.Module):
    """yjn870/ESPCN-pytorch."""

    edge = 0

    def __init__(self, scale: int):
        super().__init__()
        self.first_part = nn.Sequential(
            conv(1, 64, 5), nn.Tanh(), conv(64, 32, 3), nn.Tanh()
        )
        self.last_part = nn.Sequential(conv(32, scale**2, 3), nn.PixelShuffle(scale))

    def forward(self, lr: torch.Tensor) -> torch.Tensor:
        return self.last_part(self.first_part(lr))


class VDSR(nn.Module):
    """twtygqyy/pytorch-vdsr, with the bicubic enlargement of its input."""

    edge = 24

    def __init__(self, scale: int, features: int = 64, depth: int = 20):
        super().__init__()
        self.scale = scale
        self.input = conv(1, features, 3, bias=False)
        self.residual_layer = nn.Sequential(
            *[
                nn.Sequential(
                    OrderedDict(
                        conv=conv(features, features, 3, bias=False),
                        relu=nn.ReLU(inplace=True),
                    )
                )
                for _ in range(depth - 2)
            ]
        )
        self.output = conv(features, 1, 3, bias=False)

    def forward(self, lr: torch.Tensor) -> torch.Tensor:
        bicubic = enlarge_bicubic(lr, self.scale)
        x = self.residual_layer(self.input(bicubic).relu_())
        return self.output(x) + bicubic
