"""Trains every network for the same short time and prints its row beside bicubic.

    JAXSR_DATA_DIR=... python benchmarks/trainability.py --minutes=2 --json=out.json

A smoke test of trainability, nothing more: the time is far too short to compare
architectures, and most take part as small variants. Each runs the recipe "cpu" of its
config (T91 + BSD200, L1, Adam), x2, and is scored on Set5 under protocol "rgb".
"""

import argparse
import json
import sys
import tempfile
from importlib import import_module
from pathlib import Path

# Run as a script, it finds what lies in the repository's root and is not installed.
sys.path.insert(0, str(Path(__file__).parents[1]))

from jaxsr import models, scoring
from jaxsr.cpu import keep_freed_memory, use_every_core
from jaxsr.inference import Upscaler
from jaxsr.training import train


def _row(name: str, minutes: float) -> dict:
    config = import_module(f"configs.{name}").get_config("x2,cpu")
    config.train.max_minutes = minutes
    config.train.eval_every = 0
    config.train.checkpoint_every = 0
    config.eval.benchmarks = "Set5"
    config.eval.protocol = "rgb"
    with tempfile.TemporaryDirectory() as workdir:
        result = train(config, workdir).numbers
    full = import_module(f"configs.{name}").get_config("x2")
    variant = [
        f"{key} {value}"
        for key, value in config.model.items()
        if value != full.model.get(key)
    ]
    return {
        **result,
        "variant": ", ".join(variant) or "full",
        "steps": result["step"],
        "batch": f"{config.data.batch_size} x {config.data.patch_size}",
    }


def _table(rows: list[dict]) -> str:
    lines = [
        "| network | variant | parameters | batch x LR patch | steps | PSNR / SSIM |",
        "|---|---|---|---|---|---|",
    ]
    for row in rows:
        score = row["benchmarks"]["Set5"]
        lines.append(
            f"| {row['model']} | {row['variant']} | {row['parameters']:,} | "
            f"{row['batch']} | {row['steps']} | "
            f"{score['psnr']:.2f} / {score['ssim']:.4f} |"
        )
    return "\n".join(lines)


def main() -> None:
    names = [name for name in models.list_models() if name != "bicubic"]
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--minutes", type=float, default=2.0, help="for each network")
    parser.add_argument("--models", default=",".join(names), help="joined by commas")
    parser.add_argument("--json", metavar="FILE", help="write every number there")
    options = parser.parse_args()
    keep_freed_memory()  # as train.py does
    use_every_core(batch_size=16)
    bicubic = scoring.evaluate(
        Upscaler(models.create("bicubic", scale=2), {}), ["Set5"], scale=2
    )
    rows = [{**bicubic, "variant": "", "steps": 0, "batch": ""}]
    for name in options.models.split(","):
        rows.append(_row(name, options.minutes))
        print(_table(rows), flush=True)
        if options.json:
            Path(options.json).write_text(json.dumps(rows, indent=2) + "\n")


if __name__ == "__main__":
    main()
