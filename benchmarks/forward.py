"""The forward pass on one picture: jaxsr beside PyTorch and onnxruntime.

    python benchmarks/forward.py [--networks rcbam_lite fsrcnn] [--sizes 128] [--json F]

The same weights and the same picture, an array that becomes an array; outputs are
compared. jaxsr runs as in `jaxsr upscale`: `Upscaler.run`. PyTorch runs channels_last,
eager and compiled for this shape, under autocast to bfloat16 on a GPU. onnxruntime
runs, on the CPU, the file that jaxsr exports, with a thread for each core. A side that
is not installed, or fails, is left out with a line; one whose output differs is an
error at the end.

The sides take turns and the medians are compared. Utilisation counts the multiply-adds
of the network's products against `--peak_tflops`, by default what a large matrix
product reaches. Networks on luma get one channel.
"""

import argparse
import functools
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from measuring import (
    compare_sides,
    compute_dtype,
    find_peak_flops,
    is_in_torch,
    is_installed,
    on_accelerator,
    take_turns,
    write_json,
)
from networks import SCALE, draw_weights, network_fields

from jaxsr.cpu import keep_freed_memory, use_every_core
from jaxsr.errors import InputError, first_line, reports_input_errors
from jaxsr.export import write as export
from jaxsr.inference import Upscaler
from jaxsr.models.complexity import count_products
from jaxsr.weights import Weights

NETWORKS = (
    "rcbam_lite",
    "rcbam",
    "fsrcnn",
    "espcn",
    "srcnn",
    "vdsr",
    "edsr_baseline",
    "amms",
)
OTHERS = ("torch eager", "torch compile", "onnxruntime")

Run = Callable[[], np.ndarray]
# Makes a side for a picture, and says by how many pixels its edge may differ.
Maker = Callable[[np.ndarray], tuple[Run, int]]


def find_makers(weights: Weights, beside: list[str], folder: Path) -> dict[str, Maker]:
    """Returns the other sides that have this network, and prints a line for others.

    Args:
        beside: which are asked for.
        folder: for what jaxsr exports.
    """
    makers: dict[str, Maker] = {}
    for kind in ("eager", "compile"):
        if f"torch {kind}" in beside and is_in_torch(weights.network):
            makers[f"torch {kind}"] = _torch_maker(weights, compiled=kind == "compile")
    if "onnxruntime" in beside and all(map(is_installed, ("onnxruntime", "jax2onnx"))):
        try:
            makers["onnxruntime"] = _onnxruntime_maker(weights, folder)
        except InputError as error:  # jax2onnx cannot convert every network
            print(f"no onnxruntime: {first_line(error)}", flush=True)
    return makers


def _torch_maker(weights: Weights, *, compiled: bool) -> Maker:
    from torch_sides import enlarging_side
    from torch_twins import create_twin

    twin = create_twin(weights)
    edge = getattr(twin, "edge", 0)
    return lambda picture: (enlarging_side(twin, picture, compiled=compiled), edge)


def _onnxruntime_maker(weights: Weights, folder: Path) -> Maker:
    from onnxruntime_side import enlarging_side

    path = folder / f"{weights.network}.onnx"
    export(weights, path)
    return lambda picture: (enlarging_side(path, picture), 0)


def find_difference(output: np.ndarray, expected: np.ndarray, edge: int) -> float:
    """Returns the largest difference, in parts of the largest value, or of 1."""
    if output.shape != expected.shape:
        return np.inf
    inner = (slice(edge, -edge or None),) * 2
    difference = np.abs(output - expected)[inner].max(initial=0)
    return float(difference) / max(1.0, float(np.abs(expected).max()))


