"""A network over benchmark sets, shared out among devices and processes."""

import itertools
import queue
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import jax
import numpy as np
from tqdm import tqdm

from jaxsr import processes
from jaxsr.cpu import count_cores
from jaxsr.data import Source
from jaxsr.data.benchmarks import is_unusual
from jaxsr.errors import InputError, named
from jaxsr.files import is_one_of
from jaxsr.imaging import imresize, write_image
from jaxsr.in_order import map_in_order
from jaxsr.inference import Device, Upscaler
from jaxsr.models.bicubic import Bicubic
from jaxsr.models.variables import check_finite, weights_hash
from jaxsr.protocols import get_protocol, to_uint8
from jaxsr.scoring.result import Result, hardware, set_entry, versions
from jaxsr.scoring.sets import image_titles, lr_image, open_sets


def evaluate(
    upscaler: Upscaler,
    benchmarks: Sequence[str | Source],
    *,
    scale: int,
    protocol: str = "rgb",
    name: str | None = None,
    data_dir: str | Path | None = None,
    save_images: str | Path | None = None,
    devices: Sequence[Device] | None = None,
    progress: bool = False,
) -> Result:
    """Returns the result (see `jaxsr.scoring.Result`) of a network on benchmark sets.

    Every picture goes to one device whole, so that its numbers do not depend on how
    many there are. Several processes (see `jaxsr.processes`) all call this, share the
    pictures out and return the same result.

    Where LR images come from says `jaxsr.scoring.sets.lr_image`.

    Args:
        upscaler: the network with its parameters.
        benchmarks: names that `jaxsr.data.open_benchmark` knows, or opened sources.
        scale: the factor, that of the network.
        protocol: "rgb" or "classic", see `jaxsr.protocols`.
        name: of the network in the result; by default its class in lower case.
        data_dir: where the sets are; by default the environment's JAXSR_DATA_DIR.
        save_images: folder for the SR images as 8-bit PNG, `SET/X2/IMAGE.png`. They are
            what was scored: under "classic", a luma network's are luma alone, which
            `score_folders(..., luma=True)` scores.
        devices: of this process, to share the pictures among; by default all
            accelerators, or a CPU device once for each core.
        progress: show a progress bar on stderr where that is a terminal.

    Raises:
        InputError: unknown set or protocol, another scale than the network's, an image
            too small to score, a parameter or an output that is not finite, a folder
            for SR images in which they would replace the set's.
    """
    rules = get_protocol(protocol)
    if upscaler.scale != scale:
        raise InputError(f"the network enlarges x{upscaler.scale}, expected x{scale}")
    sources = open_sets(benchmarks, scale=scale, data_dir=data_dir, protocol=protocol)
    if save_images is not None:
        _check_targets(Path(save_images), sources, scale)
    check_finite(upscaler.variables)
    titles = {name: image_titles(source) for name, source in sources.items()}
    jobs = [(name, i) for name, source in sources.items() for i in range(len(source))]
    run = _on_any_device(upscaler, devices or _useful_devices(upscaler))

    def score(job: tuple[str, int]) -> dict[str, Any]:
        set_name, i = job
        image, hr = titles[set_name][i], sources[set_name].hr(i)
        with named(f"{set_name} {image}"):
            lr = lr_image(
                sources[set_name], i, scale, rules, channels=upscaler.channels
            )
            sr, tiled = super_resolve(upscaler, lr, run=run)
            scores = rules.score(sr, hr, scale, luma=sr.shape[2] < hr.shape[2])
        if save_images is not None:
            target = _sr_file(Path(save_images), set_name, scale, image)
            target.parent.mkdir(parents=True, exist_ok=True)
            write_image(target, to_uint8(sr))
        return {
            "set": set_name,
            "image": image,
            "tiled": tiled,
            "scores": scores,
            "unusual": is_unusual(set_name, hr),
        }

    done = _share_out(score, jobs, progress=progress)
    sets = {}
    for set_name, source in sources.items():
        mine = [d for d in done if d["set"] == set_name]
        sets[set_name] = set_entry(
            {d["image"]: d["scores"] for d in mine},
            unusual=[d["image"] for d in mine if d["unusual"]],
            lr=source.lr_origin(scale) if source.is_scored_from_own_lr(scale) else None,
        )
    is_bicubic = isinstance(upscaler.model, Bicubic)
    return {
        "model": name or type(upscaler.model).__name__.lower(),
        "scale": scale,
        "protocol": protocol,
        "parameters": upscaler.parameters,
        "weights_sha256": weights_hash(upscaler.variables),
        # Interpolation has neither, see `super_resolve`.
        "self_ensemble": upscaler.self_ensemble and not is_bicubic,
        "tile": None if is_bicubic else upscaler.tile,
        "tiled": any(d["tiled"] for d in done),
        "versions": versions(),
        "hardware": hardware(),
        "benchmarks": sets,
    }


