"""Put a trained run into the zoo: weights file, manifest entry and model card at once.

Every figure comes from the run's own files or is measured here.
"""

import dataclasses
import json
import os
import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import flax.linen as nn
import jax
import numpy as np

from jaxsr import benchmark
from jaxsr.errors import InputError
from jaxsr.inference import Upscaler
from jaxsr.models import create
from jaxsr.training.metric_log import read_metrics
from jaxsr.training.workdir import load_run
from jaxsr.weights import save_weights
from jaxsr.weights.cards import card_name, model_card
from jaxsr.weights.zoo import Entry, read_manifest, sha256

ROOT = Path(__file__).parents[2]
"""The checkout, where the manifest and the cards lie."""

BENCHMARKS = ("Set5", "Set14", "BSD100")

MOST_PACKAGED_BYTES = 60 * 2**20
"""All files that come with jaxsr are smaller than this together."""

MOST_COST = 0.005
"""Decibels that a type of half the size may cost on any of the benchmarks."""

_PROTOCOL = "rgb"
_LICENCE = "Apache-2.0"

# Fields of modules that do not decide what is computed, only how.
_NOT_STORED = ("parent", "name", "dtype", "block_loop")

# Flags of train.py that say where things lie on one machine, not what is done.
_PLACES = ("--workdir", "--config.data.data_dir")


def publish(
    workdir: str | Path,
    *,
    precision: str = "float16",
    note: str = "",
    url: str | None = None,
    root: Path = ROOT,
    data_dir: str | Path | None = None,
    benchmarks: Sequence[str] = BENCHMARKS,
) -> Entry:
    """Writes a finished run's weights, manifest entry and card; returns the entry.

    The weights are measured as they are in the file. An entry of the same network and
    scale is replaced.

    Args:
        workdir: the folder of a run that train.py ended; its last checkpoint is taken.
        precision: type of the numbers in the file, "float16" or "float32".
        note: a sentence for the card.
        url: of a folder that the file will be fetched from; it is written into
            `workdir`, for uploading. By default it comes with jaxsr.
        root: the checkout of jaxsr.
        data_dir: where the benchmark sets are; by default $JAXSR_DATA_DIR.
        benchmarks: the sets; the first ranks networks of one scale.

    Raises:
        InputError: no run, one that has not ended, a missing set, or numbers of half
            the size cost more than 0.005 dB.
    """
    workdir, folder = Path(workdir), root / "jaxsr" / "weights"
    if not (folder / "manifest.json").is_file():
        raise InputError(
            f"{folder}: no manifest.json; publish from a checkout of jaxsr"
        )
    if precision not in ("float16", "float32"):
        raise InputError(f"precision: expected float16 or float32, got {precision!r}")
    config, model, variables, step = load_run(workdir)
    training = _training_record(workdir, config.to_dict(), step)
    network, fields = config.model.name, _fields(model)
    scale = fields["scale"]

    def measure(name: str, variables: Mapping[str, Any]) -> dict[str, dict[str, float]]:
        kept = fields if variables else {"scale": scale}
        sets = benchmark.evaluate(
            Upscaler(create(name, **kept), variables),
            benchmarks,
            scale=scale,
            protocol=_PROTOCOL,
            data_dir=data_dir,
            progress=True,
        )["benchmarks"]
        return {
            key: {"psnr": round(of["psnr"], 4), "ssim": round(of["ssim"], 6)}
            for key, of in sets.items()
        }

    with np.errstate(over="ignore"):
        stored = jax.tree.map(lambda x: np.asarray(x).astype(precision), variables)
    if not all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(stored)):
        raise InputError(f"{precision} cannot hold these weights: publish in float32")
    scores = measure(network, jax.tree.map(lambda x: x.astype("float32"), stored))
    cost = None
    if precision != "float32":
        exact = measure(network, variables)
        cost = max(exact[key]["psnr"] - scores[key]["psnr"] for key in scores)
        if not cost < MOST_COST:
            raise InputError(
                f"{precision} costs {cost:.4f} dB, expected less than {MOST_COST}: "
                "publish in float32"
            )
    file = f"{network}_x{scale}.safetensors"
    entry = {
        "network": network,
        "scale": scale,
        "fields": fields,
        "parameters": sum(leaf.size for leaf in jax.tree.leaves(variables["params"])),
        "file": file,
        "precision": precision,
        "precision_cost": None if cost is None else round(max(cost, 0.0), 4),
        "url": f"{url.rstrip('/')}/{file}" if url else None,
        "licence": _LICENCE,
        "note": note,
        "training": training,
        "protocol": _PROTOCOL,
        "benchmarks": scores,
        "bicubic": measure("bicubic", {}),
    }
    about = {k: v for k, v in entry.items() if k not in ("network", "fields", "file")}
    path = (workdir if url else folder) / file
    save_weights(path, stored, model=network, fields=fields, metadata=about)
    entry |= {"bytes": path.stat().st_size, "sha256": sha256(path)}
    _write_entry(entry, root)
    return entry


