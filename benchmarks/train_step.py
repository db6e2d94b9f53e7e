"""A training step of jaxsr beside the same network in PyTorch.

    python benchmarks/train_step.py [--sizes 48x16 96x64] [--json FILE]

Both start from the same weights (the losses of the first step are compared) and take
Adam steps on L1. Each is measured as it trains. On an accelerator jaxsr computes in
bfloat16, cuts its batches from images on the device and does 16 steps in a dispatch;
PyTorch runs under autocast to bfloat16, on one batch that is already there. On a CPU
both compute in float32 on a batch that is there. PyTorch runs channels_last, eager and
compiled. The sides take turns and the medians are compared, so that a busy machine
slows them alike.

Utilisation counts the multiply-adds of the network's own products, forward and
backward, against `--peak_tflops`, by default what a large matrix product reaches. On an
accelerator the device's idle time is read off a trace. Without PyTorch, or for
EDSR-baseline without torchSR, jaxsr is measured alone.
"""

import argparse
import functools
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from measuring import (
    compare_sides,
    compute_dtype,
    find_peak_flops,
    interleave,
    is_in_torch,
    measure_idle_share,
    on_accelerator,
    write_json,
)
from networks import SCALE, draw_weights, network_fields
from steps import make_steps, random_batch, steps_per_dispatch, take

from jaxsr.cpu import keep_freed_memory, use_every_core
from jaxsr.data.device_pipeline import DeviceImages, draw_batch
from jaxsr.errors import reports_input_errors
from jaxsr.models.complexity import count_products
from jaxsr.training.losses import l1
from jaxsr.training.mesh import create_mesh

_IMAGES, _SIDE = 16, 256  # on the device; LR pixels


def random_images() -> DeviceImages:
    """Returns noise in the place of a data set on the device."""
    rng = np.random.default_rng(0)
    lr, hr = (
        rng.integers(0, 256, (side, _IMAGES * side * 3), np.uint8)
        for side in (_SIDE, SCALE * _SIDE)
    )
    places = [(0, i * _SIDE, _SIDE, _SIDE) for i in range(_IMAGES)]
    sheets = map(jnp.asarray, (lr, hr, np.array(places, np.int32)))
    return DeviceImages(*sheets, scale=SCALE, channels=3)


def count_flops(model, params, batch: dict[str, np.ndarray]) -> int:
    """Returns the flops of the products of one step, forward and backward."""

    def loss(params, lr, hr):
        return l1(model.apply({"params": params}, lr), hr)

    images = [np.float32(batch[key]) for key in ("lr", "hr")]
    return 2 * count_products(jax.grad(loss), params, *images)


def measure(
    name: str, patch: int, size: int, peak_flops: float, options: argparse.Namespace
) -> dict[str, Any]:
    """Returns the figures of one network at one size."""
    batch = random_batch(size, patch, scale=SCALE)
    weights = draw_weights(name)
    model, params = weights.create(dtype=compute_dtype()), weights.variables["params"]
    make = functools.partial(
        make_steps, model, batch_size=size, mesh=create_mesh(size), params=params
    )
    jaxsr = make(batch, take)
    losses = [float(jaxsr()[0])]
    if on_accelerator():
        draw = functools.partial(draw_batch, batch_size=size, patch_size=patch, seed=0)
        jaxsr = make(random_images(), draw)
    steps = steps_per_dispatch()
    sides: dict[str, Callable[[], Any]] = {"jaxsr": jaxsr}
    for kind in options.torch if is_in_torch(name) else []:
        from torch_sides import training_side
        from torch_twins import create_twin

        run = training_side(create_twin(weights), batch, compiled=kind == "compile")
        losses.append(run(1))
        sides[f"torch {kind}"] = functools.partial(run, steps)
    # RCBAM's skip: at the edge PyTorch's bicubic sees nothing beyond the picture.
    loose = on_accelerator() or name == "rcbam"
    if max(losses) > min(losses) * (1.03 if loose else 1.001):
        raise SystemExit(f"{name}: the sides' losses differ: {losses}")
    flops = count_flops(model, params, batch)
    print(f"{name} x{SCALE}, LR {patch}, batch {size}, {flops / 1e9:.3g} GFLOP a step")
    medians = interleave(sides, rounds=options.rounds)
    figures = compare_sides(
        {side: seconds / steps for side, seconds in medians.items()},
        flops=flops,
        peak_flops=peak_flops,
        images=size,
    )
    idle = measure_idle_share(jaxsr)
    if idle is not None:
        print(f"  jaxsr leaves the device idle for {idle:.1%} of the time")
    return {
        "network": name,
        "fields": network_fields(name),
        "patch": patch,
        "batch": size,
        "dtype": compute_dtype(),
        "flops_per_step": flops,
        "idle_share": idle,
        "sides": figures,
    }


def _parse_size(text: str) -> tuple[int, int]:
    patch, batch = map(int, text.split("x"))
    return patch, batch


@reports_input_errors
def main() -> None:
    parser = argparse.ArgumentParser(description=str(__doc__).splitlines()[0])
    parser.add_argument(
        "--sizes",
        nargs="+",
        type=_parse_size,
        metavar="PATCHxBATCH",
        help="LR pixels and patches; default: 48x16 96x64, on a CPU 48x4 48x16",
    )
    names = ["edsr_baseline", "rcbam"]
    parser.add_argument("--networks", nargs="+", choices=names, default=names)
    parser.add_argument(
        "--torch", nargs="*", choices=["eager", "compile"], default=["eager", "compile"]
    )
    parser.add_argument("--rounds", type=int, default=10)
    parser.add_argument("--peak_tflops", type=float, help="of the device, for its type")
    parser.add_argument("--json", type=Path, help="write the figures to this file")
    options = parser.parse_args()
    keep_freed_memory()
    # Before JAX starts, so that the number of cores divides every batch.
    use_every_core(math.gcd(*[batch for _, batch in options.sizes or [(48, 4)]]))
    sizes = options.sizes or [(48, 16), (96, 64) if on_accelerator() else (48, 4)]
    peak = find_peak_flops(options.peak_tflops)
    rows = [
        measure(name, patch, batch, peak, options)
        for name in options.networks
        for patch, batch in sizes
    ]
    write_json(options.json, {"peak_flops": peak, "rows": rows})


if __name__ == "__main__":
    main()
