"""What PyTorch does in `forward.py` and `train_step.py`: enlarge, and train."""

from collections.abc import Callable

import numpy as np
import torch  # pyright: ignore[reportMissingImports]
from torch import nn  # pyright: ignore[reportMissingImports]


def place(network: nn.Module) -> torch.device:
    """Puts the network, channels_last, where PyTorch is fastest; returns the device."""
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    torch.backends.cudnn.benchmark = True
    network.to(device=device)
    network.to(memory_format=torch.channels_last)  # pyright: ignore[reportCallIssue]
    return device


def enlarging_side(
    network: nn.Module, picture: np.ndarray, *, compiled: bool
) -> Callable[[], np.ndarray]:
    """Returns a function that enlarges the picture, `[H, W, C]`, to such an array."""
    device = place(network.eval())
    forward = network
    if compiled:
        torch.compiler.reset()  # a program for each shape, none for several
        # Weights are constants, which are laid out once as the convolutions want them.
        options = {"freezing": True}
        forward = torch.compile(network, dynamic=False, options=options)

    @torch.inference_mode()
    def run() -> np.ndarray:
        lr = torch.from_numpy(picture).to(device).permute(2, 0, 1)[None]
        with torch.autocast(device.type, torch.bfloat16, device.type == "cuda"):
            sr = forward(lr)
        return sr.float().permute(0, 2, 3, 1)[0].cpu().numpy()

    return run


def training_side(
    network: nn.Module, batch: dict[str, np.ndarray], *, compiled: bool
) -> Callable[[int], float]:
    """Returns a function that takes so many steps and returns the last one's loss."""
    device = place(network.train())
    optimizer = torch.optim.Adam(network.parameters(), lr=1e-4)
    on_device = {
        k: torch.from_numpy(v).to(device).permute(0, 3, 1, 2) for k, v in batch.items()
    }
    forward = torch.compile(network) if compiled else network

    def run(steps: int) -> float:
        for _ in range(steps):
            optimizer.zero_grad(set_to_none=True)
            with torch.autocast(device.type, torch.bfloat16, device.type == "cuda"):
                sr = forward(on_device["lr"].float() / 255)
            loss = (sr.float() - on_device["hr"].float() / 255).abs().mean()
            loss.backward()
            optimizer.step()
        return float(loss.detach())

    return run
