"""Files that appear whole or not at all, and errors that name them."""

import contextlib
import errno
import os
import secrets
import shutil
import stat
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

from jaxsr.errors import InputError, first_line
from jaxsr.interrupts import sigterm_tidies_up

# What lies here is no file to be replaced, also where it leads to one (/dev/stdout).
_DEVICE_FOLDERS = ("/dev", "/proc")

Part = bytes | memoryview
"""Of a file's content."""


@contextlib.contextmanager
def names_file(path: str | os.PathLike) -> Iterator[None]:
    """Lets an error of reading name the file, which only one of opening does."""
    try:
        yield
    except OSError as error:
        if error.filename is not None:
            raise
        if error.errno is None:  # another library's: a text alone
            raise OSError(f"{path}: {first_line(error)}") from error
        raise OSError(error.errno, error.strerror, str(path)) from error


def write_whole(path: str | os.PathLike, content: bytes | str | Iterable[Part]) -> None:
    """Writes a file; on any error what was there before stays as it was.

    The folder is made as needed. Behind a symbolic link the file that it leads to is
    replaced, with its permissions. A pipe or a device is written to, not replaced.

    Args:
        path: of the file.
        content: text is written as UTF-8; parts, which may be large arrays, one after
            the other without a copy, each made when its turn comes.

    Raises:
        OSError: it cannot be written (a full disk, no permission, a folder of that
            name); the message names the file.
    """
    if isinstance(content, str):
        content = content.encode()
    parts = [content] if isinstance(content, bytes) else content
    path = Path(path)
    check_place(path)
    try:
        if is_written_to(path):
            # What was printed so far comes before it where both are the same file.
            sys.stdout.flush()
            with path.open("ab") as file:
                file.writelines(parts)
        else:
            with sigterm_tidies_up():
                _replace(Path(os.path.realpath(path)), parts)
    except BrokenPipeError:
        raise
    except OSError as error:
        # A failed write knows no name, and the name of a temporary file says nothing.
        raise OSError(error.errno, error.strerror, str(path)) from error


def check_place(
    path: str | os.PathLike, *, inputs: Iterable[str | os.PathLike] = ()
) -> None:
    """Finds, before there is anything to write, that `write_whole` could not.

    Args:
        inputs: files that are not to be replaced; what is no file is passed over.

    Raises:
        InputError: the file is one of the inputs.
        OSError: as `write_whole` does, where that can be known: a folder of that name,
            a name that the file system does not take, a folder that cannot be made or
            written to.
    """
    path = Path(path)
    if is_one_of(path, inputs):
        raise InputError(f"{path}: the result would overwrite what it is made from")
    try:
        if stat.S_ISDIR(path.stat().st_mode):
            raise IsADirectoryError(
                errno.EISDIR, "expected a file to write, got a folder", str(path)
            )
        if is_written_to(path):
            return
    except FileNotFoundError:
        pass
    folder = Path(os.path.realpath(path)).parent
    while not folder.exists():
        folder = folder.parent
    if not os.access(folder, os.W_OK | os.X_OK):
        raise PermissionError(errno.EACCES, f"{folder} is not writable", str(path))


def is_one_of(path: str | os.PathLike, files: Iterable[str | os.PathLike]) -> bool:
    """Returns whether a path leads to one of the files, by whatever name."""
    if not os.path.exists(path):
        return False
    return any(os.path.exists(f) and os.path.samefile(f, path) for f in files)


def is_written_to(path: Path) -> bool:
    """Returns whether `path` is a pipe, a device or what stands for an open file."""
    if str(path.absolute()).startswith(tuple(f"{d}/" for d in _DEVICE_FOLDERS)):
        return path.exists() and not _in_shared_memory(path)
    try:
        return not stat.S_ISREG(path.stat().st_mode)
    except FileNotFoundError:
        return False


def _in_shared_memory(path: Path) -> bool:
    return str(path.absolute()).startswith("/dev/shm/")


def _replace(path: Path, parts: Iterable[Part]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    # A short name: that of the file may be as long as the file system takes.
    temporary = path.with_name(f".{secrets.token_hex(8)}.tmp")
    try:
        with temporary.open("wb") as file:
            file.writelines(parts)
        if path.exists():
            shutil.copymode(path, temporary)
        os.replace(temporary, path)
    except BaseException:
        with contextlib.suppress(OSError):
            temporary.unlink()
        raise
