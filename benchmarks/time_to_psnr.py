"""Draws PSNR against minutes of training, from what runs wrote.

    python benchmarks/time_to_psnr.py runs/rcbam_x2_cpu --set=Set5 -o curve.png

Also prints when each run first passed the published numbers of other networks.
"""

import argparse
import json
from pathlib import Path

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt

# Set5 x2, PSNR of luma in dB, as the papers' tables print it.
_PUBLISHED = {"bicubic": 33.66, "SRCNN": 36.66, "FSRCNN": 37.00, "VDSR": 37.53}


def _curve(workdir: Path, name: str) -> list[tuple[float, float]]:
    """Returns (minutes, PSNR) of each evaluation; a resumed run's minutes add up."""
    points, before, last = [], 0.0, 0.0
    for line in (workdir / "metrics.jsonl").read_text().splitlines():
        numbers = json.loads(line)
        if numbers["minutes"] < last:
            before += last
        last = numbers["minutes"]
        if f"{name}/psnr" in numbers:
            points.append((before + last, numbers[f"{name}/psnr"]))
    return points


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("workdirs", nargs="+", type=Path, metavar="WORKDIR")
    parser.add_argument("--set", default="Set5", help="benchmark set in the runs' log")
    parser.add_argument("-o", "--out", required=True, help="the picture to write")
    options = parser.parse_args()

    figure, axes = plt.subplots(figsize=(7, 4), layout="constrained")
    for workdir in options.workdirs:
        points = _curve(workdir, options.set)
        if not points:
            parser.error(f"{workdir}: no PSNR on {options.set} in metrics.jsonl")
        minutes, psnr = zip(*points, strict=True)
        axes.plot(minutes, psnr, marker=".", label=workdir.name)
        for method, level in _PUBLISHED.items():
            passed = next((m for m, p in points if p >= level), None)
            when = "not reached" if passed is None else f"{passed:.1f} min"
            print(f"{workdir.name}: {level} dB ({method}) {when}")
    if options.set == "Set5":
        for method, level in _PUBLISHED.items():
            axes.axhline(level, color="gray", linewidth=0.7, linestyle=":")
            axes.annotate(
                method,
                (0.01, level),
                xycoords=("axes fraction", "data"),
                fontsize=8,
                va="bottom",
            )
    axes.set(xlabel="minutes of training", ylabel=f"PSNR on {options.set}, dB")
    axes.legend(loc="lower right")
    figure.savefig(options.out, dpi=120)


if __name__ == "__main__":
    main()
