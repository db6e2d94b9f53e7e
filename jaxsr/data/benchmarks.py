"""The benchmark sets of the field, found by name in the layouts that people have."""

import dataclasses
import hashlib
import json
from pathlib import Path

import numpy as np

from jaxsr.data.catalogue import find_folder, is_source, open_source, split_sum
from jaxsr.data.photo_set import SUFFIX, PhotoSet
from jaxsr.data.source import FolderSource, Source
from jaxsr.errors import InputError

# All four sets in one archive, in the layout of EDSR-PyTorch.
_EDSR_ARCHIVE = "https://cv.snu.ac.kr/research/EDSR/benchmark.tar"


@dataclasses.dataclass(frozen=True)
class _BenchmarkSet:
    """A published set: its size, its folder's usual names, and who made it."""

    images: int
    folders: tuple[str, ...]
    published: str


_SETS = {
    "Set5": _BenchmarkSet(5, ("Set5",), "https://github.com/jbhuang0604/SelfExSR"),
    "Set14": _BenchmarkSet(14, ("Set14",), "https://github.com/jbhuang0604/SelfExSR"),
    "BSD100": _BenchmarkSet(
        100,
        ("BSD100", "B100", "BSDS100"),
        "https://www2.eecs.berkeley.edu/Research/Projects/CS/vision/bsds",
    ),
    "Urban100": _BenchmarkSet(
        100, ("Urban100",), "https://github.com/jbhuang0604/SelfExSR"
    ),
}

# `pixel_digest` of the images whose numbers the tables print, in the order of names.
_DIGESTS: dict[str, str] = json.loads(
    Path(__file__).with_name("benchmark_digests.json").read_text()
)

_BY_LOWER_CASE = {name.lower(): name for name in _SETS}

# {set} is the set's folder. Whole images come before cropped ones: the published
# tables crop to a multiple of the scale and no further.
_LAYOUTS = (
    "benchmarks/{set}/HR",
    "benchmark/{set}/HR",  # EDSR-PyTorch
    "{set}/HR",
    "{set}/original",
    # SelfExSR, HR and LR in one folder for each scale. The HR of Urban100's image_SRF_2
    # are half as large as the set: those of image_SRF_4 are right at every scale.
    "{set}/image_SRF_4",
    "{set}/GTmod12",  # BasicSR, cropped to a multiple of 12
    "{set}",
)


def unusual_images(source: Source) -> list[str] | None:
    """Returns the images of a benchmark set that are not those of the usual copy.

    The pixels are compared, whatever the files are called. None for sets of which no
    copy is known here.
    """
    if source.name not in _DIGESTS:
        return None
    return [
        source.image_name(index)
        for index in range(len(source))
        if is_unusual(source.name, source.hr(index))
    ]


def is_unusual(set_name: str, hr: np.ndarray) -> bool:
    """Returns whether an image is not one of the usual copy of a set, in any case.

    False for sets of which no copy is known here.
    """
    known = _DIGESTS.get(_usual_name(set_name) or "")
    return known is not None and pixel_digest(hr) not in known.split()


def pixel_digest(image: np.ndarray) -> str:
    """Returns 16 hexadecimal digits of the SHA-256 of an image's shape and values."""
    digest = hashlib.sha256(f"{image.dtype.name} {image.shape}".encode())
    digest.update(np.ascontiguousarray(image).tobytes())
    return digest.hexdigest()[:16]


def usual_size(set_name: str) -> int | None:
    """Returns how many images a published set has, in any case; None of other sets."""
    title = _usual_name(set_name)
    return _SETS[title].images if title else None


def is_benchmark(name: str) -> bool:
    """Returns whether a published benchmark set has that name, in any case."""
    return _usual_name(name) is not None


def _usual_name(name: str) -> str | None:
    return _BY_LOWER_CASE.get(name.lower().removesuffix(SUFFIX))


def split_benchmarks(names: str) -> list[str]:
    """Returns the names in "Set5,Set14"."""
    return [name.strip() for name in names.split(",") if name.strip()]


def open_set(
    name: str, *, data_dir: str | Path | None = None, scale: int | None = None
) -> Source:
    """Returns the benchmark set of that name, or else the source (`open_source`)."""
    opener = open_benchmark if is_benchmark(name) else open_source
    return opener(name, data_dir=data_dir, scale=scale)


def open_benchmark(
    name: str, *, data_dir: str | Path | None = None, scale: int | None = None
) -> Source:
    """Returns the benchmark set of that name.

    Args:
        name: "Set5", "Set14", "BSD100", "Urban100" in any case, "sample" (two photos
            that the source "sample" leaves out), "folder:PATH", or training images
            that a run holds out, such as "bsd200[:10]"; each also with "-photo" at its
            end, which blurs and compresses its LR images (`jaxsr.data.photo_set`).
        data_dir: the folder of data sets; default: the environment's JAXSR_DATA_DIR.
        scale: see `open_source`.

    Raises:
        InputError: there is no such set, its images are not there, or some are missing
            (a mean over part of a set must not pass for the set's).
    """
    whole = name.removesuffix(SUFFIX)
    last = Path(split_sum(name)[-1].removeprefix("folder:")).expanduser()
    is_photo = whole != name and not last.is_dir()
    if is_photo:
        return PhotoSet(open_benchmark(whole, data_dir=data_dir, scale=scale))
    if name == "sample":
        source = open_source("sample-eval")
        source.name = name
        return source
    if name.startswith("folder:") or is_source(name):
        return open_source(name, data_dir=data_dir, scale=scale)
    if not is_benchmark(name):
        raise InputError(
            f"unknown benchmark {name!r}: expected {', '.join(_SETS)}, sample, "
            "folder:PATH or training images that were held out, as bsd200[:10]; or "
            f"one of them with {SUFFIX} at its end"
        )
    title = _BY_LOWER_CASE[name.lower()]
    known = _SETS[title]
    folder = find_folder(
        title,
        [layout.format(set=folder) for layout in _LAYOUTS for folder in known.folders],
        f"{known.published}, all four sets at {_EDSR_ARCHIVE}",
        data_dir=data_dir,
    )
    suffix = "_SRF_4_HR" if folder.name == "image_SRF_4" else ""
    source = FolderSource(title, folder, suffix=suffix)
    if len(source) != known.images:
        raise InputError(
            f"{folder}: {title} has {known.images} images, found {len(source)}"
        )
    return source
