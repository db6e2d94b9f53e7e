"""One run at a time in a workdir: two would destroy each other's files."""

import contextlib
import logging
import os
import socket
import time
from pathlib import Path

from etils import epath
from filelock import FileLock, Timeout

from jaxsr import processes
from jaxsr.errors import InputError

_LOCK, _HOLDER = ".lock", ".lock-holder"

_log = logging.getLogger(__name__)


class WorkdirLock:
    """Keeps other runs from a workdir while this one trains in it.

    The first process holds it for all. The system takes it back from a process that
    ends, even by SIGKILL, so there is never an old one to remove. Object storage has
    no locks; there nothing is kept from anyone. Who only reads needs none.

    Use as a context manager: entering takes the lock if the folder is there.
    """

    def __init__(self, workdir: str | Path | epath.Path):
        """Takes nothing yet."""
        self._on_disk = "://" not in str(workdir)
        self._folder = Path(workdir)
        self._lock = FileLock(self._folder / _LOCK)
        self._was_new = True

    def __enter__(self) -> "WorkdirLock":
        self._was_new = not (self._folder / "config.json").exists()
        processes.ask_first(self._take)
        return self

    def __exit__(self, *exception) -> None:
        if self._lock.is_locked:
            with contextlib.suppress(OSError):
                (self._folder / _HOLDER).unlink()
            self._lock.release()

    def take(self) -> None:
        """Makes the folder if it is not there, and takes the lock if it is not held.

        Raises:
            InputError: another run holds it, or began and ended while this one started.
        """
        processes.ask_first(lambda: self._take(make=True))

    def _take(self, *, make: bool = False) -> None:
        if not self._on_disk or self._lock.is_locked:
            return
        if make:
            self._folder.mkdir(parents=True, exist_ok=True)
        elif not self._folder.is_dir():
            return
        try:
            self._lock.acquire(blocking=False)
        except Timeout:
            raise InputError(
                f"{self._folder}: {self._holder()} is training there; wait for its end "
                "or give another --workdir"
            ) from None
        except OSError as error:
            # Some network file systems have no locks.
            _log.warning(
                "%s cannot be locked (%s): see to it that only one run writes there",
                self._folder,
                error.strerror,
            )
            return
        if make and self._was_new and (self._folder / "config.json").exists():
            raise InputError(
                f"{self._folder}: another run has begun there meanwhile; start this "
                "one again to go on with it, or give another --workdir"
            )
        since = time.strftime("%Y-%m-%d %H:%M:%S")
        (self._folder / _HOLDER).write_text(
            f"process {os.getpid()} on {socket.gethostname()} (since {since})\n",
            encoding="utf-8",
        )

    def _holder(self) -> str:
        with contextlib.suppress(OSError, UnicodeDecodeError):
            holder = (self._folder / _HOLDER).read_text(encoding="utf-8").strip()
            if holder:
                return holder
        return "another process"
