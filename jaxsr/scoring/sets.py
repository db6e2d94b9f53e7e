"""Benchmark sets by the names that they have in results."""

import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from jaxsr.data import Source, open_benchmark
from jaxsr.data.catalogue import split_sum
from jaxsr.data.pairs import check_sizes
from jaxsr.errors import InputError, named
from jaxsr.protocols import Protocol

# Folders named so are not the name of a set; the one above them is.
SCALE_FOLDERS = r"x\d+|\d+x|image_SRF_\d+"
HR_FOLDERS = rf"HR|GT|GTmod\d+|original|{SCALE_FOLDERS}"


def open_sets(
    benchmarks: Sequence[str | Source],
    *,
    scale: int,
    data_dir: str | Path | None,
    protocol: str = "rgb",
) -> dict[str, Source]:
    """Returns the sets by the name they have in a result, ready for this scale.

    Raises:
        InputError: there is none, or no such set; two of one name; a set that is not
            scored under the protocol.
    """
    if isinstance(benchmarks, str):
        raise TypeError(f"expected a sequence of benchmarks, got {benchmarks!r}")
    sources: dict[str, Source] = {}
    for each in benchmarks:
        source = (
            open_benchmark(each, data_dir=data_dir, scale=scale)
            if isinstance(each, str)
            else each
        )
        name = _title(source.name)
        if name in sources:
            raise InputError(f"two benchmarks are called {name!r}, expected it once")
        with named(name):
            sources[name] = source.at_scale(scale)
            _is_scored_from_own_lr(sources[name], scale, protocol)
    if not sources:
        raise InputError("no benchmark to evaluate on, expected at least one")
    return sources


def lr_image(
    source: Source, index: int, scale: int, rules: Protocol, *, channels: int = 3
) -> np.ndarray:
    """Returns the LR image that a network of so many channels starts from.

    Of a published set it is made from the HR as the protocol says, also where the set
    ships some, so that a number depends on nothing but the HR files. Somebody's folder
    that holds LR images, and sets that are about other ones than bicubic, are scored
    from their own.

    Raises:
        InputError: a set with LR images of its own, and another protocol than "rgb", or
            one that is not of the HR's size by the scale.
    """
    if not _is_scored_from_own_lr(source, scale, rules.name):
        return rules.degrade(source.hr(index), scale, channels=channels)
    lr = source.lr(index, scale)
    if lr is None:
        raise InputError(f"expected LR images at x{scale}, found none")
    hr = source.hr(index)
    check_sizes(source, index, hr, lr, scale)
    return lr[: hr.shape[0] // scale, : hr.shape[1] // scale]


def _is_scored_from_own_lr(source: Source, scale: int, protocol: str) -> bool:
    """Returns whether a source is, which no protocol but "rgb" allows.

    Raises:
        InputError: it is, under another protocol; or a part of it is and another not.
    """
    by_own = source.is_scored_from_own_lr(scale)
    if by_own and protocol != "rgb":
        raise InputError(
            f"expected protocol rgb, whose LR images are uint8, got {protocol}"
        )
    return by_own


def _title(name: str) -> str:
    """Returns what a source is called in results.

    A folder is called by its name; its whole path would break tables and files.
    """
    parts = split_sum(name)
    if len(parts) > 1:
        return "+".join(map(_title, parts))
    folder = re.fullmatch(r"folder:(.+?)((?:\[\d+:\d+\])?(?:-photo)?)", name)
    return folder_name(folder[1], HR_FOLDERS) + folder[2] if folder else name


def image_titles(source: Source) -> list[str]:
    """Returns what the images of a source are called in results, no two alike.

    Those of joined folders begin with the folder's name, "a/0001"; with its whole path
    where two folders of one name hold images of one name.
    """
    names = [source.image_name(index) for index in range(len(source))]
    parts = [name.rpartition("/") for name in names]
    titles = [f"{_title(part)}/{name}" if part else name for part, _, name in parts]
    return titles if len(set(titles)) == len(titles) else names


def folder_name(folder: str | Path, uninformative: str) -> str:
    """Returns the name of the folder, or of the first above it that says something."""
    folder = Path(folder).resolve()
    for each in (folder, *folder.parents):
        if each.name and not re.fullmatch(uninformative, each.name, re.IGNORECASE):
            return each.name
    return folder.name
