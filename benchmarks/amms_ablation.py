"""Trains AMMS with each of its parts alone and with all; prints the paper's Table 1.

    JAXSR_DATA_DIR=... python benchmarks/amms_ablation.py --minutes=10 --json=out.json

Each row runs the recipe of configs/amms.py for the same wall time, from the same
seed, and is scored on Set5 under protocol "rgb". What a row computes per second depends
on its parts, so rows differ in steps; that is what equal time means.

The paper's own rows are 36.32 (non-local), 36.78 (second-order), 36.54 (multi-scale)
and 37.23 dB (all), after 1,000 epochs each (1,000,000 steps). Its text says x4 and its
caption x2; the numbers fit x2. Minutes on a CPU show that all rows train, no more.
"""

import argparse
import json
import sys
import tempfile
from pathlib import Path
from typing import Any

# Run as a script, it finds what lies in the repository's root and is not installed.
sys.path.insert(0, str(Path(__file__).parents[1]))

from configs import amms
from jaxsr.training import train

_SWITCHES = ("non_local", "second_order", "multi_scale")
_ROWS = [{name: name == alone for name in _SWITCHES} for alone in _SWITCHES] + [
    dict.fromkeys(_SWITCHES, True)
]


def _run(row: dict[str, bool], options: argparse.Namespace) -> dict[str, Any]:
    """Trains one row; returns its result, see `jaxsr.scoring`, and its steps."""
    config = amms.get_config(f"x{options.scale},{options.recipe}")
    config.model.update(row)
    config.train.max_minutes = options.minutes
    config.train.eval_every = 0
    config.train.checkpoint_every = 0
    config.eval.benchmarks = "Set5"
    config.eval.protocol = "rgb"
    with tempfile.TemporaryDirectory() as workdir:
        result = train(config, workdir).numbers
    return {**result, "switches": row, "steps": result["step"]}


def _table(results: list[dict[str, Any]]) -> str:
    lines = [
        "| Non-local | Second-order | Multi-scale | PSNR | parameters | steps |",
        "|:-:|:-:|:-:|---|---|---|",
    ]
    for result in results:
        marks = " | ".join("✓" if result["switches"][s] else "×" for s in _SWITCHES)
        psnr = result["benchmarks"]["Set5"]["psnr"]
        lines.append(
            f"| {marks} | {psnr:.2f} | {result['parameters']:,} | {result['steps']:,} |"
        )
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--minutes", type=float, default=10.0, help="for each row")
    parser.add_argument("--scale", type=int, default=2, choices=(2, 3, 4))
    parser.add_argument("--recipe", default="cpu", choices=("cpu", "paper"))
    parser.add_argument("--json", metavar="FILE", help="write every number there")
    options = parser.parse_args()
    results = []
    for row in _ROWS:
        results.append(_run(row, options))
        if options.json:
            text = json.dumps(results, indent=2) + "\n"
            Path(options.json).write_text(text, encoding="utf-8")
    print(f"\nSet5 x{options.scale}, {options.minutes:g} minutes each\n")
    print(_table(results))


if __name__ == "__main__":
    main()
