"""Pictures of files and folders, one after another: which ones, and where to."""

import dataclasses
import errno
import os
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Protocol

import numpy as np

from jaxsr.errors import InputError, is_out_of_memory
from jaxsr.imaging import check_writable, read_picture, write_image
from jaxsr.imaging.files import MAX_MEGAPIXELS, SUFFIXES

# These go wrong for every picture that follows.
_ENDS_THE_RUN = (errno.ENOSPC, errno.EDQUOT, errno.EROFS)


class Enlarger(Protocol):
    """What `upscale_files` calls, such as an `Upscaler`."""

    def output_shape(self, height: int, width: int) -> tuple[int, int]: ...

    def __call__(
        self, picture: np.ndarray, *, progress: Callable[[int, int], object] | None
    ) -> np.ndarray: ...


@dataclasses.dataclass
class Plan:
    """What is to be done.

    Attributes:
        pairs: pictures to read, each with the file to write.
        passed_over: what of the folders is left alone, a line each.
        unreadable: folders that could not be looked into, a line each.
    """

    pairs: list[tuple[Path, Path]] = dataclasses.field(default_factory=list)
    passed_over: list[str] = dataclasses.field(default_factory=list)
    unreadable: list[str] = dataclasses.field(default_factory=list)


def plan_files(
    inputs: Iterable[str | Path],
    out: str | Path,
    *,
    recursive: bool = False,
    suffix: str | None = None,
    overwrite: bool = False,
    skip_existing: bool = False,
) -> Plan:
    """Returns which pictures of files and folders to read, and what to write for each.

    `out` is a file name if there is one input, a file, and `out` has a suffix, does not
    end in a slash and is no folder; else it is a folder, in which pictures keep their
    names, and their places below the folders that were given.

    Args:
        inputs: files and folders.
        out: a folder or a file name.
        recursive: take the pictures of sub-folders as well.
        suffix: of all results, such as ".png"; by default each picture's own.
        overwrite: results that exist are replaced.
        skip_existing: pictures whose results exist are passed over.

    Raises:
        InputError: an input that does not exist or a folder without pictures; two
            inputs with one output; an output that is an input, or that exists while
            neither `overwrite` nor `skip_existing` is set; a file name with a suffix
            that is no picture's.
    """
    inputs, is_folder = [Path(path) for path in inputs], _names_folder(out)
    out, plan = Path(out), Plan()
    sources: list[tuple[Path, Path]] = []  # with the name below the folder for results
    for path in inputs:
        if not os.path.lexists(path):
            raise InputError(f"{path}: no such file or folder")
        if path.is_dir():
            found = list(_Search(path, out, recursive, plan).pictures())
            if not found and not plan.unreadable:
                deeper = "" if recursive else "; --recursive looks into sub-folders"
                raise InputError(
                    f"{path}: expected images ({', '.join(SUFFIXES)}), got none{deeper}"
                )
            sources += found
        else:
            sources.append((path, Path(path.name)))
    if len(inputs) == 1 and not inputs[0].is_dir() and out.suffix and not is_folder:
        _check_suffix(out, suffix)
        pairs = [(sources[0][0], out)]
    elif (file := _file_on_the_way_to(out)) is not None:
        raise InputError(f"{out}: expected a folder for the results, {file} is a file")
    else:
        pairs = [
            (source, out / (name.with_suffix(suffix) if suffix else name))
            for source, name in sources
        ]
    plan.pairs = pairs
    _check_targets(plan, overwrite=overwrite, skip_existing=skip_existing)
    return plan


def upscale_files(
    upscaler: Enlarger,
    pairs: Iterable[tuple[Path, Path]],
    *,
    strip: bool = False,
    quality: int | None = None,
    max_megapixels: float = MAX_MEGAPIXELS,
    progress: Callable[[int, int], object] | None = None,
) -> Iterator[tuple[Path, InputError | None]]:
    """Enlarges file by file; yields each one read, with what was wrong with it if so.

    Folders are made as needed. A picture that cannot be read or enlarged, or whose
    result cannot be written, is left out, before it is enlarged wherever that can be
    known; a full disk ends the run.

    Args:
        upscaler: enlarges a picture.
        pairs: pictures to read, each with the file to write.
        strip: do not hand on colour profile, EXIF and resolution.
        quality: see `write_image`.
        max_megapixels: millions of pixels that a picture may have.
        progress: told of each picture how many of its tiles are done, and of how many.
    """
    for source, target in pairs:
        try:
            image, metadata = read_picture(source, max_megapixels=max_megapixels)
            check_writable(target, _shape(upscaler, image), image.dtype)
            sr = enlarge(upscaler, image, source, progress)
            write_image(target, sr, None if strip else metadata, quality=quality)
        except InputError as error:
            yield source, error
        except OSError as error:
            if error.errno in _ENDS_THE_RUN:
                raise
            yield source, InputError(f"{target}: {error.strerror or error}")
        else:
            yield source, None


