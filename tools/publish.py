"""Puts a trained run into the zoo: weights file, manifest entry and model card at once.

    python tools/publish.py runs/my_run                   # into this checkout of jaxsr
    python tools/publish.py runs/my_run --folder my_zoo   # into a folder of one's own

Every figure comes from the run's own files or is measured here. `load` reads the file.
"""

import argparse
import json
import shlex
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import jax
import numpy as np

from jaxsr import scoring
from jaxsr.errors import InputError, reports_input_errors
from jaxsr.files import write_whole
from jaxsr.inference import Upscaler
from jaxsr.models import create, fields_of
from jaxsr.models.variables import count_learned
from jaxsr.training.metric_log import read_metrics
from jaxsr.training.progress import messages
from jaxsr.training.saved_run import load_run
from jaxsr.weights import Weights
from jaxsr.weights.cards import card_name, list_entries, model_card
from jaxsr.weights.zoo import (
    Entry,
    full_name_of,
    name_of,
    read_manifest,
    runs_of,
    sha256,
)

ROOT = Path(__file__).parents[1]
"""The checkout, where the manifest and the cards lie."""

BENCHMARKS = {
    "bicubic": ("Set5", "Set14", "BSD100"),
    "photo": ("Set5-photo", "Set14-photo", "BSD100-photo", "Set5", "Set14", "BSD100"),
}
"""By the LR images of the training; the first set ranks networks of one scale."""

MOST_PACKAGED_BYTES = 60 * 2**20
"""All files that come with jaxsr are smaller than this together."""

MOST_COST = 0.005
"""Decibels that a type of half the size may cost on any of the benchmarks."""

# Decibels that one picture may be below bicubic: a failure loses ten.
_MOST_LOST = 1.0

_PROTOCOL = "rgb"
_LICENCE = "Apache-2.0"

# Flags of train.py that say where things lie on one machine, not what is done.
_PLACES = ("--workdir", "--config.data.data_dir")


