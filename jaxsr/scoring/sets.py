"""Benchmark sets by the names that they have in results."""

import contextlib
import re
from collections.abc import Iterator, Sequence
from pathlib import Path

from jaxsr.data import Source, open_benchmark
from jaxsr.errors import InputError

# Folders named so are not the name of a set; the one above them is.
SCALE_FOLDERS = r"x\d+|\d+x|image_SRF_\d+"
HR_FOLDERS = rf"HR|GT|GTmod\d+|original|{SCALE_FOLDERS}"


def open_sets(
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
            name = folder_name(name.removeprefix("folder:"), HR_FOLDERS)
        if name in sources:
            raise InputError(f"two benchmarks are called {name!r}, expected it once")
        sources[name] = source.at_scale(scale)
    if not sources:
        raise InputError("no benchmark to evaluate on, expected at least one")
    return sources


def folder_name(folder: str | Path, uninformative: str) -> str:
    """Returns the name of the folder, or of the first above it that says something."""
    folder = Path(folder).resolve()
    for each in (folder, *folder.parents):
        if each.name and not re.fullmatch(uninformative, each.name, re.IGNORECASE):
            return each.name
    return folder.name


@contextlib.contextmanager
def named(what: str | Path) -> Iterator[None]:
    """Puts `what` before the message of an InputError from within."""
    try:
        yield
    except InputError as error:
        raise InputError(f"{what}: {error}") from error
