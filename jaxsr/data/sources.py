"""Where images come from: sources yield HR images, and LR images that sets ship.

A source is named by a short string, `open_source("t91+bsd200")`. Images are uint8
`[H, W, C]` arrays, C = 1 (gray) or 3 (RGB). Sources read a file each time they are
asked; keeping images in memory is the pipeline's business.
"""

import abc
import importlib.resources
import os
import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from jaxsr.data.lr_files import check_apart, find_lr
from jaxsr.errors import InputError
from jaxsr.imaging import list_images, read_image8

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
_PART = re.compile(r"(?P<source>.+)\[(?P<start>\d*):(?P<stop>\d*)\]")


MADE_HERE = "made by the exact bicubic"
"""What `Source.lr_origin` says of a source that ships no LR images."""


class Source(abc.ABC):
    """A numbered set of HR images, some with LR images beside them."""

    name: str

    @abc.abstractmethod
    def __len__(self) -> int: ...

    @abc.abstractmethod
    def image_name(self, index: int) -> str:
        """Returns the name of image `index` in tables and messages."""

    @abc.abstractmethod
    def hr(self, index: int) -> np.ndarray:
        """Returns HR image `index`, uint8 [H, W, 1 or 3]."""

    def lr(self, index: int, scale: int) -> np.ndarray | None:
        """Returns the shipped LR of image `index`, uint8, or None if there is none."""
        del index, scale
        return None

    def image_files(self, index: int, scale: int) -> list[Path]:
        """Returns the files that image `index` is read from, none if it is no file."""
        del index, scale
        return []

    def lr_origin(self, scale: int) -> str:
        """Returns in a few words where LR images of this scale come from."""
        del scale
        return MADE_HERE

    def at_scale(self, scale: int) -> "Source":
        """Returns the source to read pairs of this scale from.

        Some sets are published once for each scale, HR images included, in an order or
        with a crop of their own. Whoever knows the scale calls this before reading.
        """
        del scale
        return self


class FolderSource(Source):
    """Image files of one folder, with the LR files that lie beside it, if any.

    Args:
        name: what the source is called in messages and results.
        folder: the folder of HR images.
        suffix: the part of the file stems that is not the image's name. Only files
            that have it belong to the set.
    """

    def __init__(self, name: str, folder: Path, *, suffix: str = ""):
        self.name = name
        self.folder = folder
        paths = [p for p in list_images(folder) if p.stem.endswith(suffix)]
        self._paths = {p.stem.removesuffix(suffix): p for p in paths}
        self._names = list(self._paths)
        check_apart(paths)
        if not paths:
            raise InputError(f"{folder}: no image named *{suffix}")
        if len(self._names) < len(paths):
            twice = next(p for p in paths if p not in self._paths.values())
            raise InputError(f"{twice}: another image of {folder} has the same name")
        self._lr_paths: dict[int, dict[str, Path]] = {}

    def __len__(self) -> int:
        return len(self._names)

    def image_name(self, index: int) -> str:
        return self._names[index]

    def hr(self, index: int) -> np.ndarray:
        return read_image8(self._paths[self._names[index]])

    def lr(self, index: int, scale: int) -> np.ndarray | None:
        paths = self._lr_files(scale)
        return read_image8(paths[self._names[index]]) if paths else None

    def image_files(self, index: int, scale: int) -> list[Path]:
        name, lr_paths = self._names[index], self._lr_files(scale)
        return [self._paths[name], *([lr_paths[name]] if lr_paths else [])]

    def lr_origin(self, scale: int) -> str:
        paths = self._lr_files(scale)
        return str(next(iter(paths.values())).parent) if paths else MADE_HERE

    def _lr_files(self, scale: int) -> dict[str, Path]:
        if scale not in self._lr_paths:
            self._lr_paths[scale] = find_lr(self.folder, self._paths, scale)
        return self._lr_paths[scale]