def publish(
    workdir: str | Path,
    *,
    precision: str = "float16",
    note: str = "",
    url: str | None = None,
    root: Path = ROOT,
    folder: Path | None = None,
    data_dir: str | Path | None = None,
    benchmarks: Sequence[str] | None = None,
    allow_worse: bool = False,
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
        folder: put file, manifest and card there, instead of into the checkout.
        data_dir: where the benchmark sets are; by default $JAXSR_DATA_DIR.
        benchmarks: the sets, by default `BENCHMARKS`.
        allow_worse: publish also what is no better than bicubic or than the entry that
            it replaces, or on one picture far below bicubic.

    Raises:
        InputError: no run, one that has not ended, a missing set, PSNR on the first set
            or on a picture lower than it should be, or numbers of half the size cost
            more than 0.005 dB.
    """
    workdir, own = Path(workdir), folder is not None
    cards = folder or root / "docs" / "models"
    folder = folder or root / "jaxsr" / "weights"
    if not own and not (folder / "manifest.json").is_file():
        raise InputError(
            f"{folder}: no manifest.json; publish from a checkout of jaxsr, or into a "
            "--folder"
        )
    if precision not in ("float16", "float32"):
        raise InputError(f"precision: expected float16 or float32, got {precision!r}")
    config, model, variables, step = load_run(workdir)
    training = _training_record(workdir, config.to_dict(), step)
    benchmarks = benchmarks or BENCHMARKS[training["degradation"]]
    # As they are read back, tuples as lists: in the file, manifest and card alike.
    network, fields = config.model.name, json.loads(json.dumps(fields_of(model)))
    scale = fields["scale"]

    def measure(name: str, variables: Mapping[str, Any]) -> Mapping[str, Any]:
        kept = fields if variables else {"scale": scale}
        return scoring.evaluate(
            Upscaler(create(name, **kept), variables),
            benchmarks,
            scale=scale,
            protocol=_PROTOCOL,
            data_dir=data_dir,
            progress=True,
        )["benchmarks"]

    with np.errstate(over="ignore"):
        stored = jax.tree.map(lambda x: np.asarray(x).astype(precision), variables)
    if not all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(stored)):
        raise InputError(f"{precision} cannot hold these weights: publish in float32")
    sets = measure(network, jax.tree.map(lambda x: x.astype("float32"), stored))
    scores, images = _rounded(sets), _rounded(next(iter(sets.values()))["images"])
    cost = None
    if precision != "float32":
        exact = measure(network, variables)
        cost = max(exact[key]["psnr"] - scores[key]["psnr"] for key in scores)
        if not cost < MOST_COST:
            raise InputError(
                f"{precision} costs {cost:.4f} dB, expected less than {MOST_COST}: "
                "publish in float32"
            )
    interpolated = measure("bicubic", {})
    bicubic = _rounded(interpolated)
    name = full_name_of({"network": network, "scale": scale, "training": training})
    replaced = [e for e in _entries(folder) if full_name_of(e) == name]
    if not allow_worse:
        _check_better(name, scores, bicubic, replaced)
        check_images(name, sets, interpolated)
    if replaced and training["init_from"] == name:
        if before := _runs_before(training, replaced[0]["training"]):
            training["before"] = before
    # A network of another package has a colon, which not every file system takes.
    file = f"{name.replace(':', '.')}.safetensors"
    entry = {
        "network": network,
        "scale": scale,
        "fields": fields,
        "parameters": count_learned(variables),
        "file": file,
        "precision": precision,
        "precision_cost": None if cost is None else round(max(cost, 0.0), 4),
        "url": f"{url.rstrip('/')}/{file}" if url else None,
        "licence": _LICENCE,
        "note": note,
        "training": training,
        "protocol": _PROTOCOL,
        "benchmarks": scores,
        "images": images,
        "bicubic": bicubic,
    }
    about = {k: v for k, v in entry.items() if k not in ("network", "fields", "file")}
    # Beside the run until it is known that it may replace what is published.
    path = workdir / file
    Weights(network, fields, stored, about).save(path)
    entry |= {"bytes": path.stat().st_size, "sha256": sha256(path)}
    if not (own or url):
        _check_total(entry, folder)
    if not url:
        write_whole(folder / file, path.read_bytes())
        path.unlink()
    _write_entry(entry, folder, cards)
    return entry


def _rounded(scores: Mapping[str, Any]) -> dict[str, dict[str, float]]:
    return {
        name: {"psnr": round(of["psnr"], 4), "ssim": round(of["ssim"], 6)}
        for name, of in scores.items()
    }


def _entries(folder: Path) -> list[Entry]:
    return read_manifest(folder) if (folder / "manifest.json").is_file() else []


def _check_better(
    name: str,
    scores: Mapping[str, Mapping[str, float]],
    bicubic: Mapping[str, Mapping[str, float]],
    replaced: Sequence[Entry],
) -> None:
    first = next(iter(scores))
    rivals = {"bicubic": bicubic} | {
        f"the published {name}": entry["benchmarks"]
        for entry in replaced
        if first in entry["benchmarks"]
    }
    for rival, their in rivals.items():
        if not scores[first]["psnr"] > their[first]["psnr"]:
            raise InputError(
                f"{name}: {scores[first]['psnr']:.3f} dB on {first}, expected more "
                f"than {their[first]['psnr']:.3f} dB, which {rival} has; publish it "
                "all the same with --allow_worse"
            )


def check_images(
    name: str, sets: Mapping[str, Any], bicubic: Mapping[str, Any]
) -> None:
    """Refuses weights that fail on a picture, which the mean of a set may hide."""
    for set_name, scores in sets.items():
        for image, own in scores["images"].items():
            least = bicubic[set_name]["images"][image]["psnr"] - _MOST_LOST
            if not own["psnr"] >= least:
                raise InputError(
                    f"{name}: {own['psnr']:.2f} dB on {set_name}'s {image}, expected "
                    f"at least {least:.2f} dB, {_MOST_LOST} below bicubic; publish it "
                    "all the same with --allow_worse"
                )


def _runs_before(
    training: Mapping[str, Any], replaced: Mapping[str, Any]
) -> list[dict[str, Any]]:
    """Returns the runs before one that started from the weights that it replaces."""
    told = ("command", "steps", "curve")
    if all(training[key] == replaced.get(key) for key in told):
        return replaced.get("before", [])  # the same run, published anew
    return _kept_of(replaced)


def _kept_of(training: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Returns what is kept of published weights from which the next run started."""
    keys = ("command", "init_from", "steps", "minutes", "hardware")
    return [{key: run[key] for key in keys} for run in runs_of(training)]


def _training_record(
    workdir: Path, config: Mapping[str, Any], step: int
) -> dict[str, Any]:
    """Returns how the run was trained, from what it wrote."""
    result = scoring.read_result(workdir / "results.json")
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
    measured = [m for m in read_metrics(workdir) if m["step"] <= step]
    curve = [
        [m["step"], round(m["minutes"], 1), round(m["psnr"], 3)]
        for m in measured
        if "psnr" in m
    ]
    return {
        "command": _without_places(result["command"]),
        "config": config["name"],
        "init_from": config["train"].get("init_from"),
        "data": config["data"]["train"],
        "degradation": config["data"]["degradation"],
        "images": result["training_images"],
        "patch_size": config["data"]["patch_size"],
        "batch_size": config["data"]["batch_size"],
        "loss": config["train"]["loss"],
        "seed": config["seed"],
        "steps": step,
        "minutes": round(measured[-1]["minutes"], 2),
        "curve": curve,
        "curve_of": config["eval"]["benchmarks"].partition(",")[0],
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


def _check_total(entry: Entry, folder: Path) -> None:
    """Refuses what would make the files that come with jaxsr too large."""
    others = [e for e in _entries(folder) if e["file"] != entry["file"]]
    total = sum(e["bytes"] for e in [*others, entry] if not e["url"])
    if total > MOST_PACKAGED_BYTES:
        raise InputError(
            f"{entry['file']}: the files that come with jaxsr would be "
            f"{total / 2**20:.0f} MiB, expected at most "
            f"{MOST_PACKAGED_BYTES // 2**20}: give a URL to fetch it from"
        )


def _write_entry(entry: Entry, folder: Path, cards: Path) -> None:
    """Writes manifest and card, the manifest last."""

    def key(entry: Entry) -> tuple[str, int]:
        return name_of(entry), entry["scale"]

    others = [e for e in _entries(folder) if key(e) != key(entry)]
    entries = sorted([*others, entry], key=key)
    write_whole(cards / card_name(entry), model_card(entry))
    write_whole(folder / "manifest.json", json.dumps(entries, indent=2) + "\n")


@reports_input_errors
def main(arguments: Sequence[str] | None = None) -> None:
    """Runs the command line `arguments`, the process's own by default."""
    parser = argparse.ArgumentParser(
        description="Measure a run's last checkpoint and publish it."
    )
    parser.add_argument("workdir", metavar="RUN", help="a folder of train.py")
    parser.add_argument(
        "--precision",
        default="float16",
        help="float16 (default; refused if it costs 0.005 dB) or float32",
    )
    parser.add_argument("--note", default="", help="a sentence for the model card")
    parser.add_argument(
        "--url", help="a folder to fetch the file from; default: it comes with jaxsr"
    )
    parser.add_argument(
        "--folder", type=Path, help="of one's own; default: this checkout"
    )
    parser.add_argument(
        "--allow_worse",
        action="store_true",
        help="also what is no better than bicubic or than what is published, or fails "
        "on a picture",
    )
    parser.add_argument("--data_dir", help="default: $JAXSR_DATA_DIR")
    options = vars(parser.parse_args(arguments))
    with messages():
        entry = publish(**options)
    print(list_entries([entry]))
    print("next: python benchmarks/paper_tables.py --pictures (docs/results.md)")


if __name__ == "__main__":
    sys.exit(main())
