"""Ordinary files of a run whose workdir is on object storage ("gs://BUCKET/RUN").

Logs grow line by line and TensorBoard's writer wants a folder; object storage takes
files whole. So they are written to a local folder and copied.
"""

import contextlib
import logging
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from etils import epath

from jaxsr.processes import is_first

# A run that is killed loses what was logged since the last copy, never a checkpoint.
_SECONDS_BETWEEN_COPIES = 60.0

_log = logging.getLogger(__name__)


@contextlib.contextmanager
def local_folder(workdir: Path | epath.Path) -> Iterator[Path]:
    """Yields where to write the run's logs, pictures and results.

    That is the workdir itself, or, if it is on object storage, a temporary folder whose
    files are copied there, the first process's, once a minute and at the end.
    """
    if "://" not in str(workdir):
        yield Path(workdir)
        return
    with tempfile.TemporaryDirectory() as folder, contextlib.ExitStack() as copying:
        if is_first():
            copying.enter_context(copied(Path(folder), epath.Path(workdir)))
        yield Path(folder)


@contextlib.contextmanager
def copied(
    local: Path, remote: Path | epath.Path, *, every: float = _SECONDS_BETWEEN_COPIES
) -> Iterator[None]:
    """Copies new and changed files of `local` to `remote`, now and then and at the end.

    Files that lie directly in `remote` are copied to `local` first, to be gone on with.

    Raises:
        OSError: the last copy fails. Failures before are logged, and tried again.
    """
    if remote.exists():
        for path in remote.iterdir():
            if path.is_file():
                (local / path.name).write_bytes(path.read_bytes())
    seen = {path: _version(path) for path in local.rglob("*")}
    stop = threading.Event()

    def copy() -> None:
        for path in sorted(p for p in local.rglob("*") if p.is_file()):
            version = _version(path)
            if seen.get(path) != version:
                target = remote / path.relative_to(local).as_posix()
                target.parent.mkdir(parents=True, exist_ok=True)
                target.write_bytes(path.read_bytes())
                seen[path] = version

    def copy_now_and_then() -> None:
        while not stop.wait(every):
            try:
                copy()
            except Exception as error:  # whatever the storage's client raises
                _log.warning("%s: cannot be written just now (%s)", remote, error)

    thread = threading.Thread(target=copy_now_and_then, daemon=True)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()
        try:
            copy()
        except Exception as error:
            raise OSError(f"{remote}: logs cannot be written ({error})") from error


def _version(path: Path) -> Any:
    status = path.stat()
    return status.st_size, status.st_mtime_ns
