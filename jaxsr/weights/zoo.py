"""The zoo: networks trained with jaxsr itself, by name and scale.

`jaxsr.load("rcbam_lite_x2")` finds them here.

`manifest.json` beside this file lists them. tools/publish.py writes it, the files and
the model cards; nobody edits it. An entry:

    {"network": "rcbam_lite", "scale": 2, "fields": {"scale": 2, "features": 32, ...},
     "parameters": 126340, "file": "rcbam_lite_x2.safetensors", "bytes": 263144,
     "sha256": "...", "precision": "float16", "precision_cost": 0.0004, "url": null,
     "licence": "Apache-2.0", "note": "",
     "training": {"command": "python train.py ...", "config": "...", "init_from": null,
                  "data": "t91+bsd200", "degradation": "bicubic",
                  "images": 291, "batch_size": 16,
                  "patch_size": 48, "steps": 100000, "minutes": 35.2,
                  "curve": [[500, 6.9, 37.19], ...], "curve_of": "Set5",
                  "hardware": {...}, "versions": {...}},
     "protocol": "rgb", "benchmarks": {"Set5": {"psnr": 37.1, "ssim": 0.957}, ...},
     "images": {"baby": {"psnr": 38.1, "ssim": 0.965}, ...},
     "bicubic": {"Set5": {"psnr": 33.67, "ssim": 0.93}, ...}}

`precision` is the type of the numbers in the file, `precision_cost` what it costs on
the worst of the benchmarks, in dB. `url` is null for files that come with jaxsr, else
where they are fetched from. `minutes` are of wall time, evaluations included. `curve`
is step, minutes and PSNR in dB on the set `curve_of`, on the way. A run that started
from the weights that it replaced has `before`: `command`, `init_from`, `steps`,
`minutes` and `hardware` of each run before it, the first one first.
`images` are those of the first benchmark. `bicubic` is bicubic interpolation under the
same protocol. Weights for other LR images than bicubic ones say so in their name,
`rcbam_lite_photo`; older entries have no `degradation`.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from jaxsr.errors import InputError
from jaxsr.weights.fetch import fetch

FOLDER = Path(__file__).parent

Entry = dict[str, Any]


def read_manifest(folder: Path = FOLDER) -> list[Entry]:
    """Returns the entries, by network and scale; `folder` holds `manifest.json`."""
    return json.loads((folder / "manifest.json").read_text(encoding="utf-8"))


def name_for_clean(name: str | None) -> str | None:
    """Returns the name of the same network for LR images that are only shrunk.

    What a network for photos has made is such a picture. Any other name stays.
    """
    for entry in read_manifest():
        if name == name_of(entry) and degradation_of(entry) != "bicubic":
            return entry["network"]
    return name


def degradation_of(entry: Mapping[str, Any]) -> str:
    """Returns what made the LR images of the training, "bicubic" or "photo"."""
    return entry["training"].get("degradation", "bicubic")


def name_of(entry: Mapping[str, Any]) -> str:
    """Returns the name of published weights: the network's, "rcbam_lite_photo"."""
    degradation = degradation_of(entry)
    return entry["network"] + ("" if degradation == "bicubic" else f"_{degradation}")


def full_name_of(entry: Mapping[str, Any]) -> str:
    """Returns the name with the scale, as `jaxsr.load` takes it: "vdsr_x2"."""
    return f"{name_of(entry)}_x{entry['scale']}"


def runs_of(training: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """Returns the runs of an entry's training, the first one first."""
    return [*training.get("before", ()), training]


def total_of(training: Mapping[str, Any], what: str) -> float:
    """Returns "steps" or "minutes" of all runs of an entry's training."""
    return sum(run[what] for run in runs_of(training))


def find_entry(name: str, scale: int, entries: Sequence[Entry]) -> Entry:
    """Returns the entry of that name at a scale.

    Raises:
        InputError: there is none; the message says what there is.
    """
    for entry in entries:
        if (name_of(entry), entry["scale"]) == (name, scale):
            return entry
    there = ", ".join(f"{name_of(e)} x{e['scale']}" for e in entries) or "none yet"
    raise InputError(
        f"no weights of {name} x{scale} are published; published are: {there}. Train "
        f"it and give the run's folder, or give a weights file"
    )


def best_entry(
    scale: int, entries: Sequence[Entry], degradation: str = "bicubic"
) -> Entry | None:
    """Returns the entry with the highest PSNR at a scale, if there is one.

    Args:
        degradation: of the LR images that the weights are for; the PSNR is that on Set5
            with such LR images.
    """

    def psnr(entry: Entry) -> float:
        name = "Set5" if degradation == "bicubic" else f"Set5-{degradation}"
        return entry["benchmarks"][name]["psnr"]

    fitting = [
        entry
        for entry in entries
        if (entry["scale"], degradation_of(entry)) == (scale, degradation)
    ]
    return max(fitting, key=psnr, default=None)


def weights_file(entry: Entry, folder: Path = FOLDER) -> Path:
    """Returns the entry's file, which is fetched first where jaxsr comes without it.

    Raises:
        InputError: the file is not there, cannot be fetched, or has another SHA-256
            than the manifest says.
    """
    if entry["url"]:
        return fetch(entry["url"], sha256=entry["sha256"])
    path = folder / entry["file"]
    if not path.is_file():
        raise InputError(f"{path}: missing; jaxsr is not completely installed")
    found = sha256(path)
    if found != entry["sha256"]:
        raise InputError(
            f"{path}: damaged: expected SHA-256 {entry['sha256']}, got {found}; "
            "install jaxsr again"
        )
    return path


def sha256(path: Path) -> str:
    """Returns the SHA-256 of a file in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