class SumSource(Source):
    """Several sources one after the other."""

    def __init__(self, parts: Sequence[Source]):
        self._parts = parts
        self.name = "+".join(part.name for part in parts)

    def __len__(self) -> int:
        return sum(map(len, self._parts))

    def _locate(self, index: int) -> tuple[Source, int]:
        for part in self._parts:
            if index < len(part):
                return part, index
            index -= len(part)
        raise IndexError(f"{self.name} has {len(self)} images")

    def image_name(self, index: int) -> str:
        part, index = self._locate(index)
        return f"{part.name}/{part.image_name(index)}"

    def hr(self, index: int) -> np.ndarray:
        part, index = self._locate(index)
        return part.hr(index)

    def lr(self, index: int, scale: int) -> np.ndarray | None:
        part, index = self._locate(index)
        return part.lr(index, scale)

    def image_files(self, index: int, scale: int) -> list[Path]:
        part, index = self._locate(index)
        return part.image_files(index, scale)

    def lr_origin(self, scale: int) -> str:
        return ", ".join(dict.fromkeys(part.lr_origin(scale) for part in self._parts))

    def at_scale(self, scale: int) -> Source:
        parts = [part.at_scale(scale) for part in self._parts]
        unchanged = all(a is b for a, b in zip(parts, self._parts, strict=True))
        return self if unchanged else SumSource(parts)


class SliceSource(Source):
    """The images `start`, ..., `stop - 1` of a source."""

    def __init__(self, whole: Source, start: int, stop: int):
        self._whole, self._start, self._stop = whole, start, stop
        self.name = f"{whole.name}[{start}:{stop}]"
        if not 0 <= start < stop <= len(whole):
            raise InputError(
                f"{self.name}: expected a part of the {len(whole)} images of "
                f"{whole.name}, numbered from 0"
            )

    def __len__(self) -> int:
        return self._stop - self._start

    def image_name(self, index: int) -> str:
        return self._whole.image_name(self._start + index)

    def hr(self, index: int) -> np.ndarray:
        return self._whole.hr(self._start + index)

    def lr(self, index: int, scale: int) -> np.ndarray | None:
        return self._whole.lr(self._start + index, scale)

    def image_files(self, index: int, scale: int) -> list[Path]:
        return self._whole.image_files(self._start + index, scale)

    def lr_origin(self, scale: int) -> str:
        return self._whole.lr_origin(scale)

    def at_scale(self, scale: int) -> Source:
        whole = self._whole.at_scale(scale)
        if whole is self._whole:
            return self
        return SliceSource(whole, self._start, self._stop)


class SampleSource(Source):
    """Photos that come inside scikit-image's wheel; nothing is downloaded."""

    def __init__(self, name: str, files: Sequence[str]):
        self.name = name
        try:
            folder = importlib.resources.files("skimage")
        except ModuleNotFoundError as error:
            raise InputError(
                f"source {name!r} needs the photos that come with scikit-image: "
                f"python -m pip install scikit-image"
            ) from error
        self._files = [folder / "data" / file for file in files]
        missing = [file.name for file in self._files if not file.is_file()]
        if missing:
            raise InputError(
                f"source {name!r}: this release of scikit-image comes without "
                f"{', '.join(missing)}"
            )

    def __len__(self) -> int:
        return len(self._files)

    def image_name(self, index: int) -> str:
        return Path(self._files[index].name).stem

    def hr(self, index: int) -> np.ndarray:
        with importlib.resources.as_file(self._files[index]) as path:
            return read_image8(path)


def open_source(
    spec: str, *, data_dir: str | Path | None = None, scale: int | None = None
) -> Source:
    """Returns the source of that name.

    Args:
        spec: "div2k", "t91", "bsd200", "bsds500_test", "sample", "sample-eval",
            "folder:PATH", or several of them joined by "+". A folder holds images, or
            HR images in `HR` or `*_HR` with LR images beside it, see
            `jaxsr.data.lr_files`. A part of a source is "bsd200[:10]" or "bsd200[10:]",
            as in Python: images by number, in the order of their names.
        data_dir: the folder of data sets; default: the environment's JAXSR_DATA_DIR.
        scale: what pairs will be read at, as if by `Source.at_scale`; of sets that come
            once for each scale no other one is then asked for.

    Raises:
        InputError: there is no such source, or its images are not there.
    """
    parts = _split_sum(spec)
    if len(parts) > 1:
        return SumSource(
            [open_source(p, data_dir=data_dir, scale=scale) for p in parts]
        )
    if part := _PART.fullmatch(spec):
        whole = open_source(part["source"], data_dir=data_dir, scale=scale)
        return SliceSource(
            whole, int(part["start"] or 0), int(part["stop"] or len(whole))
        )
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


def open_folder(spec: str) -> FolderSource:
    """Returns the source of "folder:PATH"."""
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
    return FolderSource(spec, inside[0] if inside else folder)


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


def _split_sum(spec: str) -> list[str]:
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