def _fields(model: nn.Module) -> dict[str, Any]:
    """Returns all fields that decide what the network is, defaults included."""
    names = [field.name for field in dataclasses.fields(model)]
    return {name: getattr(model, name) for name in names if name not in _NOT_STORED}


def _training_record(
    workdir: Path, config: Mapping[str, Any], step: int
) -> dict[str, Any]:
    """Returns how the run was trained, from what it wrote."""
    result = benchmark.read_result(workdir / "results.json")
    if result.get("step") != step:
        raise InputError(
            f"{workdir}: results.json is of step {result.get('step')}, the last "
            f"checkpoint of step {step}: let train.py end the run"
        )
    if "training_images" not in result:
        raise InputError(
            f"{workdir}/results.json: expected the command and the images of the run, "
            "which an older train.py did not write: give the same command again, which "
            "trains no further and writes them"
        )
    minutes = [m["minutes"] for m in read_metrics(workdir) if m["step"] <= step]
    return {
        "command": _without_places(result["command"]),
        "config": config["name"],
        "init_from": config["train"].get("init_from"),
        "data": config["data"]["train"],
        "images": result["training_images"],
        "patch_size": config["data"]["patch_size"],
        "batch_size": config["data"]["batch_size"],
        "loss": config["train"]["loss"],
        "seed": config["seed"],
        "steps": step,
        "minutes": round(minutes[-1], 2),
        "hardware": result["hardware"],
        "versions": result["versions"],
    }


def _without_places(command: str) -> str:
    words, kept = iter(shlex.split(command)), []
    for word in words:
        name, equals, _ = word.partition("=")
        if name not in _PLACES:
            kept.append(word)
        elif not equals:
            next(words, None)
    return shlex.join(kept)


def _write_entry(entry: Entry, root: Path) -> None:
    """Writes manifest and card, the manifest last."""
    folder = root / "jaxsr" / "weights"
    key = (entry["network"], entry["scale"])
    others = [e for e in read_manifest(folder) if (e["network"], e["scale"]) != key]
    entries = sorted([*others, entry], key=lambda e: (e["network"], e["scale"]))
    total = sum(e["bytes"] for e in entries if not e["url"])
    if total > MOST_PACKAGED_BYTES:
        raise InputError(
            f"{entry['file']}: the files that come with jaxsr would be "
            f"{total / 2**20:.0f} MiB, expected at most "
            f"{MOST_PACKAGED_BYTES // 2**20}: give a URL to fetch it from"
        )
    card = root / "docs" / "models" / card_name(entry)
    card.parent.mkdir(parents=True, exist_ok=True)
    card.write_text(model_card(entry), encoding="utf-8")
    temporary = folder / "manifest.json.tmp"
    temporary.write_text(json.dumps(entries, indent=2) + "\n", encoding="utf-8")
    os.replace(temporary, folder / "manifest.json")
