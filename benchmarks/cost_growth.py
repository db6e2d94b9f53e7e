"""How the time of a training step grows with batch, patch, features and depth.

    python benchmarks/cost_growth.py [--network edsr_baseline] [--json FILE]

From a small network and batch one size at a time is doubled, the others staying as they
are; the steps take turns and medians are compared. Prints milliseconds and, for each
size, the exponent k of the line through log time over log size: time grows as size^k.
By arithmetic k is 1 for batch and depth and 2 for patch and features.

`--devices` instead takes one step on 1, 2, 4 and 8 devices, fake ones on a CPU, and
prints how far their parameters lie apart: the same batch has to give the same step.
"""

import argparse
import functools
from pathlib import Path
from typing import Any

import jax
import numpy as np
import optax
from measuring import compute_dtype, interleave, on_accelerator, write_json
from steps import make_steps, random_batch, steps_per_dispatch, take

from jaxsr import models
from jaxsr.cpu import keep_freed_memory
from jaxsr.errors import reports_input_errors
from jaxsr.training.losses import l1
from jaxsr.training.mesh import DATA_AXIS, replicate
from jaxsr.training.state import create_state
from jaxsr.training.step import make_step, map_steps

_SCALE = 2
_SMALL = {"batch": 4, "patch": 16, "features": 16, "depth": 2}
_LARGE = {"batch": 16, "patch": 48, "features": 64, "depth": 16}


def fit_exponent(sizes: list[int], seconds: list[float]) -> float:
    """Returns the slope of the least-squares line through the logarithms."""
    return float(np.polyfit(np.log(sizes), np.log(seconds), 1)[0])


def measure_growth(
    size: str, base: dict[str, int], options: argparse.Namespace
) -> dict[str, Any]:
    """Returns the times of steps that differ in one size, doubled each time."""
    mesh = jax.sharding.Mesh(np.array(jax.devices()[:1]), (DATA_AXIS,))
    values = [base[size] * 2**i for i in range(options.doublings + 1)]
    sides = {}
    for value in values:
        sizes = base | {size: value}
        model = models.create(
            options.network,
            scale=_SCALE,
            features=sizes["features"],
            depth=sizes["depth"],
            dtype=compute_dtype(),
        )
        batch = random_batch(sizes["batch"], sizes["patch"], scale=_SCALE)
        sides[str(value)] = make_steps(
            model, batch, take, batch_size=sizes["batch"], mesh=mesh
        )
    medians = interleave(sides, rounds=options.rounds)
    seconds = [each / steps_per_dispatch() for each in medians.values()]
    exponent = fit_exponent(values, seconds)
    steps = "  ".join(
        f"{value}: {1000 * each:.2f}"
        for value, each in zip(values, seconds, strict=True)
    )
    print(f"{size:9} {steps}  time grows as {size}^{exponent:.2f}", flush=True)
    return {"size": size, "values": values, "seconds": seconds, "exponent": exponent}


def measure_devices(
    base: dict[str, int], options: argparse.Namespace
) -> dict[str, Any]:
    """Returns, by number of devices, the largest distance of a parameter.

    Plain gradient descent at rate 1, so that it is the gradients that are compared.
    """
    model = models.create(
        options.network,
        scale=_SCALE,
        features=base["features"],
        depth=base["depth"],
    )
    batch = random_batch(8, base["patch"], scale=_SCALE)
    optimizer = optax.sgd(1.0)
    step = make_step(model, optimizer, l1, ema_decay=0.0)

    @functools.cache
    def parameters(devices: int):
        mesh = jax.sharding.Mesh(np.array(jax.devices()[:devices]), (DATA_AXIS,))
        state = create_state(model, optimizer, seed=0, channels=3, use_ema=False)
        steps = map_steps(step, mesh=mesh, draw=take, batch_size=8)
        state, _ = steps(replicate(state, mesh), replicate(batch, mesh), 1)
        return jax.device_get(state.params)

    distances = {}
    for devices in (1, 2, 4, 8):
        if devices > jax.device_count():
            break
        apart = jax.tree.map(
            lambda a, b: float(np.abs(a - b).max()), parameters(devices), parameters(1)
        )
        distances[devices] = max(jax.tree.leaves(apart))
        print(f"{devices} devices: {distances[devices]:.1e} from one", flush=True)
        if not distances[devices] < 1e-5:
            raise SystemExit(f"the step of {devices} devices is another one")
    return distances


@reports_input_errors
def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument(
        "--network", choices=["edsr_baseline", "rcbam"], default="edsr_baseline"
    )
    for size in _SMALL:
        text = f"where it starts; default {_LARGE[size]}, on a CPU {_SMALL[size]}"
        parser.add_argument(f"--{size}", type=int, help=text)
    parser.add_argument("--vary", nargs="+", choices=_SMALL, default=[*_SMALL])
    parser.add_argument("--doublings", type=int, default=3)
    parser.add_argument("--rounds", type=int, default=10)
    parser.add_argument("--devices", action="store_true", help="compare 1, 2, 4 and 8")
    parser.add_argument("--json", type=Path, help="write the figures to this file")
    options = parser.parse_args()
    keep_freed_memory()
    if options.devices and jax.config.jax_num_cpu_devices < 0:  # pyright: ignore
        jax.config.update("jax_num_cpu_devices", 8)
    base = {
        size: getattr(options, size) or default
        for size, default in (_LARGE if on_accelerator() else _SMALL).items()
    }
    about = {"network": options.network, "base": base}
    if options.devices:
        figures = {"distances": measure_devices(base, options)}
    else:
        print(f"{options.network} x{_SCALE} from {base}, {compute_dtype()}, ms a step")
        figures = {"growth": [measure_growth(s, base, options) for s in options.vary]}
    write_json(options.json, about | figures)


if __name__ == "__main__":
    main()
