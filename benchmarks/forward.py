"""The forward pass of jaxsr on one picture beside the same network in PyTorch.

    python benchmarks/forward.py [--size 128] [--json FILE]

The same weights, the same picture, outputs compared; the rest is as in `train_step.py`.
"""

import argparse
import json
import platform
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
import numpy as np
import torch  # pyright: ignore[reportMissingImports]
from torch_twins import create_twins
from train_step import NETWORKS, SCALE, interleave

from jaxsr import models
from jaxsr.cpu import keep_freed_memory
from jaxsr.errors import reports_input_errors


def torch_side(
    network: torch.nn.Module, picture: np.ndarray, *, compiled: bool
) -> Callable[[], np.ndarray]:
    """Returns a function that enlarges the picture and returns it as NHWC."""
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    network = network.to(device, memory_format=torch.channels_last).eval()
    lr = torch.from_numpy(picture).to(device).permute(0, 3, 1, 2)
    forward = torch.compile(network) if compiled else network

    @torch.inference_mode()
    def run() -> np.ndarray:
        with torch.autocast(device.type, torch.bfloat16, device.type == "cuda"):
            return forward(lr).float().permute(0, 2, 3, 1).cpu().numpy()

    return run


def measure(name: str, options: argparse.Namespace) -> dict[str, Any]:
    """Returns the figures of one network."""
    accelerated = jax.default_backend() != "cpu"
    # Smooth, so that PyTorch's bicubic (-0.75) and MATLAB's (-0.5) agree.
    waves = np.sin(np.arange(options.size) / 20) / 4 + 0.5
    picture = np.stack([np.add.outer(waves, waves) / 2] * 3, -1)[None]
    picture = picture.astype(np.float32)
    fields = NETWORKS[name]
    network, params = create_twins(name, scale=SCALE, fields=fields)
    model = models.create(
        name, scale=SCALE, **fields, dtype="bfloat16" if accelerated else "float32"
    )
    lr, variables = jax.device_put((picture, {"params": params}))
    forward = jax.jit(model.apply).lower(variables, lr).compile()
    flops = float((forward.cost_analysis() or {})["flops"])
    sides: dict[str, Callable[[], np.ndarray]] = {
        "jaxsr": lambda: np.asarray(forward(variables, lr))
    }
    for side in options.torch:
        sides[f"torch {side}"] = torch_side(
            network, picture, compiled=side == "compile"
        )
    outputs = {side: run() for side, run in sides.items()}
    for side, output in outputs.items():
        difference = np.abs(output - outputs["jaxsr"])[:, 8:-8, 8:-8].max()
        if difference > (0.05 if accelerated else 0.005):
            raise SystemExit(f"{name}: {side} differs from jaxsr by {difference}")
    medians = interleave(sides, rounds=options.rounds)
    row: dict[str, Any] = {"network": name, "flops": flops, "sides": {}}
    print(f"{name} x{SCALE}, {options.size}x{options.size}, {flops / 1e9:.1f} GFLOP")
    for side, seconds in medians.items():
        figures = {"ms": 1000 * seconds, "ratio": seconds / medians["jaxsr"]}
        line = (
            f"  {side:14} {figures['ms']:9.2f} ms"
            f"  jaxsr is {figures['ratio']:.2f} x as fast"
        )
        if options.peak_tflops:
            figures["utilisation"] = flops / seconds / options.peak_tflops / 1e12
            line += f"  utilisation {figures['utilisation']:.1%}"
        row["sides"][side] = figures
        print(line, flush=True)
    return row


@reports_input_errors
def main() -> None:
    parser = argparse.ArgumentParser(description=str(__doc__).splitlines()[0])
    parser.add_argument("--size", type=int, default=128, help="of the LR, in pixels")
    parser.add_argument("--networks", nargs="+", choices=NETWORKS, default=[*NETWORKS])
    parser.add_argument(
        "--torch", nargs="*", choices=["eager", "compile"], default=["eager", "compile"]
    )
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--peak_tflops", type=float, help="of the device, for its type")
    parser.add_argument("--json", type=Path, help="write the figures to this file")
    options = parser.parse_args()
    keep_freed_memory()
    rows = [measure(name, options) for name in options.networks]
    if options.json:
        result = {
            "size": options.size,
            "device": jax.devices()[0].device_kind,
            "machine": platform.platform(),
            "jax": jax.__version__,
            "torch": torch.__version__,
            "rows": rows,
        }
        options.json.write_text(json.dumps(result, indent=2) + "\n")


if __name__ == "__main__":
    main()
