"""Which pictures of files and folders are to be enlarged, and where to."""

import dataclasses
import os
from collections.abc import Iterable, Iterator
from pathlib import Path

from jaxsr.errors import InputError
from jaxsr.imaging.files import READ_SUFFIXES, SUFFIXES


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
            inputs with one output; a picture's name as the output of several; an output
            that is an input, or that exists while neither `overwrite` nor
            `skip_existing` is set; a file name with a suffix that is no picture's.
    """
    inputs = list(inputs)
    if "" in (*inputs, out):  # of a shell's variable that is not set
        raise InputError("expected the name of a file or folder, got an empty one")
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
                    f"{path}: expected images ({', '.join(READ_SUFFIXES)}), got none"
                    + deeper
                )
            sources += found
        else:
            sources.append((path, Path(path.name)))
    if len(inputs) == 1 and not inputs[0].is_dir() and out.suffix and not is_folder:
        check_suffix(out, suffix)
        pairs = [(sources[0][0], out)]
    elif out.suffix.lower() in SUFFIXES and not is_folder:
        raise InputError(
            f"{out}: expected a folder for the results of several pictures, got the "
            "name of one (a / behind it, if that is a folder's)"
        )
    elif (file := _file_on_the_way_to(out)) is not None:
        raise InputError(f"{out}: expected a folder for the results, {file} is a file")
    else:
        pairs = [
            (source, out / (_renamed(name, suffix) if suffix else name))
            for source, name in sources
        ]
    plan.pairs = pairs
    _check_targets(plan, overwrite=overwrite, skip_existing=skip_existing)
    return plan


def _renamed(name: Path, suffix: str) -> Path:
    # What follows a dot may be part of the name: "photo 1.5".
    if name.suffix.lower() in READ_SUFFIXES:
        return name.with_suffix(suffix)
    return name.with_name(name.name + suffix)


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
            entries = [(path, path.is_dir()) for path in sorted(folder.iterdir())]
        except OSError as error:
            self.plan.unreadable.append(
                f"{folder}: cannot be looked into: {error.strerror}"
            )
            return
        folders, others = [], 0
        for path, is_folder in entries:
            if is_folder:
                folders.append(path)
            elif path.name.startswith(".") or path.suffix.lower() not in READ_SUFFIXES:
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


def check_suffix(out: Path, suffix: str | None) -> None:
    """Finds that a file's name is a picture's, of the suffix that is asked for if any.

    Raises:
        InputError: it is not.
    """
    if out.suffix.lower() not in SUFFIXES:
        raise InputError(
            f"{out}: expected a suffix among {', '.join(SUFFIXES)}, or a / after the "
            "name of a folder"
        )
    if suffix and out.suffix.lower() != suffix:
        raise InputError(f"{out}: expected a name in {suffix}, as --format says")


def _check_targets(plan: Plan, *, overwrite: bool, skip_existing: bool) -> None:
    """Refuses results that would replace something, or passes over what exists."""
    # By what the system says they are: a folder may be mounted at two places, and case
    # may not count in names.
    read = {_identity(source) for source, _ in plan.pairs} - {None}
    written: dict[str, Path] = {}
    kept = []
    for source, target in plan.pairs:
        place = os.path.realpath(target)
        if _identity(target) in read:
            raise InputError(f"{target}: the result would overwrite an input picture")
        if place in written:
            raise InputError(
                f"{target}: both {written[place]} and {source} would be written to it"
            )
        written[place] = source
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


def _identity(path: Path) -> tuple[int, int] | None:
    """Returns device and number of the file that a path leads to, None if to none."""
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_dev, status.st_ino
