"""Pictures of files and folders, one after another: which ones, and where to."""

from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np

from jaxsr.errors import InputError
from jaxsr.imaging import list_images, read_image, write_image
from jaxsr.imaging.files import SUFFIXES


def plan_files(
    inputs: Iterable[str | Path], out: str | Path, *, overwrite: bool = False
) -> list[tuple[Path, Path]]:
    """Returns the pairs (picture to read, picture to write) for files and folders.

    `out` is a file name if there is one input, a file, and `out` has a suffix and is no
    folder; else it is a folder, and pictures keep their names in it.

    Raises:
        InputError: an input that does not exist or a folder without pictures; two
            inputs with one output; an output that is an input, or that exists while
            `overwrite` is False, or whose suffix is no picture's.
    """
    inputs, out = [Path(path) for path in inputs], Path(out)
    sources: list[Path] = []
    for path in inputs:
        if not path.exists():
            raise InputError(f"{path}: no such file or folder")
        sources += list_images(path) if path.is_dir() else [path]
    one_file = len(inputs) == 1 and inputs[0].is_file()
    if one_file and out.suffix and not out.is_dir():
        pairs = [(sources[0], out)]
    elif out.exists() and not out.is_dir():
        raise InputError(f"{out}: expected a folder for the results, got a file")
    else:
        pairs = [(source, out / source.name) for source in sources]

    read = {source.resolve() for source in sources}
    written: dict[Path, Path] = {}
    for source, target in pairs:
        if target.suffix.lower() not in SUFFIXES:
            raise InputError(f"{target}: expected a suffix among {', '.join(SUFFIXES)}")
        if target.resolve() in read:
            raise InputError(f"{target}: the result would overwrite an input picture")
        if target in written:
            raise InputError(
                f"{target}: both {written[target]} and {source} would be written to it"
            )
        if target.exists() and not overwrite:
            raise InputError(f"{target} exists already: pass --overwrite to replace it")
        written[target] = source
    return pairs


def upscale_files(
    upscaler: Callable[[np.ndarray], np.ndarray], pairs: Iterable[tuple[Path, Path]]
) -> Iterable[tuple[Path, InputError | None]]:
    """Enlarges file by file; yields each one read, with what was wrong with it if so.

    Folders are made as needed. A file that cannot be read is left out; an error in
    writing (a full disk) ends the run.
    """
    for source, target in pairs:
        try:
            sr = upscaler(read_image(source))
        except InputError as error:
            yield source, error
            continue
        target.parent.mkdir(parents=True, exist_ok=True)
        write_image(target, sr)
        yield source, None