def measure(
    weights: Weights,
    size: int,
    makers: dict[str, Maker],
    peak_flops: float,
    options: argparse.Namespace,
) -> dict[str, Any]:
    """Returns the figures of one network at one size."""
    model = weights.create(dtype=compute_dtype())
    shape = (size, size, model.channels)
    picture = np.random.default_rng(0).random(shape, np.float32)
    flops = 2 * count_products(model.apply, weights.variables, picture[None])
    row = {
        "network": weights.network,
        "fields": network_fields(weights.network),
        "size": size,
        "dtype": compute_dtype(),
        "flops": flops,
        "sides": {},
        "differences": {},
        "left_out": {},
    }

    def leave_out(side: str, reason: str) -> None:
        row["left_out"][side] = reason
        print(f"  {side}: {reason}", flush=True)

    print(f"{weights.network} x{SCALE}, {size}x{size}, {flops / 1e9:.3g} GFLOP")
    if flops / peak_flops > options.longest:
        seconds = flops / peak_flops
        leave_out("all sides", f"left out, {seconds:.0f} s or more a pass (--longest)")
        return row
    upscaler = Upscaler(model, weights.variables)
    sides: dict[str, Run] = {"jaxsr": functools.partial(upscaler.run, picture)}
    expected = sides["jaxsr"]()
    for other, make in makers.items():
        try:
            side, edge = make(picture)
            difference = find_difference(side(), expected, edge)
        # Of every kind, such as no compiler or no memory: the others are measured.
        except Exception as error:
            leave_out(other, f"left out, {first_line(error)}")
            continue
        row["differences"][other] = difference
        if difference <= options.tolerance:
            sides[other] = side
        else:  # NaN as well
            leave_out(other, f"the output differs from jaxsr's by {difference:.1e}")
    row["sides"] = compare_sides(
        take_turns(sides, seconds=options.seconds, rounds=options.rounds),
        flops=flops,
        peak_flops=peak_flops,
        images=1,
    )
    return row


def format_table(rows: list[dict[str, Any]]) -> str:
    """Returns the figures in Markdown; behind a side's time is its ratio to jaxsr's."""
    lines = [
        "| x2 | LR | jaxsr | torch eager | torch compile | onnxruntime | best of torch "
        "to jaxsr | share of the peak |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for row in rows:
        sides, size = row["sides"], row["size"]
        if not sides:
            continue
        cells = [row["network"], f"{size}x{size}", _milliseconds(sides["jaxsr"]["ms"])]
        for other in OTHERS:
            side = sides.get(other)
            cells.append(
                f"{_milliseconds(side['ms'])} ({side['ratio']:.2f})" if side else ""
            )
        torch = [sides[other]["ratio"] for other in OTHERS[:2] if other in sides]
        cells.append(f"{min(torch):.2f}" if torch else "")
        cells.append(f"{sides['jaxsr']['utilisation']:.0%}")
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def _milliseconds(ms: float) -> str:
    return f"{ms:.1f} ms" if ms < 10 else f"{ms:.0f} ms"


@reports_input_errors
def main() -> int:
    parser = argparse.ArgumentParser(description=str(__doc__).splitlines()[0])
    parser.add_argument("--networks", nargs="+", choices=NETWORKS, default=NETWORKS)
    parser.add_argument(
        "--sizes", nargs="+", type=int, default=[128, 256, 512], help="of the LR"
    )
    parser.add_argument(
        "--beside", nargs="*", choices=OTHERS, default=OTHERS, help="the other sides"
    )
    parser.add_argument("--rounds", type=int, default=5, help="turns of each side")
    parser.add_argument(
        "--seconds", type=float, default=1.5, help="of each side in a cell, or longer"
    )
    parser.add_argument(
        "--longest",
        type=float,
        default=5.0,
        help="leave out cells whose products alone take longer, in seconds at the peak",
    )
    parser.add_argument(
        "--tolerance",
        type=float,
        help="of outputs, in parts of the largest value; default 1e-4, on a GPU 0.05",
    )
    parser.add_argument("--peak_tflops", type=float, help="of the device, for its type")
    parser.add_argument("--json", type=Path, help="write the figures to this file")
    options = parser.parse_args()
    keep_freed_memory()
    use_every_core()  # as `jaxsr upscale` does, before JAX starts
    if options.tolerance is None:
        options.tolerance = 0.05 if on_accelerator() else 1e-4
    peak = find_peak_flops(options.peak_tflops)
    rows: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory() as folder:
        for name in options.networks:
            weights = draw_weights(name)
            makers = find_makers(weights, options.beside, Path(folder))
            for size in options.sizes:
                rows.append(measure(weights, size, makers, peak, options))
                write_json(options.json, {"peak_flops": peak, "rows": rows})
    print(f"\n{format_table(rows)}", flush=True)
    wrong = [
        f"{row['network']} {row['size']}x{row['size']}: {side}"
        for row in rows
        for side, difference in row["differences"].items()
        if not difference <= options.tolerance
    ]
    for line in wrong:
        print(f"error: {line}: the output differs from jaxsr's", file=sys.stderr)
    return 1 if wrong else 0


if __name__ == "__main__":
    if code := main():
        sys.exit(code)
