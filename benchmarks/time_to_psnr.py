"""Draws PSNR against minutes of training, from what runs wrote.

    python benchmarks/time_to_psnr.py runs/rcbam_lite_x2 -o curve.png

Also prints when each run first passed the published numbers of other networks on Set5
at its scale. Minutes are of wall time since the first step, evaluations included, over
all starts of a run.
"""

import argparse
import json
from pathlib import Path

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
from published import published_psnr

from jaxsr.training.metric_log import read_metrics

# Lines that would lie on top of each other are left out of the picture.
_DRAWN = ("bicubic", "SRCNN", "FSRCNN", "RCBAM, the paper", "EDSR")


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("workdirs", nargs="+", type=Path, metavar="WORKDIR")
    parser.add_argument("--set", default="Set5", help="benchmark set in the runs' log")
    parser.add_argument("-o", "--out", required=True, help="the picture to write")
    options = parser.parse_args()

    figure, axes = plt.subplots(figsize=(7, 4), layout="constrained")
    levels = {}
    for workdir in options.workdirs:
        key = f"{options.set}/psnr"
        measured = [m for m in read_metrics(workdir) if key in m]
        if not measured:
            parser.error(f"{workdir}: no PSNR on {options.set} in metrics.jsonl")
        minutes = [m["minutes"] for m in measured]
        psnr = [m[key] for m in measured]
        axes.plot(minutes, psnr, marker=".", label=workdir.name)
        if options.set == "Set5":
            config = json.loads((workdir / "config.json").read_text(encoding="utf-8"))
            levels = published_psnr(config["model"]["scale"])
        for method, level in sorted(levels.items(), key=lambda item: item[1]):
            passed = next((m["minutes"] for m in measured if m[key] >= level), None)
            when = "not reached" if passed is None else f"{passed:.1f} min"
            print(f"{workdir.name}: {level:.2f} dB ({method}) {when}")
        print(
            f"{workdir.name}: {max(psnr):.2f} dB at most, {minutes[-1]:.1f} min in all"
        )
    for method in set(_DRAWN) & set(levels):
        axes.axhline(levels[method], color="gray", linewidth=0.7, linestyle=":")
        axes.annotate(
            f"{method} {levels[method]:.2f}",
            (0.01, levels[method]),
            xycoords=("axes fraction", "data"),
            fontsize=8,
            va="bottom",
        )
    axes.set(xlabel="minutes of training", ylabel=f"PSNR on {options.set}, dB")
    axes.legend(loc="lower right")
    figure.savefig(options.out, dpi=120)


if __name__ == "__main__":
    main()
