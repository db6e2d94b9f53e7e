"""The forward pass of jaxsr on one picture beside the same network in PyTorch.

    python benchmarks/forward.py [--size 128] [--json FILE]

The same weights, the same picture, which is on the device already; outputs compared.
The rest is as in `train_step.py`.
"""

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
import numpy as np
import torch  # pyright: ignore[reportMissingImports]
from measuring import (
    compare_sides,
    compute_dtype,
    find_peak_flops,
    interleave,
    on_accelerator,
    write_json,
)
from steps import network_fields
from torch_twins import SCALE, create_twins, place

from jaxsr import models
from jaxsr.cpu import keep_freed_memory
from jaxsr.errors import reports_input_errors
from jaxsr.models.complexity import count_products


def torch_side(
    network: torch.nn.Module, picture: np.ndarray, *, compiled: bool
) -> Callable[[], torch.Tensor]:
    """Returns a function that enlarges the picture, NCHW, and returns when done."""
    device = place(network.eval())
    lr = torch.from_numpy(picture).to(device).permute(0, 3, 1, 2)
    forward = torch.compile(network) if compiled else network

    @torch.inference_mode()
    def run() -> torch.Tensor:
        with torch.autocast(device.type, torch.bfloat16, device.type == "cuda"):
            sr = forward(lr)
        if device.type == "cuda":
            torch.cuda.synchronize()
        return sr

    return run


def measure(
    name: str, peak_flops: float, options: argparse.Namespace
) -> dict[str, Any]:
    """Returns the figures of one network."""
    # Smooth, so that PyTorch's bicubic (-0.75) and MATLAB's (-0.5) agree.
    waves = np.sin(np.arange(options.size) / 20) / 4 + 0.5
    picture = np.stack([np.add.outer(waves, waves) / 2] * 3, -1)[None]
    picture = picture.astype(np.float32)
    fields = network_fields(name)
    network, params = create_twins(name, fields=fields)
    model = models.create(name, scale=SCALE, **fields, dtype=compute_dtype())
    lr, variables = jax.device_put((picture, {"params": params}))
    forward = jax.jit(model.apply)
    sides: dict[str, Callable[[], Any]] = {
        "jaxsr": lambda: jax.block_until_ready(forward(variables, lr))
    }
    expected = np.asarray(sides["jaxsr"]())
    for kind in options.torch:
        run = torch_side(network, picture, compiled=kind == "compile")
        sides[f"torch {kind}"] = run
        output = run().float().permute(0, 2, 3, 1).cpu().numpy()
        difference = np.abs(output - expected)[:, 8:-8, 8:-8].max()
        if difference > (0.05 if on_accelerator() else 0.005):
            raise SystemExit(f"{name}: torch {kind} differs from jaxsr by {difference}")
    flops = 2 * count_products(model.apply, variables, lr)
    print(f"{name} x{SCALE}, {options.size}x{options.size}, {flops / 1e9:.3g} GFLOP")
    figures = compare_sides(
        interleave(sides, rounds=options.rounds),
        flops=flops,
        peak_flops=peak_flops,
        images=1,
    )
    return {
        "network": name,
        "fields": fields,
        "size": options.size,
        "dtype": compute_dtype(),
        "flops": flops,
        "sides": figures,
    }


@reports_input_errors
def main() -> None:
    parser = argparse.ArgumentParser(description=str(__doc__).splitlines()[0])
    parser.add_argument("--size", type=int, default=128, help="of the LR, in pixels")
    names = ["edsr_baseline", "rcbam"]
    parser.add_argument("--networks", nargs="+", choices=names, default=names)
    parser.add_argument(
        "--torch", nargs="*", choices=["eager", "compile"], default=["eager", "compile"]
    )
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--peak_tflops", type=float, help="of the device, for its type")
    parser.add_argument("--json", type=Path, help="write the figures to this file")
    options = parser.parse_args()
    keep_freed_memory()
    peak = find_peak_flops(options.peak_tflops)
    rows = [measure(name, peak, options) for name in options.networks]
    write_json(options.json, {"peak_flops": peak, "rows": rows})


if __name__ == "__main__":
    main()
