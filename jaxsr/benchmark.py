"""A network, or the pictures of any program, over benchmark sets: numbers and tables.

`evaluate` and `score_folders` return the same dictionary, a "result":

    {"model": "rcbam", "scale": 2, "protocol": "rgb", "parameters": 1234567,
     "weights_sha256": "...", "self_ensemble": false, "tile": null, "tiled": false,
     "versions": {"jaxsr": ..., "jax": ..., "flax": ..., "numpy": ..., "python": ...},
     "hardware": {"device": ..., "devices": 1, "cpu": ..., "cores": 2},
     "benchmarks": {"Set5": {"psnr": 37.9, "ssim": 0.96,
                             "images": {"baby": {"psnr": 38.5, "ssim": 0.97}, ...}}}}

The numbers of a set are the means over its images, PSNR in dB. `score_folders` knows
nothing of the network, so there the fields from "parameters" to "tiled" are None, and
"hardware" too. `tile` is the side that was asked for (None: chosen for each picture),
`tiled` whether any picture was cut. The PSNR of equal images is `inf`; JSON has no such
number, so `write_result` writes the string "Infinity", which `float()` in Python and
`Number()` in JavaScript read back, as `read_result` does.
"""

import contextlib
import hashlib
import itertools
import json
import math
import platform
import queue
import re
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from importlib.metadata import version
from pathlib import Path
from typing import Any

import jax
import numpy as np
from PIL import Image, ImageDraw, ImageFont
from tqdm import tqdm

import jaxsr
from jaxsr import processes
from jaxsr.cpu import count_cores
from jaxsr.data import Source, open_benchmark
from jaxsr.errors import InputError
from jaxsr.files import write_whole
from jaxsr.imaging import (
    crop_to_multiple,
    imresize,
    list_images,
    read_image8,
    write_image,
)
from jaxsr.inference import Device, Upscaler
from jaxsr.metrics import Protocol, get_protocol, to_uint8
from jaxsr.models.bicubic import Bicubic
from jaxsr.models.variables import by_name, check_finite

# The order in which the field's tables print these sets.
_COLUMNS = ("Set5", "Set14", "BSD100", "Urban100")

# Folders named so are not the name of a set; the one above them is.
_SCALE = r"x\d+|\d+x|image_SRF_\d+"
_HR_FOLDERS = rf"HR|GT|GTmod\d+|original|{_SCALE}"


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
) -> dict[str, Any]:
    """Returns the result (see the top of this module) of a network on benchmark sets.

    Every picture goes to one device whole, so that its numbers do not depend on how
    many there are. Several processes (see `jaxsr.processes`) all call this, share the
    pictures out and return the same result.

    The LR images are always made from the HR as the protocol says, also where a set
    ships some, so that a number depends on nothing but the HR files.

    Args:
        upscaler: the network with its parameters.
        benchmarks: names that `jaxsr.data.open_benchmark` knows, or opened sources.
        scale: the factor, that of the network.
        protocol: "rgb" or "classic", see `jaxsr.metrics`.
        name: of the network in the result; by default its class in lower case.
        data_dir: where the sets are; by default the environment's JAXSR_DATA_DIR.
        save_images: folder for the SR images as 8-bit PNG, `SET/X2/IMAGE.png`. They are
            what was scored: under "classic", a luma network's are luma alone, which
            `score_folders(..., luma=True)` scores.
        devices: of this process, to share the pictures among; by default all
            accelerators, or as many of the upscaler's CPU devices as there are
            cores.
        progress: show a progress bar on stderr where that is a terminal.

    Raises:
        InputError: unknown set or protocol, another scale than the network's, an image
            too small to score, a parameter or an output that is not finite.
    """
    rules = get_protocol(protocol)
    if upscaler.scale != scale:
        raise InputError(f"the network enlarges x{upscaler.scale}, expected x{scale}")
    sources = _open(benchmarks, scale=scale, data_dir=data_dir)
    check_finite(upscaler.variables)
    jobs = [(name, i) for name, source in sources.items() for i in range(len(source))]
    run = _on_any_device(upscaler, devices or _useful_devices(upscaler))

    def score(job: tuple[str, int]) -> dict[str, Any]:
        set_name, i = job
        image, hr = sources[set_name].image_name(i), sources[set_name].hr(i)
        with _named(f"{set_name} {image}"):
            sr, tiled = _super_resolve(upscaler, rules, hr, run=run)
            scores = rules.score(sr, hr, scale, luma=sr.shape[2] < hr.shape[2])
        if save_images is not None:
            target = Path(save_images) / set_name / f"X{scale}" / f"{image}.png"
            target.parent.mkdir(parents=True, exist_ok=True)
            write_image(target, to_uint8(sr))
        return {"set": set_name, "image": image, "tiled": tiled, "scores": scores}

    done = _share_out(score, jobs, progress=progress)
    sets = {
        name: _mean({d["image"]: d["scores"] for d in done if d["set"] == name})
        for name in sources
    }
    return {
        "model": name or type(upscaler.model).__name__.lower(),
        "scale": scale,
        "protocol": protocol,
        "parameters": upscaler.parameters,
        "weights_sha256": weights_hash(upscaler.variables),
        "self_ensemble": upscaler.self_ensemble,
        "tile": upscaler.tile,
        "tiled": any(d["tiled"] for d in done),
        "versions": _versions(),
        "hardware": _hardware(),
        "benchmarks": sets,
    }


