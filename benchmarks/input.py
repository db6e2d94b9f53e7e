"""Whether the pipelines feed a training step fast enough.

    python benchmarks/input.py [--source t91+bsd200] [--patch_sizes 48 96] [--json FILE]

For each size of LR patch: the patches per second that tf.data cuts, and that a step of
RCBAM takes on a batch that is already on the devices; and the time of that step when it
cuts its batch itself from images on the devices. RCBAM is the paper's on accelerators
and a small one on CPUs. Images smaller than a patch are left out.
"""

import argparse
import functools
import os
import time
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
from jax.sharding import NamedSharding, PartitionSpec
from measuring import compute_dtype, interleave, write_json
from networks import network_fields
from steps import make_steps, steps_per_dispatch, take

from jaxsr import models
from jaxsr.cpu import keep_freed_memory, use_every_core
from jaxsr.data import open_source
from jaxsr.data.device_pipeline import draw_batch, load_images
from jaxsr.data.tf_pipeline import make_batches
from jaxsr.errors import reports_input_errors
from jaxsr.training.mesh import create_mesh


def measure_tfdata(patch_size: int, options: argparse.Namespace) -> dict[str, Any]:
    """Returns the figures of the tf.data pipeline alone."""
    start = time.perf_counter()
    batches = make_batches(
        open_source(options.source),
        scale=options.scale,
        patch_size=patch_size,
        batch_size=options.batch_size,
        channels=3,
        seed=0,
        skip_small=True,
        threads=options.threads,
        memory_limit_gb=options.memory_limit_gb,
    )
    read_seconds = time.perf_counter() - start
    for _ in range(10):  # tracing, and batches made ahead
        next(batches)
    start, start_cpu, patches = time.perf_counter(), time.process_time(), 0
    while time.perf_counter() - start < options.seconds:
        next(batches)
        patches += options.batch_size
    wall, cpu = time.perf_counter() - start, time.process_time() - start_cpu
    return {
        "read_seconds": read_seconds,
        "patches_per_second": patches / wall,
        "patches_per_cpu_second": patches / cpu,
        "cores_used": cpu / wall,
    }


def measure_step(patch_size: int, options: argparse.Namespace) -> dict[str, float]:
    """Returns seconds of a step on a batch that is there, and on one that it cuts."""
    mesh = create_mesh(options.batch_size)
    images = load_images(
        open_source(options.source),
        scale=options.scale,
        patch_size=patch_size,
        sharding=NamedSharding(mesh, PartitionSpec()),
        skip_small=True,
        progress=False,
    )
    model = models.create(
        "rcbam",
        scale=options.scale,
        **network_fields("rcbam"),
        dtype=compute_dtype(),
    )
    cut = functools.partial(
        draw_batch, batch_size=options.batch_size, patch_size=patch_size, seed=0
    )
    batch = jax.jit(cut)(images, 0, jnp.arange(options.batch_size))
    make = functools.partial(
        make_steps, model, batch_size=options.batch_size, mesh=mesh
    )
    medians = interleave(
        {"batch there": make(batch, take), "batch cut": make(images, cut)},
        rounds=options.rounds,
    )
    return {name: each / steps_per_dispatch() for name, each in medians.items()}


@reports_input_errors
def main() -> None:
    parser = argparse.ArgumentParser(description=str(__doc__).splitlines()[0])
    parser.add_argument("--source", default="t91+bsd200")
    parser.add_argument("--scale", type=int, default=2)
    parser.add_argument(
        "--patch_sizes", nargs="+", type=int, default=[48, 96], help="of the LR"
    )
    parser.add_argument("--batch_size", type=int, default=16)
    parser.add_argument("--threads", type=int, help="default: half of the cores")
    parser.add_argument("--memory_limit_gb", type=float, help="0: nothing is kept")
    parser.add_argument("--seconds", type=float, default=5.0, help="of tf.data")
    parser.add_argument("--rounds", type=int, default=10, help="of steps")
    parser.add_argument("--json", type=Path, help="write the figures to this file")
    options = parser.parse_args()
    keep_freed_memory()
    use_every_core(options.batch_size)
    rows = []
    for patch_size in options.patch_sizes:
        tfdata = measure_tfdata(patch_size, options)
        seconds = measure_step(patch_size, options)
        there, cut = seconds["batch there"], seconds["batch cut"]
        taken = options.batch_size / there
        row = {
            "patch_size": patch_size,
            "tfdata": tfdata,
            "step_ms": 1000 * there,
            "step_patches_per_second": taken,
            "tfdata_ratio": tfdata["patches_per_second"] / taken,
            "device_step_ms": 1000 * cut,
            "device_ratio": cut / there,
        }
        rows.append(row)
        print(
            f"{options.source} x{options.scale}, LR patch {patch_size}, batch "
            f"{options.batch_size}:\n"
            f"  tf.data       {tfdata['patches_per_second']:9.0f} patches/s on "
            f"{tfdata['cores_used']:.2f} of {os.cpu_count()} cores; images read in "
            f"{tfdata['read_seconds']:.1f} s\n"
            f"  a step takes  {taken:9.0f} patches/s: tf.data is "
            f"{row['tfdata_ratio']:.1f} x as fast\n"
            f"  cut by itself {1000 * cut:9.2f} ms a step instead of "
            f"{1000 * there:.2f}: {row['device_ratio']:.3f} x",
            flush=True,
        )
    write_json(
        options.json,
        {
            "source": options.source,
            "scale": options.scale,
            "batch_size": options.batch_size,
            "dtype": compute_dtype(),
            "rows": rows,
        },
    )


if __name__ == "__main__":
    main()
