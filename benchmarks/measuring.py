"""What the benchmarks share: times, the machine, the device's peak and idle time."""

import functools
import importlib.util
import json
import platform
import re
import statistics
import tempfile
import time
from collections.abc import Callable, Iterable
from importlib import metadata
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp

_PAUSE = 0.05  # seconds


def on_accelerator() -> bool:
    return jax.default_backend() != "cpu"


def shortest_seconds(function: Callable[[], Any], repeats: int) -> float:
    """Returns the shortest run of `function`, after one to warm up."""
    jax.block_until_ready(function())
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        jax.block_until_ready(function())
        times.append(time.perf_counter() - start)
    return min(times)


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


def take_turns(
    sides: dict[str, Callable[[], Any]], *, seconds: float, rounds: int
) -> dict[str, float]:
    """Returns each side's median seconds of a call, of sides that have been warmed up.

    In each round every side has a turn of as many calls as fit into its part of
    `seconds`, at least one. Before it is a pause, for the threads of the side before
    stop waiting for work only after some time, and take the cores meanwhile.

    Args:
        sides: return only when their work is done.
        seconds: that a side is to take, all rounds together.
        rounds: how often each side has its turn; of sides that have taken their time
            before, at least three times.
    """
    times: dict[str, list[float]] = {name: [] for name in sides}
    for done in range(rounds):
        if done >= 3 and min(map(sum, times.values())) > seconds:
            break
        for name, side in sides.items():
            time.sleep(_PAUSE)
            begin = time.perf_counter()
            while True:
                start = time.perf_counter()
                side()
                end = time.perf_counter()
                times[name].append(end - start)
                if end - begin + (end - start) > seconds / rounds:
                    break
    return {name: statistics.median(values) for name, values in times.items()}


# How pip calls what is imported, where it has another name.
_PIP = {
    "jax2onnx": "'jaxsr-superres[export]'",
    "onnxruntime": "'jaxsr-superres[export]'",
    "torchsr": "--no-deps torchsr",
}


@functools.cache
def is_installed(package: str) -> bool:
    """Returns whether a package is there, and prints a line, once, where it is not."""
    if importlib.util.find_spec(package) is not None:
        return True
    pip = _PIP.get(package, package)
    print(f"{package} is not installed: left out (pip install {pip})", flush=True)
    return False


def is_in_torch(network: str) -> bool:
    """Returns whether PyTorch's form of a network is installed, as `is_installed`."""
    needed = ["torch", "torchsr"] if network == "edsr_baseline" else ["torch"]
    return all(map(is_installed, needed))


def compute_dtype() -> str:
    """Returns the type that networks compute in here, as they would be trained."""
    return "bfloat16" if on_accelerator() else "float32"


def find_peak_flops(tflops: float | None) -> float:
    """Returns the peak in flop/s and prints it: as given, or that of a matrix product.

    A large square product of the compute type reaches what programs can.
    """
    if tflops is None:
        side = 8192 if on_accelerator() else 2048
        matrix = jnp.ones((side, side), compute_dtype())
        product = jax.jit(jnp.matmul)
        seconds = shortest_seconds(lambda: product(matrix, matrix), 5)
        tflops = 2 * side**3 / seconds / 1e12
    device = jax.devices()[0].device_kind
    print(f"{device}, {compute_dtype()}, peak {tflops:.3g} TFLOP/s", flush=True)
    return 1e12 * tflops


def compare_sides(
    medians: dict[str, float], *, flops: float, peak_flops: float, images: int
) -> dict[str, dict[str, float]]:
    """Prints and returns the figures of each side; the first is what is compared.

    Args:
        medians: seconds of each side.
        flops: that the networks take in this time, without what a side adds.
        peak_flops: flop/s of the device.
        images: that are done in this time.
    """
    ours = next(iter(medians.values()))
    figures = {}
    for side, seconds in medians.items():
        figures[side] = {
            "ms": 1000 * seconds,
            "images_per_second": images / seconds,
            "ratio": seconds / ours,
            "utilisation": flops / seconds / peak_flops,
        }
        print(
            f"  {side:14} {1000 * seconds:9.2f} ms  {images / seconds:8.1f} images/s"
            f"  jaxsr is {seconds / ours:.2f} x as fast"
            f"  utilisation {figures[side]['utilisation']:.1%}",
            flush=True,
        )
    return figures


def measure_idle_share(run: Callable[[], Any]) -> float | None:
    """Returns the share of a traced run in which the accelerator did nothing.

    From the start of its first operation to the end of its last; None on CPU.
    """
    with tempfile.TemporaryDirectory() as folder:
        with jax.profiler.trace(folder):
            jax.block_until_ready(run())
        (path,) = Path(folder).glob("plugins/profile/*/*.xplane.pb")
        data = jax.profiler.ProfileData.from_file(str(path))
        return idle_share(data.planes)


def idle_share(planes: Iterable[Any]) -> float | None:
    """Returns the idle share of the first device plane of a trace, see `ProfileData`.

    A GPU's plane has a line for each stream, a TPU's one of operations; lines that only
    group operations (steps, modules, names) are left out.
    """
    for plane in planes:
        if re.match(r"/device:(GPU|TPU):\d+", plane.name):
            spans = [
                (event.start_ns, event.start_ns + event.duration_ns)
                for line in plane.lines
                if line.name.startswith("Stream #") or line.name == "XLA Ops"
                for event in line.events
            ]
            if spans:
                return 1 - _covered(spans)
    return None


def _covered(spans: list[tuple[float, float]]) -> float:
    """Returns which share of first start to last end is within any span."""
    spans.sort()
    start = end = spans[0][0]
    covered = 0.0
    for begin, stop in spans:
        if stop > end:
            covered += stop - max(begin, end)
            end = stop
    return covered / (end - start)


def write_json(path: Path | None, figures: dict[str, Any]) -> None:
    """Writes the figures with what they were measured on; does nothing without path."""
    if path is None:
        return
    about = {
        "device": jax.devices()[0].device_kind,
        "devices": jax.device_count(),
        "platform": jax.default_backend(),
        "machine": platform.platform(),
        **{name: _version(name) for name in ("jax", "flax", "numpy", "torch")},
    }
    text = json.dumps(about | figures, indent=2) + "\n"
    path.write_text(text, encoding="utf-8")


def _version(package: str) -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None
