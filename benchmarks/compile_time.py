"""Compiles the training step of every full network, each in a process of its own.

    python benchmarks/compile_time.py [--loops plain remat roll remat+roll]

Value, gradient and Adam update, L1 on the output, x2; nothing is run. Prints seconds of
wall and of processor time, tracing included, the size of the program that XLA gets, and
the memory of intermediate results of the one that it makes. `--loops` are the ways that
a chain of blocks can be run (`train.remat`, `train.roll_blocks`). `--topology` compiles
for a TPU that need not be there, for example v5e:2x2 (pip install libtpu).
"""

import argparse
import concurrent.futures
import json
import multiprocessing
import time
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import optax
from jax.experimental import topologies

from jaxsr.layers.block_loop import BlockLoop
from jaxsr.models import create, list_models

LOOPS = {
    "plain": BlockLoop(),
    "remat": BlockLoop(remat=True),
    "roll": BlockLoop(roll=True),
    "remat+roll": BlockLoop(remat=True, roll=True),
}


def measure(name: str, loop: str, options: argparse.Namespace) -> dict[str, Any]:
    """Returns the row of one network."""
    device = jax.devices()[0]
    if options.topology:
        target = topologies.get_topology_desc(options.topology, platform="tpu")
        device = target.devices[0]
    sharding = jax.sharding.SingleDeviceSharding(device)

    def images(side: int) -> jax.ShapeDtypeStruct:
        shape = (options.batch, side, side, model.channels)
        return jax.ShapeDtypeStruct(shape, jnp.float32, sharding=sharding)

    model = create(name, scale=2, dtype=options.dtype)
    if loop != "plain":
        model = model.clone(block_loop=LOOPS[loop])
    lr, hr = images(options.patch), images(2 * options.patch)
    variables: Any = jax.eval_shape(model.init, jax.random.key(0), lr)
    params = variables.pop("params")
    optimizer = optax.adam(1e-4)

    def step(params, state, opt_state, lr, hr):
        def loss(params):
            sr, new = model.apply(
                {"params": params, **state},
                lr,
                train=True,
                mutable=[*state, "supervision"],
            )
            return jnp.mean(jnp.abs(sr - hr)), new

        (value, new), grads = jax.value_and_grad(loss, has_aux=True)(params)
        updates, opt_state = optimizer.update(grads, opt_state)
        return optax.apply_updates(params, updates), new, opt_state, value

    opt_state = jax.eval_shape(optimizer.init, params)
    wall, processor = time.perf_counter(), time.process_time()
    lowered = jax.jit(step).lower(params, variables, opt_state, lr, hr)
    compiled: Any = lowered.compile()
    return {
        "network": name,
        "loop": loop,
        "device": device.device_kind,
        "wall_seconds": time.perf_counter() - wall,
        "processor_seconds": time.process_time() - processor,
        "program_bytes": len(lowered.as_text()),
        "temporary_bytes": compiled.memory_analysis().temp_size_in_bytes,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    names = [name for name in list_models() if name != "bicubic"]  # nothing to train
    parser.add_argument("--models", nargs="+", choices=names, default=names)
    parser.add_argument("--loops", nargs="+", choices=LOOPS, default=["plain"])
    parser.add_argument("--batch", type=int, default=1)
    parser.add_argument("--patch", type=int, default=24, help="of the LR, in pixels")
    parser.add_argument("--dtype", choices=["float32", "bfloat16"], default="float32")
    parser.add_argument("--topology", help="compile for this TPU instead")
    parser.add_argument("--json", type=Path, help="write the figures to this file")
    options = parser.parse_args()
    print("network          loop          wall, s  processor, s  program, kB   MiB")
    rows = []
    spawn = multiprocessing.get_context("spawn")
    for name in options.models:
        chain = hasattr(create(name, scale=2), "block_loop")
        for loop in options.loops if chain else ["plain"]:
            with concurrent.futures.ProcessPoolExecutor(1, spawn) as process:
                row = process.submit(measure, name, loop, options).result()
            rows.append(row)
            print(
                f"{name:<16} {loop:<12}{row['wall_seconds']:>9.1f}"
                f"{row['processor_seconds']:>14.1f}{row['program_bytes'] / 1e3:>13.0f}"
                f"{row['temporary_bytes'] / 2**20:>6.0f}",
                flush=True,
            )
    if options.json:
        options.json.write_text(json.dumps(rows, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
