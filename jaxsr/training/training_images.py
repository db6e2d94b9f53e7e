"""Which images a run learns from, so that it knows them again where they lie elsewhere.

`training_images.json` in the run's folder holds, image by image in their order, the
name, length and SHA-256 of each of its files, HR and LR.
"""

import hashlib
import json
import logging
from pathlib import Path
from typing import Any

from etils import epath

from jaxsr.data import Source
from jaxsr.errors import InputError
from jaxsr.training.config import Config

RECORD = "training_images.json"

# Keys that say where images are, not which ones they are.
PLACES = ("data.train", "data.data_dir")

_CHUNK = 1 << 20
# From here on it takes some time to read all of them.
_MANY_BYTES = 4e9

_log = logging.getLogger(__name__)


def has_record(workdir: epath.Path) -> bool:
    """Returns whether a run's images can be known again."""
    return (workdir / RECORD).exists()


def record_images(workdir: epath.Path, source: Source, scale: int) -> None:
    """Writes the record of a run, if there is none and the images are files.

    Raises:
        OSError: an image cannot be read, or the record not be written.
    """
    if has_record(workdir):
        return
    files = _files(source, scale)
    if not all(files):
        return
    size = sum(path.stat().st_size for image in files for path in image)
    if size > _MANY_BYTES:
        _log.info(
            "reading the %.0f GB of %s once, to know them again",
            size / 1e9,
            source.name,
        )
    images = [[_describe(path, digest=True) for path in image] for image in files]
    temporary = workdir / f"{RECORD}.tmp"
    temporary.write_text(json.dumps(images, indent=0) + "\n", encoding="utf-8")
    temporary.replace(workdir / RECORD)


def check_images(
    workdir: epath.Path, before: Config, now: Config, source: Source
) -> None:
    """Finds that a run goes on with the images that it began with.

    Where they are at the place that they were at, only their number, names and lengths
    are looked at, and a change is a warning.

    Args:
        workdir: the run's folder.
        before: the values of the run's config.
        now: those of the config that it is to go on with.
        source: the images of the latter.

    Raises:
        InputError: they are other ones, at another place than before; the message says
            what differs.
    """
    places = {name: _get(before, name) for name in PLACES}
    moved = {name for name, place in places.items() if place != _get(now, name)}
    if not has_record(workdir):
        return
    recorded = _read(workdir)
    if recorded is None and not moved:
        return
    difference = f"{RECORD}, which says which they were, is damaged"
    if recorded is not None:
        files = _files(source, now["model"]["scale"])
        difference = _difference(recorded, files, digest=bool(moved))
    if difference is None:
        if "data.train" in moved:
            _log.info("%s: the images of %s", source.name, places["data.train"])
        return
    if not moved:
        _log.warning(
            "%s has changed since the run began, which therefore does not go on like "
            "an unbroken one: %s",
            source.name,
            difference,
        )
        return
    name = sorted(moved)[-1]
    raise InputError(
        f"{workdir} holds a run with {name}={places[name]!r}, this config has "
        f"{_get(now, name)!r}, and these are not known to be the same images: "
        f"{difference}; give another --workdir, or the images that the run began with"
    )


def _read(workdir: epath.Path) -> list[list[list[Any]]] | None:
    """Returns the record; None if it is damaged."""
    try:
        recorded = json.loads((workdir / RECORD).read_text(encoding="utf-8"))
        whole = all(
            isinstance(name, str) and isinstance(size, int) and isinstance(digest, str)
            for image in recorded
            for name, size, digest in image
        )
    except (ValueError, TypeError, RecursionError):
        return None
    return recorded if whole and isinstance(recorded, list) else None


def _get(config: Any, name: str) -> Any:
    section, _, key = name.partition(".")
    return config[section][key]


def _files(source: Source, scale: int) -> list[list[Path]]:
    return [source.image_files(index, scale) for index in range(len(source))]


def _describe(path: Path, *, digest: bool) -> list[Any]:
    """Returns name and length of a file, and its SHA-256 if it is asked for."""
    described: list[Any] = [path.name, path.stat().st_size]
    if digest:
        sha256 = hashlib.sha256()
        with path.open("rb") as file:
            while chunk := file.read(_CHUNK):
                sha256.update(chunk)
        described.append(sha256.hexdigest())
    return described


def _difference(
    recorded: list[list[list[Any]]], files: list[list[Path]], *, digest: bool
) -> str | None:
    """Returns the first thing that differs, None if nothing does."""
    if len(recorded) != len(files):
        return f"there are {len(files)}, it began with {len(recorded)}"
    length = 3 if digest else 2
    for number, (before, paths) in enumerate(zip(recorded, files, strict=True)):
        names = [entry[0] for entry in before], [path.name for path in paths]
        if names[0] != names[1]:
            ours, theirs = (" and ".join(n) or "no file" for n in names)
            return f"image {number} is {theirs}, was {ours}"
        for entry, path in zip(before, paths, strict=True):
            if entry[:length] != _describe(path, digest=digest):
                return f"{path} is another file than the run began with"
    return None
