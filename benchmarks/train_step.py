"""A training step of jaxsr beside the same network in PyTorch.

    python benchmarks/train_step.py [--batch 16] [--patch 48] [--json FILE]

Both start from the same weights (the losses of the first step are compared) and take
Adam steps on L1: bfloat16 on an accelerator, where PyTorch runs under autocast, float32
on a CPU. PyTorch runs channels_last, eager and compiled. The sides take turns and the
medians are compared, so that a busy machine slows them alike. Needs PyTorch, and
torchSR for EDSR-baseline.
"""

import argparse
import dataclasses
import json
import platform
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
import numpy as np
import optax
import torch  # pyright: ignore[reportMissingImports]
from torch_twins import create_twins

from jaxsr import models
from jaxsr.cpu import keep_freed_memory, use_every_core
from jaxsr.errors import reports_input_errors
from jaxsr.training.losses import l1
from jaxsr.training.mesh import create_mesh, replicate, shard_batch
from jaxsr.training.state import create_state
from jaxsr.training.step import make_train_step

SCALE = 2
NETWORKS: dict[str, dict[str, int]] = {
    "edsr_baseline": {},
    "rcbam": {"features": 32, "depth": 6},
}


def interleave(sides: dict[str, Callable[[], Any]], *, rounds: int) -> dict[str, float]:
    """Returns each side's median seconds; the sides take turns in every round.

    A side must return only when its work is done. The first two calls warm up.
    """
    times: dict[str, list[float]] = {name: [] for name in sides}
    for side in sides.values():
        side()
        side()
    for _ in range(rounds):
        for name, side in sides.items():
            start = time.perf_counter()
            side()
            times[name].append(time.perf_counter() - start)
    return {name: statistics.median(values) for name, values in times.items()}


def jax_side(
    model, params, batch: dict[str, np.ndarray], *, steps: int
) -> tuple[Callable[[], float], float]:
    """Returns a function that takes `steps` steps, and the flops of one."""
    mesh = create_mesh(len(batch["lr"]))
    optimizer = optax.adam(1e-4)
    state = create_state(model, optimizer, seed=0, channels=3, use_ema=False)
    held = [replicate(dataclasses.replace(state, params=params), mesh)]
    on_device = shard_batch(batch, mesh)
    step = make_train_step(model, optimizer, l1, mesh=mesh)
    analysis = step.lower(held[0], on_device).compile().cost_analysis()

    def run() -> float:
        for _ in range(steps):
            held[0], metrics = step(held[0], on_device)
        return float(metrics["loss"])

    # XLA counts what one device does.
    return run, float(analysis["flops"]) * mesh.size


def torch_side(
    network: torch.nn.Module,
    batch: dict[str, np.ndarray],
    *,
    steps: int,
    compiled: bool,
) -> Callable[[], float]:
    """Returns a function that takes `steps` steps and returns the last one's loss."""
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    network = network.to(device, memory_format=torch.channels_last).train()
    optimizer = torch.optim.Adam(network.parameters(), lr=1e-4)
    on_device = {
        k: torch.from_numpy(v).to(device).permute(0, 3, 1, 2) for k, v in batch.items()
    }
    forward = torch.compile(network) if compiled else network

    def run() -> float:
        for _ in range(steps):
            optimizer.zero_grad(set_to_none=True)
            with torch.autocast(device.type, torch.bfloat16, device.type == "cuda"):
                sr = forward(on_device["lr"].float() / 255)
            loss = (sr.float() - on_device["hr"].float() / 255).abs().mean()
            loss.backward()
            optimizer.step()
        return float(loss.detach())

    return run


def measure(name: str, options: argparse.Namespace) -> dict[str, Any]:
    """Returns the figures of one network."""
    rng = np.random.default_rng(0)
    n, p = options.batch, options.patch
    batch = {
        "lr": rng.integers(0, 256, (n, p, p, 3), np.uint8),
        "hr": rng.integers(0, 256, (n, SCALE * p, SCALE * p, 3), np.uint8),
    }
    accelerated = jax.default_backend() != "cpu"
    fields = NETWORKS[name]
    _, params = create_twins(name, scale=SCALE, fields=fields)
    model = models.create(
        name, scale=SCALE, **fields, dtype="bfloat16" if accelerated else "float32"
    )
    jaxsr, flops = jax_side(model, params, batch, steps=options.steps)
    sides = {"jaxsr": jaxsr}
    for side in options.torch:
        network, _ = create_twins(name, scale=SCALE, fields=fields)
        sides[f"torch {side}"] = torch_side(
            network, batch, steps=options.steps, compiled=side == "compile"
        )
    losses = [run() for run in sides.values()]
    # RCBAM's skip: PyTorch's bicubic has the constant -0.75, MATLAB's -0.5.
    if max(losses) > min(losses) * (1.03 if accelerated or name == "rcbam" else 1.001):
        raise SystemExit(f"{name}: the sides' losses differ: {losses}")
    medians = interleave(sides, rounds=options.rounds)
    row: dict[str, Any] = {"network": name, "flops_per_step": flops, "sides": {}}
    print(f"{name} x{SCALE}, batch {n}, LR patch {p}, {flops / 1e9:.0f} GFLOP a step")
    for side, seconds in medians.items():
        seconds /= options.steps
        figures = {
            "ms_per_step": 1000 * seconds,
            "images_per_second": n / seconds,
            "ratio": seconds * options.steps / medians["jaxsr"],
        }
        if options.peak_tflops:
            figures["utilisation"] = flops / seconds / options.peak_tflops / 1e12
        row["sides"][side] = figures
        print(
            f"  {side:14} {1000 * seconds:9.2f} ms  {n / seconds:8.1f} images/s"
            f"  jaxsr is {figures['ratio']:.2f} x as fast"
            + (
                f"  utilisation {figures['utilisation']:.1%}"
                if options.peak_tflops
                else ""
            ),
            flush=True,
        )
    return row


@reports_input_errors
def main() -> None:
    parser = argparse.ArgumentParser(description=str(__doc__).splitlines()[0])
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--patch", type=int, default=48, help="of the LR, in pixels")
    parser.add_argument("--networks", nargs="+", choices=NETWORKS, default=[*NETWORKS])
    parser.add_argument(
        "--torch", nargs="*", choices=["eager", "compile"], default=["eager", "compile"]
    )
    parser.add_argument("--steps", type=int, default=1, help="steps between two syncs")
    parser.add_argument("--rounds", type=int, default=10)
    parser.add_argument("--peak_tflops", type=float, help="of the device, for its type")
    parser.add_argument("--json", type=Path, help="write the figures to this file")
    options = parser.parse_args()
    keep_freed_memory()
    use_every_core(options.batch)
    rows = [measure(name, options) for name in options.networks]
    if options.json:
        result = {
            "batch": options.batch,
            "patch": options.patch,
            "device": jax.devices()[0].device_kind,
            "devices": jax.device_count(),
            "machine": platform.platform(),
            "jax": jax.__version__,
            "torch": torch.__version__,
            "rows": rows,
        }
        options.json.write_text(json.dumps(result, indent=2) + "\n")


if __name__ == "__main__":
    main()
