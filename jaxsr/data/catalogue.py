"""Sources by name, `open_source("t91+bsd200")`: which there are and where they lie."""

import functools
import logging
import os
import re
from collections.abc import Sequence
from pathlib import Path

from jaxsr.data.lr_files import other_folders
from jaxsr.data.source import (
    FolderSource,
    SampleSource,
    SliceSource,
    Source,
    SumSource,
)
from jaxsr.errors import InputError

_log = logging.getLogger(__name__)

# Where a training set's images may lie below the data folder, best known first.
_TRAINING_SETS = {
    "t91": ("train/T91", "T91", "t91", "91-images", "train/General-91"),
    "bsd200": ("train/BSD200", "BSD200", "bsd200"),
    "bsds500_test": (
        "train/BSDS500_test",
        "BSDS500_test",
        "BSDS500/data/images/test",
        "BSR/BSDS500/data/images/test",
    ),
}
_PUBLISHED = {
    "t91": "https://github.com/twtygqyy/pytorch-vdsr (the folder of 91 images, by "
    "Yang et al., 2010)",
    "bsd200": "https://github.com/jbhuang0604/SelfExSR (with the 91 images)",
    "bsds500_test": "https://www2.eecs.berkeley.edu/Research/Projects/CS/vision/"
    "grouping/resources.html (BSDS500, images/test)",
}

# The colour photos in scikit-image's wheel. Left out: motorcycle_right (the other
# half of a stereo pair), drawings and test charts.
_SAMPLE_TRAIN = (
    "astronaut.png",
    "hubble_deep_field.jpg",
    "ihc.png",
    "motorcycle_left.png",
    "retina.jpg",
    "rocket.jpg",
)
_SAMPLE_EVAL = ("chelsea.png", "coffee.png")


# Folders of HR images, such as HR, DIV2K_train_HR and GT.
_HR_FOLDER = re.compile(r"(.*[_-])?(HR|GT)", re.IGNORECASE)

# "bsd200[10:]": a part of a source.
_PART = re.compile(r"(?P<source>.+)\[(?P<start>(-?\d+)?):(?P<stop>(-?\d+)?)\]")


def open_source(
    spec: str, *, data_dir: str | Path | None = None, scale: int | None = None
) -> Source:
    """Returns the source of that name.

    Args:
        spec: "div2k", "t91", "bsd200", "bsds500_test", "sample", "sample-eval",
            "folder:PATH", or several of them joined by "+". A folder holds images, or
            HR images in `HR` or `*_HR` with LR images beside it, see
            `jaxsr.data.lr_files`. A part of a source is "bsd200[:10]", "bsd200[10:]"
            or "bsd200[-10:]", as in Python, but never empty nor beyond the end: images
            by number, in the order of their names.
        data_dir: the folder of data sets; default: the environment's JAXSR_DATA_DIR.
        scale: what pairs will be read at, as if by `Source.at_scale`; of sets that come
            once for each scale no other one is then asked for.

    Raises:
        InputError: there is no such source, or its images are not there.
    """
    parts = split_sum(spec)
    if len(parts) > 1:
        return SumSource(
            [open_source(p, data_dir=data_dir, scale=scale) for p in parts]
        )
    if part := _PART.fullmatch(spec):
        whole = open_source(part["source"], data_dir=data_dir, scale=scale)
        bounds = part["start"] or 0, part["stop"] or len(whole)
        return SliceSource(whole, *(_from_front(int(b), whole) for b in bounds))
    if spec.startswith("folder:"):
        return open_folder(spec)
    if spec == "sample":
        return SampleSource(spec, _SAMPLE_TRAIN)
    if spec == "sample-eval":
        return SampleSource(spec, _SAMPLE_EVAL)
    if spec == "div2k":
        from jaxsr.data.div2k import Div2k  # needs tensorflow-datasets

        return Div2k(scale=scale or 2, data_dir=data_dir)
    if spec in _TRAINING_SETS:
        folder = find_folder(
            spec, _TRAINING_SETS[spec], _PUBLISHED[spec], data_dir=data_dir
        )
        return FolderSource(spec, folder)
    known = ", ".join(["div2k", *_TRAINING_SETS, "sample", "sample-eval"])
    raise InputError(
        f"unknown source {spec!r}: expected {known}, folder:PATH, a part such as "
        f"bsd200[:10], or several joined by +"
    )


def _from_front(bound: int, whole: Source) -> int:
    return bound + len(whole) if bound < 0 else bound


def open_folder(spec: str) -> FolderSource:
    """Returns the source of "folder:PATH".

    Where it has LR images of a scale, networks are scored from them.
    """
    folder = Path(spec.removeprefix("folder:")).expanduser()
    if not folder.is_dir():
        raise InputError(f"{spec}: no such folder: {folder}")
    inside = [
        child
        for child in sorted(folder.iterdir())
        if child.is_dir() and _HR_FOLDER.fullmatch(child.name)
    ]
    if len(inside) > 1:
        choices = " or ".join(f"folder:{child}" for child in inside)
        raise InputError(f"{spec} holds several HR folders: say {choices}")
    source = FolderSource(spec, inside[0] if inside else folder, own_lr_counts=True)
    if others := other_folders(source.folder):
        names = ", ".join(each.name for each in others[:3])
        more = f" and {len(others) - 3} more" if len(others) > 3 else ""
        _warn_once(f"{spec}: images of its sub-folders are passed over: {names}{more}")
    return source


@functools.cache
def _warn_once(message: str) -> None:
    """A run opens its benchmarks at each evaluation."""
    _log.warning("%s", message)


def find_folder(
    name: str,
    layouts: Sequence[str],
    published: str,
    *,
    data_dir: str | Path | None,
) -> Path:
    """Returns the first of the usual places below the data folder that exists.

    Args:
        name: the set's name, for the message.
        layouts: folders relative to the data folder, best first.
        published: where people get the set, for the message.
        data_dir: the data folder; default: the environment's JAXSR_DATA_DIR.

    Raises:
        InputError: none of them exists.
    """
    root = data_dir or os.environ.get("JAXSR_DATA_DIR")
    if not root:
        raise InputError(
            f"{name} is looked for in the data folder: give --data_dir or set "
            f"JAXSR_DATA_DIR; its images are expected in DATA_DIR/{layouts[0]}, and "
            f"are published at {published}"
        )
    for layout in layouts:
        folder = Path(root).expanduser() / layout
        if folder.is_dir():
            return folder
    raise InputError(
        f"{name} is not in {root}: expected its images in {root}/{layouts[0]} (also "
        f"looked in {', '.join(layouts[1:])}); published at {published}"
    )


def split_sum(spec: str) -> list[str]:
    """Splits "a+b", leaving alone a "+" that is part of a folder's name."""
    parts: list[str] = []
    for part in spec.split("+"):
        if parts and parts[-1].startswith("folder:") and not _starts_source(part):
            parts[-1] += "+" + part
        else:
            parts.append(part)
    return parts


def _starts_source(part: str) -> bool:
    return part.startswith("folder:") or is_source(part)


def is_source(spec: str) -> bool:
    """Returns whether a set of training images, or a part of one, has that name."""
    if part := _PART.fullmatch(spec):
        spec = part["source"]
    return spec in {"div2k", "sample", "sample-eval", *_TRAINING_SETS}