def _sr_file(folder: Path, set_name: str, scale: int, image: str) -> Path:
    return folder / set_name / f"X{scale}" / f"{image}.png"


def _check_targets(folder: Path, sources: dict[str, Source], scale: int) -> None:
    """Finds that no SR image would replace an image that is read."""
    for set_name, source in sources.items():
        for i, image in enumerate(image_titles(source)):
            target = _sr_file(folder, set_name, scale, image)
            if is_one_of(target, source.image_files(i, scale)):
                raise InputError(f"{target}: the SR image would overwrite the original")


def _share_out(
    score: Callable[[tuple[str, int]], dict[str, Any]],
    jobs: Sequence[tuple[str, int]],
    *,
    progress: bool,
) -> list[dict[str, Any]]:
    """Returns what `score` returns of each job, in their order, in every process.

    Each process does its share, on threads: reading, shrinking and scoring pictures
    take the host as long as small networks take a device.

    Raises:
        InputError: of the first job that failed, in every process.
    """
    share = processes.share(jobs)
    # One more than can be enlarged at once: it is read, shrunk or scored meanwhile.
    threads = max(count_cores(), jax.local_device_count()) + 1
    mine: list[dict[str, Any]] = []
    try:
        with tqdm(
            total=len(share),
            unit="image",
            leave=False,
            disable=None if progress and processes.is_first() else True,
        ) as bar:
            for done in map_in_order(score, share, threads):
                mine.append(done)
                bar.update()
    except InputError as error:
        mine.append({"error": str(error)})
    shares = processes.gather(mine)
    for done in itertools.chain.from_iterable(shares):
        if "error" in done:
            raise InputError(done["error"])
    count = len(shares)
    return [shares[k % count][k // count] for k in range(len(jobs))]


def _useful_devices(upscaler: Upscaler) -> Sequence[Device]:
    # CPU devices are views of the same cores: one with several pictures in work at once
    # compiles each program once.
    if upscaler.devices[0].platform == "cpu":
        return upscaler.devices[:1] * count_cores()
    return jax.local_devices()


def _on_any_device(
    upscaler: Upscaler, devices: Sequence[Device]
) -> Callable[..., np.ndarray]:
    """Returns `upscaler.run`, on whichever device is free; each has one picture at a
    time."""
    free: queue.SimpleQueue[Upscaler] = queue.SimpleQueue()
    on = {d: upscaler.on(d).beside_others() for d in dict.fromkeys(devices)}
    for device in devices:
        free.put(on[device])

    def run(lr: np.ndarray, *, gray: bool) -> np.ndarray:
        chosen = free.get()
        try:
            return chosen.run(lr, gray=gray)
        finally:
            free.put(chosen)

    return run


def super_resolve(
    upscaler: Upscaler,
    lr: np.ndarray,
    *,
    run: Callable[..., np.ndarray],
) -> tuple[np.ndarray, bool]:
    """Returns the SR image, uint8 or unclipped floats, and whether it was tiled.

    Args:
        lr: see `jaxsr.scoring.sets.lr_image`.
        run: does what `upscaler.run` does.
    """
    if isinstance(upscaler.model, Bicubic):
        # The tables' bicubic row is MATLAB's imresize of the LR image itself, which on
        # uint8 rounds between its two passes: 0.005 dB less than one rounding at the
        # end gives (Set5 x2).
        return imresize(lr, upscaler.scale), False
    # Protocol "classic" starts from floats, which are luma or, as its authors had it,
    # gray that a luma network gets as it is.
    gray = lr.dtype == np.uint8
    if gray:
        lr = lr.astype(np.float32) / 255
    size = lr.shape[:2]
    return run(lr.astype(np.float32), gray=gray), upscaler.tile_shape(*size) != size
