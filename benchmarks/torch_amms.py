"""AMMS in PyTorch; the modules are named as jaxsr's, whose reading of the paper it is.

For pictures of even height and width, which are cut into quarters of one size.
"""

import torch  # pyright: ignore[reportMissingImports]
import torch.nn.functional as F  # pyright: ignore[reportMissingImports]
from torch import nn  # pyright: ignore[reportMissingImports]
from torch_rcbam import GateMLP, enlarge_bicubic

DIV2K_MEAN = (0.4488, 0.4371, 0.4040)


def conv(inputs: int, outputs: int, size: int) -> nn.Conv2d:
    return nn.Conv2d(inputs, outputs, size, padding=size // 2)


class ShallowFeatures(nn.Module):
    def __init__(self, features: int):
        super().__init__()
        self.conv1, self.conv2, self.conv3 = (
            conv(features, features, 1) for _ in "123"
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x + self.conv3(self.conv2(self.conv1(x).relu()).relu())


class MultiScaleFusion(nn.Module):
    def __init__(self, features: int):
        super().__init__()
        self.conv1, self.conv3, self.conv5 = (
            conv(features, features, size) for size in (1, 3, 5)
        )
        self.fuse = conv(3 * features, features, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        branches = [self.conv1(x), self.conv3(x), self.conv5(x)]
        return x + self.fuse(torch.cat(branches, 1).relu())


class NonLocal(nn.Module):
    """Each quarter of the picture attends to itself, keys and values pooled."""

    def __init__(self, features: int, inner: int):
        super().__init__()
        self.theta, self.phi, self.g = (conv(features, inner, 1) for _ in "qkv")
        self.out = conv(inner, features, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        n, _, h, w = x.shape
        queries, keys, values = self.theta(x), self.phi(x), self.g(x)
        inner, quarter = queries.shape[1], (h // 2, w // 2)

        def rows(y: torch.Tensor, *, pool: bool) -> torch.Tensor:
            y = y.reshape(n, inner, 2, quarter[0], 2, quarter[1])
            y = y.permute(0, 2, 4, 1, 3, 5).reshape(4 * n, inner, *quarter)
            y = F.max_pool2d(y, 2) if pool else y
            return y.flatten(2).transpose(1, 2)[:, None].contiguous()

        mixed = F.scaled_dot_product_attention(
            rows(queries, pool=False),
            rows(keys, pool=True),
            rows(values, pool=True),
            scale=1.0,
        )
        mixed = mixed.reshape(n, 2, 2, *quarter, inner).permute(0, 5, 1, 3, 2, 4)
        return x + self.out(mixed.reshape(n, inner, h, w))


class SecondOrderAttention(nn.Module):
    def __init__(self, features: int, reduction: int, iterations: int = 5):
        super().__init__()
        self.iterations = iterations
        self.mlp = GateMLP(features, reduction)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        pixels = x.flatten(2)
        pixels = pixels - pixels.mean(2, keepdim=True)
        covariance = pixels @ pixels.transpose(1, 2) / pixels.shape[2]
        trace = covariance.diagonal(dim1=1, dim2=2).sum(1)[:, None, None] + 1e-12
        thrice = 3 * torch.eye(x.shape[1], device=x.device)
        y = covariance / trace
        z = (thrice - y) / 2
        y = y @ z
        for _ in range(self.iterations - 1):
            t = (thrice - z @ y) / 2
            y, z = y @ t, t @ z
        pooled = (y * trace.sqrt()).mean(1)[:, :, None, None]
        return x * torch.sigmoid(self.mlp(pooled))


class AttentionModule(nn.Module):
    def __init__(self, features: int, inner: int, reduction: int):
        super().__init__()
        self.conv1, self.conv2 = (conv(features, features, 3) for _ in "12")
        self.non_local = NonLocal(features, inner)
        self.second_order = SecondOrderAttention(features, reduction)
        self.fuse = conv(2 * features, features, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = self.conv2(self.conv1(x).relu())
        return x + self.fuse(torch.cat([self.non_local(y), self.second_order(y)], 1))


class AMMS(nn.Module):
    """The network; `edge` is explained in `torch_rcbam.RCBAM`."""

    edge = 4

    def __init__(
        self,
        scale: int,
        features: int = 64,
        depth: int = 16,
        inner: int = 8,
        reduction: int = 16,
    ):
        super().__init__()
        self.scale = scale
        mean = torch.tensor(DIV2K_MEAN)[:, None, None]
        self.register_buffer("mean", mean, persistent=False)
        self.head = conv(3, features, 3)
        self.shallow = ShallowFeatures(features)
        self.fusion1 = MultiScaleFusion(features)
        self.blocks = [f"block{i:02d}" for i in range(depth)]
        for name in self.blocks:
            self.add_module(name, AttentionModule(features, inner, reduction))
        self.body_end = conv(features, features, 3)
        self.fusion2 = MultiScaleFusion(features)
        self.correction = ShallowFeatures(features)
        self.tail = conv(features, 3 * scale**2, 3)

    def forward(self, lr: torch.Tensor) -> torch.Tensor:
        x = y = self.fusion1(self.shallow(self.head(lr - self.mean)))
        for name in self.blocks:
            y = getattr(self, name)(y)
        x = self.correction(self.fusion2(x + self.body_end(y)))
        sr = F.pixel_shuffle(self.tail(x), self.scale)
        return sr + enlarge_bicubic(lr, self.scale)
