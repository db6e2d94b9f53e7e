"""Digests of a checkpoint's files, by which damage is told from whatever else may keep
one from being read."""

import hashlib
import json
import re
import time
from collections.abc import Iterator

from etils import epath

from jaxsr.files import names_file

# Lies in the folder that it describes: {"state/_METADATA": SHA-256, ...}.
DIGESTS = "sha256.json"

# orbax writes these when everything else is on disk, digests included. The first says
# by being there that the checkpoint is whole; of the second only a time is new.
_COMMITTED = "commit_success.txt"
_STEP_METADATA = "_CHECKPOINT_METADATA"
_COMMIT_TIME = re.compile(rb'"commit_timestamp_nsecs": *[^,}]*')

_MISSING = (FileNotFoundError, NotADirectoryError, IsADirectoryError)

_CHUNK = 1 << 20
_PATIENCE = 60  # seconds


def write_digests(folder: epath.Path) -> None:
    """Writes the digest of every file of a checkpoint into it.

    Raises:
        OSError: a file cannot be read, or the digests not written.
    """
    _await_step_metadata(folder / _STEP_METADATA)
    digests = {name: _digest(folder / name) for name in _files(folder)}
    (folder / DIGESTS).write_text(json.dumps(digests, indent=1) + "\n")


def _await_step_metadata(path: epath.Path) -> None:
    """Returns when the file says what it will, but for the time of the commit.

    orbax writes it in a thread of its own, which may be behind on a busy machine.
    """
    deadline = time.monotonic() + _PATIENCE
    while time.monotonic() < deadline:
        try:
            if json.loads(path.read_bytes())["custom_metadata"]:
                return
        except (FileNotFoundError, ValueError, KeyError, TypeError):
            pass
        time.sleep(0.01)
    raise OSError(f"{path}: not written within {_PATIENCE} seconds")


def has_digests(folder: epath.Path) -> bool:
    """Returns whether the checkpoint was saved with digests; older ones were not."""
    metadata = folder / _STEP_METADATA
    # What is saved with digests says so twice: the file of digests may be missing too.
    return (folder / DIGESTS).exists() or (
        metadata.is_file() and DIGESTS.encode() in _read(metadata)
    )


def find_damage(folder: epath.Path) -> str | None:
    """Returns what is wrong with a checkpoint's files; None if nothing is.

    Nothing is known of the files of a checkpoint without digests.

    Raises:
        OSError: a file cannot be read, which says nothing of what is on the disk.
    """
    if not has_digests(folder):
        return None
    try:
        digests = json.loads(_read(folder / DIGESTS))
    except _MISSING:
        return f"{DIGESTS} is missing"
    except ValueError:
        digests = None
    # One that names nothing would find nothing.
    if not isinstance(digests, dict) or _STEP_METADATA not in digests:
        return f"{DIGESTS} is not what was saved"
    for name in sorted(digests):
        try:
            if _digest(folder / name) != digests[name]:
                return f"{name} is not what was saved"
        except (*_MISSING, ValueError):
            return f"{name} is missing"
    return None


def read_all(folder: epath.Path) -> None:
    """Reads every byte of a checkpoint.

    Raises:
        OSError: one cannot be read.
    """
    for name in _files(folder):
        _digest(folder / name)


def _files(folder: epath.Path, prefix: str = "") -> Iterator[str]:
    for path in sorted(folder.iterdir()):
        if path.is_dir():
            yield from _files(path, f"{prefix}{path.name}/")
        elif prefix or path.name not in (_COMMITTED, DIGESTS):
            yield prefix + path.name


def _read(path: epath.Path) -> bytes:
    with names_file(path):
        return path.read_bytes()


def _digest(path: epath.Path) -> str:
    if path.name == _STEP_METADATA:
        return hashlib.sha256(_COMMIT_TIME.sub(b"", _read(path))).hexdigest()
    digest = hashlib.sha256()
    with names_file(path), path.open("rb") as file:
        while chunk := file.read(_CHUNK):
            digest.update(chunk)
    return digest.hexdigest()