def _open(
    benchmarks: Sequence[str | Source], *, scale: int, data_dir: str | Path | None
) -> dict[str, Source]:
    """Returns the sets by the name they have in a result, ready for this scale."""
    if isinstance(benchmarks, str):
        raise TypeError(f"expected a sequence of benchmarks, got {benchmarks!r}")
    sources: dict[str, Source] = {}
    for each in benchmarks:
        source = (
            open_benchmark(each, data_dir=data_dir, scale=scale)
            if isinstance(each, str)
            else each
        )
        # A folder is called by its name; its whole path would break tables and files.
        name = source.name
        if name.startswith("folder:"):
            name = _folder_name(name.removeprefix("folder:"), _HR_FOLDERS)
        if name in sources:
            raise InputError(f"two benchmarks are called {name!r}, expected it once")
        sources[name] = source.at_scale(scale)
    if not sources:
        raise InputError("no benchmark to evaluate on, expected at least one")
    return sources


def _share_out(
    score: Callable[[tuple[str, int]], dict[str, Any]],
    jobs: Sequence[tuple[str, int]],
    *,
    progress: bool,
) -> list[dict[str, Any]]:
    """Returns what `score` returns of each job, in their order, in every process.

    Each process does its share, on threads: reading, shrinking and scoring pictures
    take the host as long as small networks take an accelerator.

    Raises:
        InputError: of the first job that failed, in every process.
    """
    index, count = jax.process_index(), jax.process_count()
    share = jobs[index::count]
    threads = max(count_cores(), jax.local_device_count())
    mine: list[dict[str, Any]] = []
    try:
        with (
            ThreadPoolExecutor(threads) as pool,
            tqdm(
                total=len(share),
                unit="image",
                leave=False,
                disable=None if progress and index == 0 else True,
            ) as bar,
        ):
            for done in pool.map(score, share):
                mine.append(done)
                bar.update()
    except InputError as error:
        mine.append({"error": str(error)})
    shares = processes.gather(mine)
    for done in itertools.chain.from_iterable(shares):
        if "error" in done:
            raise InputError(done["error"])
    return [shares[k % count][k // count] for k in range(len(jobs))]


def _useful_devices(upscaler: Upscaler) -> Sequence[Device]:
    # CPU devices are views of the same cores.
    if upscaler.devices[0].platform == "cpu":
        return upscaler.devices[: count_cores()]
    return jax.local_devices()


def _on_any_device(
    upscaler: Upscaler, devices: Sequence[Device]
) -> Callable[[np.ndarray], np.ndarray]:
    """Returns `upscaler.run`, on whichever device is free; each has one picture at a
    time."""
    free: queue.SimpleQueue[Upscaler] = queue.SimpleQueue()
    for device in devices:
        free.put(upscaler.on(device))

    def run(lr: np.ndarray) -> np.ndarray:
        chosen = free.get()
        try:
            return chosen.run(lr)
        finally:
            free.put(chosen)

    return run


def _super_resolve(
    upscaler: Upscaler,
    rules: Protocol,
    hr: np.ndarray,
    *,
    run: Callable[[np.ndarray], np.ndarray],
) -> tuple[np.ndarray, bool]:
    """Returns the SR image, uint8 or unclipped floats, and whether it was tiled.

    Args:
        run: does what `upscaler.run` does.
    """
    lr = rules.degrade(hr, upscaler.scale, channels=upscaler.channels)
    if isinstance(upscaler.model, Bicubic):
        # The tables' bicubic row is MATLAB's imresize of the LR image itself, which on
        # uint8 rounds between its two passes: 0.005 dB less than one rounding at the
        # end gives (Set5 x2).
        return imresize(lr, upscaler.scale), False
    if lr.dtype == np.uint8:
        lr = lr.astype(np.float32) / 255
    size = lr.shape[:2]
    return run(lr.astype(np.float32)), upscaler.tile_shape(*size) != size


def _mean(images: dict[str, dict[str, float]]) -> dict[str, Any]:
    """Returns the entry of one set."""
    means = {
        metric: math.fsum(scores[metric] for scores in images.values()) / len(images)
        for metric in ("psnr", "ssim")
    }
    return {**means, "images": images}


@contextlib.contextmanager
def _named(what: str | Path) -> Iterator[None]:
    """Puts `what` before the message of an InputError from within."""
    try:
        yield
    except InputError as error:
        raise InputError(f"{what}: {error}") from error


def weights_hash(variables: Mapping[str, Any]) -> str | None:
    """Returns the SHA-256 of all variables, or None where a network has none.

    It covers names, types, shapes and values (little-endian), whatever the file format
    they came from, so equal hashes are equal networks' equal weights.
    """
    leaves = {name: np.asarray(leaf) for name, leaf in by_name(variables).items()}
    if not leaves:
        return None
    digest = hashlib.sha256()
    for path, leaf in sorted(leaves.items()):
        digest.update(f"{path} {leaf.dtype.name} {leaf.shape}\n".encode())
        digest.update(leaf.astype(leaf.dtype.newbyteorder("<"), copy=False).tobytes())
    return digest.hexdigest()


def _versions() -> dict[str, str]:
    return {
        "jaxsr": jaxsr.__version__,
        "jax": version("jax"),
        "flax": version("flax"),
        "numpy": np.__version__,
        "python": platform.python_version(),
    }


def _hardware() -> dict[str, Any]:
    return {
        "device": jax.local_devices()[0].device_kind,
        "devices": jax.device_count(),
        "cpu": _cpu(),
        "cores": count_cores(),
    }


def _cpu() -> str:
    """Returns the processor's name; Linux tells it in /proc alone."""
    with contextlib.suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def score_folders(
    sr_dir: str | Path,
    hr_dir: str | Path,
    *,
    scale: int,
    protocol: str = "rgb",
    name: str | None = None,
    luma: bool = False,
) -> dict[str, Any]:
    """Returns the result of SR pictures that any program made, paired by file name.

    See `pair_by_name` for the rule. The set is called as the HR folder, or as the one
    above it where that is "HR", "GT", "original" or a scale ("X2"); the method as the
    SR folder, or as the first above it that is neither a scale nor the set.

    Args:
        sr_dir: folder of upscaled pictures.
        hr_dir: folder of originals; each must have its SR picture, for a mean over a
            part of a set is not the set's number.
        scale: the factor between LR and HR.
        protocol: "rgb" or "classic", see `jaxsr.metrics`.
        name: of the method in the result.
        luma: whether one-channel SR pictures are the luma of colour ones, as the
            networks of protocol "classic" make it, and not gray pictures.

    Raises:
        InputError: a missing or empty folder, an unreadable picture, pictures that do
            not pair, sizes that do not fit, unknown protocol.
    """
    rules = get_protocol(protocol)
    if scale < 1:
        raise InputError(f"scale must be a whole number of at least 1, got {scale}")
    images = {}
    for image, sr, hr in pair_by_name(list_images(sr_dir), list_images(hr_dir), scale):
        with _named(sr):
            pictures = read_image8(sr), read_image8(hr)
            images[image] = rules.score(*pictures, scale, luma=luma)
    set_name = _folder_name(hr_dir, _HR_FOLDERS)
    return {
        "model": name or _folder_name(sr_dir, rf"{_SCALE}|{re.escape(set_name)}"),
        "scale": scale,
        "protocol": protocol,
        "parameters": None,
        "weights_sha256": None,
        "self_ensemble": None,
        "tile": None,
        "tiled": None,
        "versions": _versions(),
        "hardware": None,
        "benchmarks": {set_name: _mean(images)},
    }


def _folder_name(folder: str | Path, uninformative: str) -> str:
    """Returns the name of the folder, or of the first above it that says something."""
    folder = Path(folder).resolve()
    for each in (folder, *folder.parents):
        if each.name and not re.fullmatch(uninformative, each.name, re.IGNORECASE):
            return each.name
    return folder.name


def pair_by_name(
    sr_paths: Sequence[Path], hr_paths: Sequence[Path], scale: int
) -> list[tuple[str, Path, Path]]:
    """Returns (image name, SR path, HR path) for each HR picture, in the HR's order.

    An image's name is that of its HR file, without a final `_HR` or `_GT`. An SR file
    belongs to the image whose name it has, or begins with before a suffix: nothing but
    a scale (`x2`), or anything after `_`, `-`, `.` or a space (`_x2`, `_SR`,
    `_RCAN_x2`). Of several such images the one with the longest name is meant. A suffix
    that names another scale leaves the file out, so one folder may hold several scales.

    Raises:
        InputError: two HR files of one name; an SR file that belongs to no image, or
            two to one; an image without an SR file.
    """
    hr_by_name: dict[str, Path] = {}
    for hr in hr_paths:
        image = re.sub(r"[_-](HR|GT)$", "", hr.stem, flags=re.IGNORECASE)
        if image in hr_by_name:
            raise InputError(
                f"{hr.parent}: both {hr_by_name[image].name} and {hr.name} are the "
                f"original of {image!r}"
            )
        hr_by_name[image] = hr

    sr_by_name: dict[str, Path] = {}
    longest_first = sorted(hr_by_name, key=len, reverse=True)
    for sr in sr_paths:
        image = next((n for n in longest_first if _belongs(sr.stem, n)), None)
        if image is None:
            raise InputError(
                f"{sr}: no picture of {hr_paths[0].parent} has a name that this one "
                "begins with"
            )
        named = re.search(
            r"(?:^|[_. -])x(\d+)(?=$|[_. -])", sr.stem[len(image) :], re.I
        )
        if named and int(named[1]) != scale:
            continue
        if image in sr_by_name:
            raise InputError(
                f"{sr.parent}: both {sr_by_name[image].name} and {sr.name} could be "
                f"the x{scale} picture of {image!r}; expected one"
            )
        sr_by_name[image] = sr

    missing = [image for image in hr_by_name if image not in sr_by_name]
    if missing:
        raise InputError(
            f"{sr_paths[0].parent}: no x{scale} picture for {missing[0]!r}"
            + (f" and {len(missing) - 1} more" if len(missing) > 1 else "")
            + f", expected one for each of the {len(hr_by_name)} in "
            f"{hr_paths[0].parent}"
        )
    return [(image, sr_by_name[image], hr) for image, hr in hr_by_name.items()]


def _belongs(stem: str, image: str) -> bool:
    suffix = stem[len(image) :] if stem.startswith(image) else None
    if suffix is None:
        return False
    return re.fullmatch(r"|x\d+|[_. -].*|x\d+[_. -].*", suffix, re.I) is not None


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


def markdown_table(results: Mapping[str, Any] | Sequence[Mapping[str, Any]]) -> str:
    """Returns the field's table: a row for each result, a column for each set.

    Cells are PSNR (dB) / SSIM. A "+" after a method is self-ensemble, as the field
    writes it. Results under different protocols cannot stand in one table: each
    protocol has its own, named above it.
    """
    if isinstance(results, Mapping):
        results = [results]
    protocols = dict.fromkeys(result["protocol"] for result in results)
    return "\n\n".join(
        _one_table([r for r in results if r["protocol"] == protocol], protocol)
        for protocol in protocols
    )


def _one_table(results: Sequence[Mapping[str, Any]], protocol: str) -> str:
    present = dict.fromkeys(name for result in results for name in result["benchmarks"])
    columns = [name for name in _COLUMNS if name in present]
    columns += [name for name in present if name not in _COLUMNS]
    rows = [["Method", "Scale", *columns], ["---"] * (len(columns) + 2)]
    for result in results:
        method = result["model"] + ("+" if result["self_ensemble"] else "")
        cells = [_cell(result["benchmarks"].get(name)) for name in columns]
        rows.append([method, f"x{result['scale']}", *cells])
    description = get_protocol(protocol).description
    caption = f"PSNR (dB) / SSIM, protocol `{protocol}`: {description}."
    return "\n".join([caption, "", *(f"| {' | '.join(row)} |" for row in rows)])


def _cell(entry: Mapping[str, Any] | None) -> str:
    return f"{entry['psnr']:.2f} / {entry['ssim']:.4f}" if entry else "-"


def comparison_picture(
    upscaler: Upscaler,
    benchmark: str | Source,
    *,
    name: str | None = None,
    data_dir: str | Path | None = None,
    rows: int = 4,
    crop: int = 96,
    zoom: int = 3,
) -> np.ndarray:
    """Returns LR, bicubic, SR and HR of a crop side by side, a row an image, uint8 RGB.

    The crop is where the network gains most over bicubic in squared error of luma, or,
    if it gains nowhere, where bicubic loses most. The PSNR under the crops is that of
    the whole image, protocol "rgb".

    Args:
        upscaler: the network with its parameters.
        benchmark: a name that `jaxsr.data.open_benchmark` knows, or an opened source.
        name: of the network under its crop; by default its class in lower case.
        data_dir: where the sets are; by default the environment's JAXSR_DATA_DIR.
        rows: how many of the images are shown, from the first on.
        crop: side of the crops in HR pixels.
        zoom: side in the picture of one HR pixel.
    """
    sources = _open([benchmark], scale=upscaler.scale, data_dir=data_dir)
    ((set_name, source),) = sources.items()
    name = name or type(upscaler.model).__name__.lower()
    strips = []
    for i in range(min(rows, len(source))):
        image = source.image_name(i)
        with _named(f"{set_name} {image}"):
            crops = _comparison_crops(upscaler, source.hr(i), crop, name)
        strips.append(_labelled_row(image, crops, crop * zoom))
    return np.concatenate(strips)


def _comparison_crops(
    upscaler: Upscaler, hr: np.ndarray, crop: int, name: str
) -> list[tuple[str, np.ndarray]]:
    """Returns the labels and crops of LR, bicubic, SR and HR, uint8."""
    scale, rules = upscaler.scale, get_protocol("rgb")
    hr = crop_to_multiple(hr, scale)
    lr = rules.degrade(hr, scale)
    bicubic = imresize(lr, scale)
    sr = to_uint8(_super_resolve(upscaler, rules, hr, run=upscaler.run)[0])
    crop = min(crop, *hr.shape[:2]) // scale * scale
    top, left = _most_gained(
        rules.luma(hr), rules.luma(bicubic), rules.luma(sr), crop, scale
    )
    inside = np.s_[top : top + crop, left : left + crop]
    inside_lr = tuple(slice(s.start // scale, s.stop // scale) for s in inside)

    def label(method: str, image: np.ndarray) -> str:
        return f"{method} {rules.score(image, hr, scale)['psnr']:.2f} dB"

    return [
        (f"LR (1/{scale})", lr[inside_lr]),
        (label("bicubic", bicubic), bicubic[inside]),
        (label(name, sr), sr[inside]),
        ("HR", hr[inside]),
    ]


def _most_gained(
    hr: np.ndarray, bicubic: np.ndarray, sr: np.ndarray, crop: int, step: int
) -> tuple[int, int]:
    """Returns top and left, multiples of `step`, of the crop that gains most."""
    lost = (bicubic - hr) ** 2
    gained = _box_sums(lost - (sr - hr) ** 2, crop)[::step, ::step]
    if gained.max() <= 0:
        gained = _box_sums(lost, crop)[::step, ::step]
    top, left = np.unravel_index(np.argmax(gained), gained.shape)
    return int(top) * step, int(left) * step


def _box_sums(values: np.ndarray, side: int) -> np.ndarray:
    """Returns the sum of every square of that side, by its top left corner."""
    sums = np.pad(values, ((1, 0), (1, 0))).cumsum(0).cumsum(1)
    rows = sums[side:] - sums[:-side]
    return rows[:, side:] - rows[:, :-side]


def _labelled_row(
    image: str, crops: Sequence[tuple[str, np.ndarray]], side: int, gap: int = 6
) -> np.ndarray:
    """Returns the crops enlarged to `side`, each above its label, uint8 RGB."""
    text_height = 26
    width = len(crops) * (side + gap) + gap
    canvas = Image.new("RGB", (width, side + gap + text_height), "white")
    draw = ImageDraw.Draw(canvas)
    font = ImageFont.load_default(size=15)
    for k, (label, crop) in enumerate(crops):
        left = gap + k * (side + gap)
        panel = Image.fromarray(np.broadcast_to(crop, (*crop.shape[:2], 3)).copy())
        # Nearest neighbour shows pixels as they are.
        panel = panel.resize((side, side), Image.Resampling.NEAREST)
        canvas.paste(panel, (left, gap))
        text = f"{image}: {label}" if k == 0 else label
        draw.text((left + side / 2, side + gap + 3), text, "black", font, "ma")
    return np.asarray(canvas)
