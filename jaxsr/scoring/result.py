"""What a scoring returns, and its JSON.

A `Result` is a dictionary, in Python as in JSON:

    {"model": "rcbam", "scale": 2, "protocol": "rgb", "parameters": 1234567,
     "weights_sha256": "...", "self_ensemble": false, "tile": null, "tiled": false,
     "versions": {"jaxsr": ..., "jax": ..., "flax": ..., "numpy": ..., "python": ...},
     "hardware": {"device": ..., "devices": 1, "cpu": ..., "cores": 2,
                  "vector": "AVX-512"},
     "benchmarks": {"Set5": {"psnr": 37.9, "ssim": 0.96,
                             "images": {"baby": {"psnr": 38.5, "ssim": 0.97}, ...}}}}

Whoever runs a scoring may add keys of its own, such as `command`. The PSNR of equal
images is `inf`; JSON has no such number, so `write_result` writes the string
"Infinity", which `float()` in Python and `Number()` in JavaScript read back, as
`read_result` does.
"""

import itertools
import json
import math
import platform
import sys
from collections.abc import Iterable, Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any, Literal, NotRequired, TypedDict

import jax
import numpy as np

import jaxsr
from jaxsr.cpu import count_cores, find_vector_instructions, read_cpuinfo
from jaxsr.errors import InputError
from jaxsr.files import check_place, write_whole


class Scores(TypedDict):
    """PSNR in dB, and SSIM."""

    psnr: float
    ssim: float


class SetScores(Scores):
    """The means over the images of a set, and the images' own numbers by name.

    Attributes:
        images: by their names.
        unusual: those of a known set whose pixels are not the usual copy's, with which
            published numbers were made; absent where there are none.
        lr: where LR images came from, if they are the set's own.
    """

    images: dict[str, Scores]
    unusual: NotRequired[list[str]]
    lr: NotRequired[str]


class Result(TypedDict):
    """The numbers of one method, and how they were made.

    A TypedDict and no dataclass: runs and commands add keys of their own, and a result
    read from a file is then the same thing as one just made, without a conversion.

    `jaxsr.scoring.score_folders` knows nothing of a network: there the fields from
    `parameters` to `tiled` are None, and `hardware` too.

    Attributes:
        model: the method's name in tables.
        scale: the factor.
        protocol: see `jaxsr.protocols`.
        parameters: how many numbers the network learned.
        weights_sha256: see `jaxsr.models.variables.weights_hash`.
        self_ensemble: whether 8 flips and turns were averaged.
        tile: the side that was asked for; None: chosen for each picture.
        tiled: whether any picture was cut.
        versions: of jaxsr and what the numbers depend on.
        hardware: device, devices, cpu, cores.
        benchmarks: by the set's name.
    """

    model: str
    scale: int
    protocol: str
    parameters: int | None
    weights_sha256: str | None
    self_ensemble: bool | None
    tile: int | None
    tiled: bool | None
    versions: dict[str, str]
    hardware: dict[str, Any] | None
    benchmarks: dict[str, SetScores]


def write_result(path: str | Path, result: Mapping[str, Any]) -> None:
    """Writes a result as JSON; "-" is standard output.

    Raises:
        OSError: see `jaxsr.files.write_whole`.
    """
    text = json.dumps(_without_infinity(result), indent=2, allow_nan=False) + "\n"
    if str(path) == "-":
        sys.stdout.write(text)
        sys.stdout.flush()
    else:
        write_whole(path, text)


def check_result_place(
    path: str | Path | None, *, inputs: Iterable[str | Path] = ()
) -> None:
    """Finds, before there is a result, that `write_result` could not write it.

    Args:
        path: as `write_result` takes it; None or "" where nothing is to be written.
        inputs: files that the numbers are made from, and folders of such.

    Raises:
        InputError, OSError: see `jaxsr.files.check_place`.
    """
    if path and str(path) != "-":
        files = itertools.chain.from_iterable(
            each.iterdir() if each.is_dir() else [each] for each in map(Path, inputs)
        )
        check_place(path, inputs=files)


def read_result(path: str | Path) -> dict[str, Any]:
    """Returns what `write_result` wrote.

    Raises:
        InputError: there is no such file, or it holds no result.
    """
    try:
        result = json.loads(Path(path).read_text(encoding="utf-8"))
        for entry in result["benchmarks"].values():
            for scores in (entry, *entry["images"].values()):
                scores.update({m: float(scores[m]) for m in ("psnr", "ssim")})
    except FileNotFoundError:
        raise InputError(f"{path}: no such file") from None
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise InputError(
            f"{path}: not a result that jaxsr wrote as JSON ({error!r})"
        ) from error
    return result


def _without_infinity(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _without_infinity(item) for key, item in value.items()}
    return "Infinity" if value == math.inf else value


def set_entry(
    images: dict[str, Scores], unusual: list[str], lr: str | None = None
) -> SetScores:
    """Returns the entry of one set, see `SetScores`."""

    def mean(metric: Literal["psnr", "ssim"]) -> float:
        return math.fsum(scores[metric] for scores in images.values()) / len(images)

    entry: SetScores = {"psnr": mean("psnr"), "ssim": mean("ssim"), "images": images}
    if unusual:
        entry["unusual"] = unusual
    if lr:
        entry["lr"] = lr
    return entry


def versions() -> dict[str, str]:
    return {
        "jaxsr": jaxsr.__version__,
        "jax": version("jax"),
        "flax": version("flax"),
        "numpy": np.__version__,
        "python": platform.python_version(),
    }


def hardware() -> dict[str, Any]:
    return {
        "device": jax.local_devices()[0].device_kind,
        "devices": jax.device_count(),
        "cpu": _cpu(),
        "cores": count_cores(),
        "vector": find_vector_instructions(),
    }


def _cpu() -> str:
    """Returns the processor's name; Linux tells it in /proc alone."""
    for line in read_cpuinfo().splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()
