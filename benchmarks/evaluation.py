"""How long a benchmark set takes: evaluate.py on every core, on one, and PyTorch.

    JAXSR_DATA_DIR=... python benchmarks/evaluation.py [--benchmark BSD100] [--json F]

Whole processes of `evaluate.py`, and the second of two calls of `jaxsr.scoring`'s
`evaluate` in a process, which compiles nothing: on every core, and with
JAX_NUM_CPU_DEVICES=1, the base of how much faster several devices are. PyTorch goes
through the same pictures in a plain loop, eager: it reads the HR image, enlarges an LR
image that is there and takes the PSNR of luma; jaxsr makes the LR images and takes SSIM
as well. The processes take turns and the shortest of each is taken: jaxsr's first one
compiles, and keeps the programs.
"""

import argparse
import json
import sys
import tempfile
from pathlib import Path
from typing import Any

import safetensors.numpy
from measuring import is_installed, write_json
from PIL import Image
from timed_process import Timed, run_timed

from jaxsr.errors import InputError, reports_input_errors
from jaxsr.loading import load_weights
from jaxsr.protocols import get_protocol
from jaxsr.scoring.sets import lr_image, open_sets

_MODEL, _SCALE = "rcbam_lite_x2", 2
_HERE = Path(__file__).parent
# dB; PyTorch's bicubic and jaxsr's see different things beyond the picture.
_TOLERANCE = 0.02


def write_pictures(benchmark: str, folder: Path) -> int:
    """Writes HR and LR images for PyTorch's loop; returns how many there are.

    Raises:
        InputError: one is gray, which is more than a plain loop knows of.
    """
    (source,) = open_sets([benchmark], scale=_SCALE, data_dir=None).values()
    rules = get_protocol("rgb")
    for kind in ("hr", "lr"):
        (folder / kind).mkdir()
    for i in range(len(source)):
        pair = {"hr": source.hr(i), "lr": lr_image(source, i, _SCALE, rules)}
        if pair["hr"].shape[2] != 3:
            raise InputError(f"{source.image_name(i)}: expected colours, got gray")
        for kind, image in pair.items():
            Image.fromarray(image).save(folder / kind / f"{i:04d}.png")
    return len(source)


def find_commands(
    benchmark: str, folder: Path
) -> dict[str, tuple[list[str | Path], dict[str, Any]]]:
    """Returns words and variables of each process, by what it does."""
    flags = [f"--model={_MODEL}", f"--benchmarks={benchmark}"]
    whole = [_HERE.parent / "evaluate.py", *flags, f"--json={folder / 'whole.json'}"]
    twice = [_HERE / "evaluation_twice.py", _MODEL, benchmark]
    kept = {"JAXSR_CACHE_DIR": folder / "kept"}
    one = kept | {"JAX_NUM_CPU_DEVICES": 1}
    commands: dict[str, tuple[list[str | Path], dict[str, Any]]] = {
        "evaluate.py": (whole, kept),
        "evaluate.py, one device": (whole, one),
        "second call": (twice, kept),
        "second call, one device": (twice, one),
    }
    if is_installed("torch"):
        from torch_twins import mirrored_state

        state = folder / "torch.safetensors"
        params = load_weights(_MODEL).variables["params"]
        safetensors.numpy.save_file(mirrored_state(params), state)
        commands["PyTorch's loop"] = (
            [_HERE / "evaluation_torch.py", state, folder],
            {},
        )
    return commands


def figures_of(name: str, timed: Timed, folder: Path) -> dict[str, float]:
    """Returns seconds of wall and processor time, and the PSNR that was measured."""
    if name.startswith("evaluate.py"):
        result = json.loads((folder / "whole.json").read_text(encoding="utf-8"))
        (scores,) = result["benchmarks"].values()
        times = {"wall": timed.wall, "processor": timed.processor}
        return times | {"psnr": scores["psnr"]}
    return json.loads(timed.out)


def format_table(sides: dict[str, dict[str, float]]) -> str:
    """Returns the figures in Markdown."""
    lines = ["| | wall, s | processor, s | PSNR, dB |", "|---|---|---|---|"]
    for name, side in sides.items():
        cells = [f"{side[key]:.2f}" for key in ("wall", "processor", "psnr")]
        lines.append(f"| {name} | {' | '.join(cells)} |")
    return "\n".join(lines)


@reports_input_errors
def main() -> None:
    parser = argparse.ArgumentParser(description=str(__doc__).splitlines()[0])
    parser.add_argument("--benchmark", default="BSD100", help="as evaluate.py's")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--json", type=Path, help="write the figures to this file")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        count = write_pictures(options.benchmark, folder)
        commands = find_commands(options.benchmark, folder)
        taken: dict[str, list[dict[str, float]]] = {side: [] for side in commands}
        for _ in range(options.rounds):
            for side, (words, variables) in commands.items():
                timed = run_timed(words, **variables)
                taken[side].append(figures_of(side, timed, folder))
    sides = {
        side: min(figures, key=lambda each: each["wall"])
        for side, figures in taken.items()
    }
    print(
        f"{options.benchmark}, {count} images, by {_MODEL}\n\n{format_table(sides)}\n"
    )
    ratios = {
        f"{kind}: every core to one device": sides[f"{kind}, one device"]["wall"]
        / sides[kind]["wall"]
        for kind in ("evaluate.py", "second call")
    }
    if "PyTorch's loop" in sides:
        ratios["PyTorch's loop to the second call"] = (
            sides["PyTorch's loop"]["wall"] / sides["second call"]["wall"]
        )
    for what, ratio in ratios.items():
        print(f"{what}: jaxsr is {ratio:.2f} x as fast")
    write_json(
        options.json,
        {"images": count, "sides": sides, "ratios": ratios, "rounds": taken},
    )
    psnr = [side["psnr"] for side in sides.values()]
    if max(psnr) - min(psnr) > _TOLERANCE:
        raise SystemExit(f"the sides' PSNR differ: {psnr}")


if __name__ == "__main__":
    if code := main():
        sys.exit(code)
