"""Trains a network with parts left out, each row for the same steps, data and seeds.

    python benchmarks/ablation.py amms              # the second paper's Table 1
    python benchmarks/ablation.py rcbam             # the gates of CBAM
    python benchmarks/ablation.py amms --steps=3000 --seeds=0,1

Small networks (32 features, 4 modules of AMMS; rcbam_lite) by their recipes of
configs/zoo/. A row is PSNR on Set5 and on ten held-out images, the mean over
the seeds and, behind it, how far the seeds are apart: a difference between rows that is
smaller says nothing. Each run has a folder below --runs; the same command goes on with
what was stopped, and trains no further what has ended.

The second paper's rows are 36.32 (non-local), 36.78 (second-order), 36.54 (multi-scale)
and 37.23 dB (all), after 1,000 epochs each (1,000,000 steps). Its text says x4 and its
caption x2; the numbers fit x2.
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

# Run as a script, it finds what lies in the repository's root and is not installed.
sys.path.insert(0, str(Path(__file__).parents[1]))

from configs.zoo import amms, rcbam
from jaxsr.cpu import keep_freed_memory, use_every_core
from jaxsr.training import train
from jaxsr.training.metric_log import read_metrics

_RECIPES = {"amms": amms, "rcbam": rcbam}
# What a network's rows switch, and the row of each.
_SWITCHES = {
    "amms": ("non_local", "second_order", "multi_scale"),
    "rcbam": ("channel_attention", "spatial_attention"),
}
_ROWS = {
    "amms": ((True, False, False), (False, True, False), (False, False, True))
    + ((True, True, True),),
    "rcbam": ((False, False), (True, False), (False, True), (True, True)),
}
_SMALL = {
    "amms": {"features": 32, "depth": 4, "inner_features": 16, "reduction": 4},
    "rcbam": {"features": 32, "depth": 6, "pool_size": 32},
}
_SETS = ("Set5", "bsds500_test[:10]")


def config_of(network: str, row: Sequence[bool], seed: int, steps: int) -> Any:
    """Returns the config of one run."""
    config = _RECIPES[network].get_config("x2")
    config.train.steps = steps
    config.schedule.decay_steps = steps // 4
    config.model.update(_SMALL[network])
    config.model.update(dict(zip(_SWITCHES[network], row, strict=True)))
    marks = "".join("+" if part else "-" for part in row)
    config.name = f"{network}_{marks}_seed{seed}"
    config.seed = seed
    config.schedule.warmup_steps = min(200, steps // 4)
    config.train.eval_every = 0
    config.eval.benchmarks = ",".join(_SETS)
    return config


def run(config: Any, runs: Path) -> dict[str, Any]:
    """Trains in a folder of the config's name; returns the numbers at the end."""
    workdir = runs / config.name
    numbers = train(config, workdir).numbers
    if not numbers:  # a signal
        sys.exit(130)
    numbers["minutes"] = read_metrics(workdir)[-1]["minutes"]
    return numbers


def mean_psnr(runs: Sequence[dict[str, Any]], *, digits: int) -> list[str]:
    """Returns for each set the seeds' mean PSNR and, if several, how far apart."""
    cells = []
    for scores in zip(*(run["benchmarks"].values() for run in runs), strict=True):
        psnr = [score["psnr"] for score in scores]
        apart = f" ({max(psnr) - min(psnr):.{digits}f})" if len(psnr) > 1 else ""
        cells.append(f"{sum(psnr) / len(psnr):.{digits}f}{apart}")
    return cells


def _table(network: str, results: dict[tuple[bool, ...], list[dict[str, Any]]]) -> str:
    switches = _SWITCHES[network]
    lines = [
        f"| {' | '.join(s.replace('_', ' ') for s in switches)} | Set5, dB | "
        "held out, dB | parameters | minutes |",
        "|" + ":-:|" * len(switches) + "---|---|---|---|",
    ]
    for row, runs in results.items():
        marks = [" ✓ " if part else " × " for part in row]
        cells = [f" {cell} " for cell in mean_psnr(runs, digits=2)]
        minutes = sum(run["minutes"] for run in runs) / len(runs)
        cells += [f" {runs[0]['parameters']:,} ", f" {minutes:.1f} "]
        lines.append(f"|{'|'.join([*marks, *cells])}|")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("network", choices=tuple(_ROWS))
    parser.add_argument("--steps", type=int, default=3_000)
    parser.add_argument("--seeds", default="0,1", help="joined by commas")
    parser.add_argument("--runs", type=Path, default=Path("runs/ablation"))
    options = parser.parse_args()
    keep_freed_memory()  # as train.py does
    use_every_core(batch_size=16)
    results: dict[tuple[bool, ...], list[dict[str, Any]]] = {}
    for seed in map(int, options.seeds.split(",")):
        for row in _ROWS[options.network]:
            config = config_of(options.network, row, seed, options.steps)
            numbers = run(config, options.runs)
            results.setdefault(row, []).append(numbers)
            print(_table(options.network, results), flush=True)


if __name__ == "__main__":
    main()
