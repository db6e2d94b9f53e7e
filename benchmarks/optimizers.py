"""Trains rcbam_lite x2 by other optimisers, rates and ends, at equal steps.

    python benchmarks/optimizers.py                          # every row, 800 steps each
    python benchmarks/optimizers.py --steps=3200 "muon" "scale 1" --seeds=0,1

A row changes what it says in the zoo's recipe (configs/zoo/rcbam_lite.py) and is PSNR
on ten held-out images, which nothing is trained with, and on Set5: the mean over the
seeds and, behind it, how far the seeds are apart. The rows "end: ..." share their first
three quarters, at a constant rate, and differ in the last one, whose optimiser begins
anew. Each run has a folder below --runs; the same command goes on with what was
stopped.
"""

import argparse
import sys
from pathlib import Path
from typing import Any

# Run as a script, it finds what lies in the repository's root and is not installed.
sys.path.insert(0, str(Path(__file__).parents[1]))

from benchmarks.ablation import mean_psnr, run
from configs.zoo import rcbam_lite
from jaxsr.cpu import keep_freed_memory, use_every_core

_SETS = ("bsds500_test[:10]", "Set5")
_BLOCKS = r".*conv\d+/kernel|body_end/kernel"
_ROWS: dict[str, dict[str, Any]] = {
    "muon": {},
    "adam": {"optimizer.name": "adam"},
    "scale 1": {"optimizer.muon_scale": 1.0},
    "scale 3": {"optimizer.muon_scale": 3.0},
    "rate 1.5e-3": {"schedule.learning_rate": 1.5e-3},
    "rate 6e-3": {"schedule.learning_rate": 6e-3},
    # The same updates of the blocks, smaller ones of all that is Adam's.
    "rate 1.5e-3, scale 4": {
        "schedule.learning_rate": 1.5e-3,
        "optimizer.muon_scale": 4.0,
    },
    "head too": {"optimizer.muon_layers": rf"{_BLOCKS}|head/kernel"},
    "tail too": {"optimizer.muon_layers": rf"{_BLOCKS}|tail/kernel"},
    "weight decay 0.01": {"optimizer.weight_decay": 0.01},
    "weight decay 0.1": {"optimizer.weight_decay": 0.1},
    "lion, a tenth of the rate": {
        "optimizer.name": "optax:lion",
        "schedule.learning_rate": 3e-4,
    },
    "adan": {"optimizer.name": "optax:adan"},
    "nadam": {"optimizer.name": "optax:nadam"},
    "ademamix": {"optimizer.name": "optax.contrib:ademamix"},
    "adopt": {"optimizer.name": "optax.contrib:adopt"},
    "no average": {"train.ema_decay": 0.0},
    "mse": {"train.loss": "mse"},
}
_ENDS: dict[str, dict[str, Any]] = {
    "end: the same": {},
    "end: mse": {"train.loss": "mse"},
    "end: 8 patches of 48": {"data.patch_size": 48, "data.batch_size": 8},
    "end: 32 patches, half the steps": {"data.batch_size": 32},
}


def config_of(name: str, changes: dict[str, Any], seed: int, steps: int) -> Any:
    """Returns the config of one run."""
    config = rcbam_lite.get_config("x2")
    config.train.steps = steps
    config.schedule.decay_steps = steps // 3
    config.schedule.warmup_steps = min(100, steps // 4)
    config.train.eval_every = 0
    config.eval.benchmarks = ",".join(_SETS)
    config.seed = seed
    config.update_from_flattened_dict(changes)
    letters = "".join(c if c.isalnum() or c in ".-" else "_" for c in name)
    config.name = f"{letters}_{steps}_seed{seed}"
    return config


def _row(name: str, seed: int, steps: int, runs: Path) -> dict[str, Any]:
    if name in _ROWS:
        return run(config_of(name, _ROWS[name], seed, steps), runs)
    start = config_of("begin", {"schedule.decay_steps": 0}, seed, 3 * steps // 4)
    run(start, runs)
    last = steps // 8 if "half the steps" in name else steps // 4
    changes = {
        "train.init_from": str(runs / start.name),
        "schedule.warmup_steps": last // 10,
        "schedule.decay_steps": last - last // 10,
    }
    return run(config_of(name, _ENDS[name] | changes, seed, last), runs)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    names = (*_ROWS, *_ENDS)
    parser.add_argument("rows", nargs="*", metavar="ROW", help=", ".join(names))
    parser.add_argument("--steps", type=int, default=800)
    parser.add_argument("--seeds", default="0", help="joined by commas")
    parser.add_argument("--runs", type=Path, default=Path("runs/optimizers"))
    options = parser.parse_args()
    if unknown := [name for name in options.rows if name not in names]:
        parser.error(f"{unknown[0]}: expected one of {', '.join(names)}")
    keep_freed_memory()  # as train.py does
    use_every_core(batch_size=16)
    lines = ["| | held out, dB | Set5, dB | minutes |", "|---|---|---|---|"]
    for name in options.rows or names:
        found = [
            _row(name, int(seed), options.steps, options.runs)
            for seed in options.seeds.split(",")
        ]
        cells = mean_psnr(found, digits=3)
        minutes = sum(numbers["minutes"] for numbers in found) / len(found)
        lines.append(f"| {name} | {' | '.join(cells)} | {minutes:.1f} |")
        print("\n".join(lines), flush=True)


if __name__ == "__main__":
    main()
