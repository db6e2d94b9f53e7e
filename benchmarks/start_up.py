"""From the start of the process to the finished file: one photo, by `jaxsr upscale`.

    python benchmarks/start_up.py [--size 512] [--json FILE]

A photo through rcbam_lite_x2, JPEG to PNG, with nothing compiled yet and with the
programs that an earlier process kept, beside the same by short programs of PyTorch
(eager) and onnxruntime. The results are compared. The processes take turns; the medians
of wall and of processor time are printed, and how much of jaxsr's are imports
(`python -X importtime`, which itself slows them).
"""

import argparse
import re
import statistics
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import safetensors.numpy
from measuring import is_installed, write_json
from PIL import Image
from timed_process import Timed, run_timed

from jaxsr.errors import reports_input_errors
from jaxsr.export import write as export
from jaxsr.loading import load_weights

_MODEL = "rcbam_lite_x2"
_COLD = "jaxsr, nothing compiled"
_HERE = Path(__file__).parent
# PyTorch's bicubic and jaxsr's see different things beyond the picture.
_EDGE = 4


def draw_photo(path: Path, size: int) -> None:
    """Writes a JPEG of smooth hills with some noise on them."""
    random = np.random.default_rng(0)
    coarse = random.integers(0, 256, (size // 16 + 1, size // 16 + 1, 3), np.uint8)
    hills = Image.fromarray(coarse).resize((size, size), Image.Resampling.BICUBIC)
    noisy = np.asarray(hills, np.float32) + random.normal(0, 4, (size, size, 3))
    Image.fromarray(noisy.clip(0, 255).astype(np.uint8)).save(path, quality=90)


def upscale(photo: Path, result: Path, cache: Path, *flags: str) -> Timed:
    """Runs `jaxsr upscale`, with its kept programs in `cache`."""
    words = ["-m", "jaxsr.cli", "upscale", photo, "--model", _MODEL, "-o", result]
    return run_timed([*flags, *words, "--overwrite"], JAXSR_CACHE_DIR=cache)


def find_sides(photo: Path, folder: Path) -> dict[str, Callable[[Path], Timed]]:
    """Returns what writes a result, by name, and prints a line for what is missing."""
    new = iter(range(10**6))
    sides: dict[str, Callable[[Path], Timed]] = {
        _COLD: lambda result: upscale(photo, result, folder / f"new{next(new)}"),
        "jaxsr": lambda result: upscale(photo, result, folder / "kept"),
    }
    weights = load_weights(_MODEL)
    if is_installed("torch"):
        from torch_twins import mirrored_state

        state, script = folder / "torch.safetensors", _HERE / "start_up_torch.py"
        safetensors.numpy.save_file(mirrored_state(weights.variables["params"]), state)
        sides["torch eager"] = lambda result: run_timed([script, state, photo, result])
    if is_installed("onnxruntime") and is_installed("jax2onnx"):
        network, program = folder / "network.onnx", _HERE / "start_up_onnxruntime.py"
        export(weights, network)
        sides["onnxruntime"] = lambda result: run_timed(
            [program, network, photo, result]
        )
    return sides


def imported_seconds(err: str) -> float:
    """Returns the sum of what `-X importtime` wrote, in seconds."""
    own = re.findall(r"^import time:\s+(\d+) \|", err, re.MULTILINE)
    return sum(map(int, own)) / 1e6


def check_results(results: dict[str, Path]) -> None:
    """Raises SystemExit unless all are the same picture, up to one level."""
    inner = slice(_EDGE, -_EDGE)
    pictures = {
        side: np.asarray(Image.open(path), np.int16)[inner, inner]
        for side, path in results.items()
    }
    expected = pictures["jaxsr"]
    for side, picture in pictures.items():
        if picture.shape != expected.shape or np.abs(picture - expected).max() > 1:
            raise SystemExit(f"{side}: the result differs from jaxsr's")


def format_table(sides: dict[str, dict[str, Any]]) -> str:
    """Returns the figures in Markdown; behind a time is its ratio to jaxsr's."""
    lines = ["| | wall, s | processor, s |", "|---|---|---|"]
    for side, figures in sides.items():
        cells = [side]
        for time in ("wall", "processor"):
            ratio = figures[time] / sides["jaxsr"][time]
            cells.append(f"{figures[time]:.2f} ({ratio:.2f})")
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


@reports_input_errors
def main() -> None:
    parser = argparse.ArgumentParser(description=str(__doc__).splitlines()[0])
    parser.add_argument("--size", type=int, default=512, help="of the photo, in pixels")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--json", type=Path, help="write the figures to this file")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        photo = folder / "photo.jpg"
        draw_photo(photo, options.size)
        sides = find_sides(photo, folder)
        results = {side: folder / f"{i}.png" for i, side in enumerate(sides)}
        for side, run in sides.items():
            if side != _COLD:  # so that files have been read, and programs are kept
                run(results[side])
        times: dict[str, list[Timed]] = {side: [] for side in sides}
        for _ in range(options.rounds):
            for side, run in sides.items():
                times[side].append(run(results[side]))
        check_results(results)
        traced = upscale(photo, results["jaxsr"], folder / "kept", "-X", "importtime")
    figures: dict[str, Any] = {
        side: {
            key: statistics.median(getattr(timed, key) for timed in taken)
            for key in ("wall", "processor")
        }
        for side, taken in times.items()
    }
    imports = imported_seconds(traced.err)
    print(f"a photo of {options.size}x{options.size} by {_MODEL}\n")
    print(format_table(figures))
    print(f"\njaxsr's imports take {imports:.2f} s of {traced.wall:.2f} s, traced")
    write_json(
        options.json,
        {"size": options.size, "sides": figures, "import_seconds": imports},
    )


if __name__ == "__main__":
    if code := main():
        sys.exit(code)
