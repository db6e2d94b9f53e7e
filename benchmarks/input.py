"""How many training patches per second the tf.data pipeline cuts.

    python benchmarks/input.py [--source t91+bsd200] [--patch_sizes 48,96] [--json FILE]

Prints, for each size of LR patch, the time that reading the images takes, and patches
per second of wall time and of processor time. Images smaller than a patch are left out.
"""

import argparse
import json
import os
import time

from jaxsr.data import open_source
from jaxsr.data.tf_pipeline import make_batches
from jaxsr.errors import reports_input_errors


def measure(
    spec: str,
    *,
    scale: int,
    patch_size: int,
    batch_size: int,
    seconds: float,
    **options,
) -> dict:
    """Returns the figures of one pipeline; `options` go to `make_batches`."""
    source = open_source(spec)
    start = time.perf_counter()
    batches = make_batches(
        source,
        scale=scale,
        patch_size=patch_size,
        batch_size=batch_size,
        seed=0,
        skip_small=True,
        **options,
    )
    read_seconds = time.perf_counter() - start
    for _ in range(10):  # tracing, and batches made ahead
        next(batches)
    start, start_cpu, patches = time.perf_counter(), time.process_time(), 0
    while time.perf_counter() - start < seconds:
        next(batches)
        patches += batch_size
    wall, cpu = time.perf_counter() - start, time.process_time() - start_cpu
    return {
        "source": spec,
        "scale": scale,
        "patch_size": patch_size,
        "batch_size": batch_size,
        **options,
        "images": len(source),
        "read_seconds": round(read_seconds, 2),
        "patches_per_second": round(patches / wall),
        "patches_per_cpu_second": round(patches / cpu),
        "cores_used": round(cpu / wall, 2),
    }


@reports_input_errors
def main() -> None:
    parser = argparse.ArgumentParser(description=str(__doc__).splitlines()[0])
    parser.add_argument("--source", default="t91+bsd200")
    parser.add_argument("--scale", type=int, default=2)
    parser.add_argument("--patch_sizes", default="48,96", help="of the LR, in pixels")
    parser.add_argument("--batch_size", type=int, default=16)
    parser.add_argument("--channels", type=int, default=3)
    parser.add_argument("--threads", type=int, help="default: half of the cores")
    parser.add_argument("--memory_limit_gb", type=float, help="0: nothing is kept")
    parser.add_argument("--seconds", type=float, default=5.0)
    parser.add_argument("--json", help="file for the figures")
    options = parser.parse_args()
    results = []
    for patch_size in map(int, options.patch_sizes.split(",")):
        result = measure(
            options.source,
            scale=options.scale,
            patch_size=patch_size,
            batch_size=options.batch_size,
            seconds=options.seconds,
            channels=options.channels,
            threads=options.threads,
            memory_limit_gb=options.memory_limit_gb,
        )
        results.append(result)
        print(
            f"{options.source} x{options.scale}, LR patch {patch_size}: images read in "
            f"{result['read_seconds']} s, {result['patches_per_second']} patches/s on "
            f"{result['cores_used']} cores of {os.cpu_count()}, "
            f"{result['patches_per_cpu_second']} per second of one core",
            flush=True,
        )
    if options.json:
        with open(options.json, "w") as file:
            json.dump(results, file, indent=2)


if __name__ == "__main__":
    raise SystemExit(main())
