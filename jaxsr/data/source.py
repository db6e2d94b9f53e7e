"""What yields images: HR, and LR of sets that ship some.

Images are uint8 `[H, W, C]` arrays, C = 1 (gray) or 3 (RGB). Sources read a file each
time they are asked; keeping images in memory is the pipeline's business.
"""

import abc
import importlib.resources
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from jaxsr.data.lr_files import check_apart, find_lr, looks_like_lr, lr_name
from jaxsr.errors import InputError
from jaxsr.imaging import list_images, read_image8
from jaxsr.imaging.files import image_stem

MADE_HERE = "made by the exact bicubic"
"""What `Source.lr_origin` says of a source that ships no LR images."""


def check_scale(scale: int) -> None:
    """Finds that there can be LR images of a scale.

    Raises:
        InputError: a number below 1.
    """
    if scale < 1:
        raise InputError(f"scale must be a whole number of at least 1, got {scale}")


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

    def is_scored_from_own_lr(self, scale: int) -> bool:
        """Whether networks are scored from `lr`, not from the protocol's bicubic."""
        del scale
        return False

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
        own_lr_counts: whether networks are scored from the LR images of a scale, if
            there are any: of somebody's folder, not of a published set.
    """

    def __init__(
        self,
        name: str,
        folder: Path,
        *,
        suffix: str = "",
        own_lr_counts: bool = False,
    ):
        self.name = name
        self._own_lr_counts = own_lr_counts
        self.folder = folder
        paths = [p for p in list_images(folder) if image_stem(p).endswith(suffix)]
        self._paths = {image_stem(p).removesuffix(suffix): p for p in paths}
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

    def is_scored_from_own_lr(self, scale: int) -> bool:
        return self._own_lr_counts and bool(self._lr_files(scale))

    def image_files(self, index: int, scale: int) -> list[Path]:
        name, lr_paths = self._names[index], self._lr_files(scale)
        return [self._paths[name], *([lr_paths[name]] if lr_paths else [])]

    def lr_origin(self, scale: int) -> str:
        if paths := self._lr_files(scale):
            return str(next(iter(paths.values())).parent)
        if similar := looks_like_lr(self.folder, self._paths, scale):
            return (
                f"{MADE_HERE}; {similar} could hold some by its images' names and "
                f"sizes, and is not used: call it {lr_name(self.folder)} if it does"
            )
        return MADE_HERE

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

    def is_scored_from_own_lr(self, scale: int) -> bool:
        by_own = [part.is_scored_from_own_lr(scale) for part in self._parts]
        if any(by_own) and not all(by_own):
            without = self._parts[by_own.index(False)].name
            raise InputError(
                f"{self.name}: expected LR images of x{scale} in each part or in none, "
                f"{without} has none to be scored from"
            )
        return all(by_own)

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

    def is_scored_from_own_lr(self, scale: int) -> bool:
        return self._whole.is_scored_from_own_lr(scale)

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