def preview_files(
    upscaler: Enlarger,
    pairs: Iterable[tuple[Path, Path]],
    *,
    max_megapixels: float = MAX_MEGAPIXELS,
) -> Iterator[tuple[str, InputError | None]]:
    """Yields what `upscale_files` would do with each picture, or what is wrong with it.

    Pictures are read; nothing is computed or written.
    """
    for source, target in pairs:
        try:
            image, _ = read_picture(source, max_megapixels=max_megapixels)
            enlarged = _shape(upscaler, image)
            check_writable(target, enlarged, image.dtype)
        except InputError as error:
            yield "", error
        else:
            (height, width), (rows, columns) = image.shape[:2], enlarged[:2]
            yield f"{source} ({width}x{height}) -> {target} ({columns}x{rows})", None


def _shape(upscaler: Enlarger, image: np.ndarray) -> tuple[int, ...]:
    return *upscaler.output_shape(*image.shape[:2]), image.shape[-1]


def enlarge(
    upscaler: Enlarger,
    image: np.ndarray,
    source: str | Path,
    progress: Callable[[int, int], object] | None,
) -> np.ndarray:
    """Returns the picture enlarged; errors name where it comes from.

    Raises:
        InputError: the upscaler's, and that there is not enough memory.
    """
    try:
        return upscaler(image, progress=progress)
    except InputError as error:
        raise InputError(f"{source}: {error}") from error
    except (MemoryError, RuntimeError) as error:
        if not is_out_of_memory(error):
            raise
        height, width = image.shape[:2]
        raise InputError(
            f"{source}: not enough memory to enlarge {width}x{height} pixels: pass a "
            "smaller --tile"
        ) from error


class _Search:
    """The pictures below one folder; what is passed over goes into the plan."""

    def __init__(self, top: Path, out: Path, recursive: bool, plan: Plan):
        self.top, self.recursive, self.plan = top, recursive, plan
        self.out = os.path.realpath(out)
        self.seen: set[str] = set()

    def pictures(self, folder: Path | None = None) -> Iterator[tuple[Path, Path]]:
        """Yields pictures with their names below the top folder."""
        folder = self.top if folder is None else folder
        self.seen.add(os.path.realpath(folder))
        try:
            entries = sorted(folder.iterdir())
        except OSError as error:
            self.plan.unreadable.append(
                f"{folder}: cannot be looked into: {error.strerror}"
            )
            return
        folders, others = [], 0
        for path in entries:
            if path.is_dir():
                folders.append(path)
            elif path.name.startswith(".") or path.suffix.lower() not in SUFFIXES:
                others += 1
            elif not path.is_file():
                self._pass_over(f"{path}: a link to nothing, or no file")
            else:
                yield path, path.relative_to(self.top)
        if others:
            what = "file is no image" if others == 1 else "files are no images"
            self._pass_over(f"{folder}: {others} {what}")
        yield from self._below(folder, folders)

    def _below(self, folder: Path, folders: list[Path]) -> Iterator[tuple[Path, Path]]:
        if not self.recursive:
            if folders:
                what = "sub-folder" if len(folders) == 1 else "sub-folders"
                self._pass_over(
                    f"{folder}: {len(folders)} {what} (--recursive looks into them)"
                )
            return
        # A link to a folder that also stands here itself comes second.
        for path in sorted(folders, key=lambda p: (p.is_symlink(), p)):
            real = os.path.realpath(path)
            if real in self.seen:
                self._pass_over(f"{path}: a link to a folder that is read already")
            elif real == self.out:
                self._pass_over(f"{path}: the folder for the results")
            else:
                yield from self.pictures(path)

    def _pass_over(self, line: str) -> None:
        self.plan.passed_over.append(line)


def _names_folder(out: str | Path) -> bool:
    """Returns whether a path is a folder's, whatever the dots in its name."""
    separators = tuple(filter(None, (os.sep, os.altsep)))
    return str(out).endswith(separators) or Path(out).is_dir()


def _file_on_the_way_to(folder: Path) -> Path | None:
    """Returns the file that keeps a folder from being made, if one does."""
    found = next(filter(os.path.lexists, (folder, *folder.parents)), None)
    return None if found is None or found.is_dir() else found


def _check_suffix(out: Path, suffix: str | None) -> None:
    if out.suffix.lower() not in SUFFIXES:
        raise InputError(
            f"{out}: expected a suffix among {', '.join(SUFFIXES)}, or a / after the "
            "name of a folder"
        )
    if suffix and out.suffix.lower() != suffix:
        raise InputError(f"{out}: expected a name in {suffix}, as --format says")


def _check_targets(plan: Plan, *, overwrite: bool, skip_existing: bool) -> None:
    """Refuses results that would replace something, or passes over what exists."""
    read = {os.path.realpath(source) for source, _ in plan.pairs}
    written: dict[Path, Path] = {}
    kept = []
    for source, target in plan.pairs:
        if os.path.realpath(target) in read:
            raise InputError(f"{target}: the result would overwrite an input picture")
        if target in written:
            raise InputError(
                f"{target}: both {written[target]} and {source} would be written to it"
            )
        written[target] = source
        # A name that is too long to be asked for cannot exist.
        exists = os.path.lexists(target)
        if exists and not (overwrite or skip_existing):
            raise InputError(
                f"{target} exists already: pass --overwrite to replace it or "
                "--skip-existing to leave it"
            )
        if not (exists and skip_existing):
            kept.append((source, target))
    if skipped := len(plan.pairs) - len(kept):
        what = "picture with a result" if skipped == 1 else "pictures with results"
        plan.passed_over.append(f"{skipped} {what} already")
    plan.pairs = kept
