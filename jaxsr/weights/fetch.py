"""Weights that do not come with jaxsr, fetched once into the user's cache folder.

pooch knows the folder, checks the SHA-256 and puts the file in place whole or not at
all. It begins a broken download anew; the function below goes on where it broke, in
another process as well.
"""

import contextlib
import functools
import hashlib
import os
import tempfile
from pathlib import Path
from typing import Any

import filelock

from jaxsr.errors import InputError


def fetch(
    url: str,
    *,
    sha256: str,
    folder: str | Path | None = None,
    patience: float = 30,
) -> Path:
    """Returns the file at `url`, from the cache once it has been fetched.

    Args:
        url: of the file, http or https.
        sha256: of its content, in hexadecimal.
        folder: the cache; by default JAXSR_CACHE_DIR, else the user's cache folder.
        patience: seconds without a byte after which the server is given up.

    Raises:
        InputError: pooch is not installed, or the file is not in the cache and cannot
            be fetched, or has another SHA-256.
    """
    file = url.rpartition("/")[2]
    try:
        import pooch
        import requests
    except ImportError:
        raise InputError(
            f"{file} does not come with jaxsr, and pooch, which fetches it, is not "
            "installed: pip install 'jaxsr-superres[fetch]'"
        ) from None
    # pooch's type for it wants a class.
    resume: Any = functools.partial(_resume, patience=patience)
    folder = Path(
        folder or os.environ.get("JAXSR_CACHE_DIR") or pooch.os_cache("jaxsr")
    )
    pooch.get_logger().setLevel("ERROR")
    try:
        path = folder / file
        if path.is_file() and pooch.file_hash(path) == sha256.lower():
            return path
        # One process downloads; those that waited for it find the file.
        with _one_at_a_time(path):
            path = pooch.retrieve(
                url, f"sha256:{sha256}", file, folder, downloader=resume
            )
    except (requests.RequestException, OSError) as error:
        raise InputError(
            f"{file} does not come with jaxsr, is not in {folder} and cannot be "
            f"fetched from {url} ({type(error).__name__}). Try again with a network, "
            "which goes on where it broke; or bring the file and give it as --weights"
        ) from error
    except ValueError as error:  # how pooch says that the content is another
        raise InputError(
            f"{url}: expected a file of SHA-256 {sha256}, got another"
        ) from error
    return Path(path)


def _one_at_a_time(path: Path) -> contextlib.AbstractContextManager:
    """Returns a lock for fetching a file."""
    # Not in the cache, where it would stay. Others' locks cannot be opened.
    key = hashlib.sha256(f"{Path.home()} {path.absolute()}".encode()).hexdigest()
    return filelock.FileLock(Path(tempfile.gettempdir(), f"jaxsr-{key[:16]}.lock"))


def _resume(
    url: str,
    output_file: str,
    pooch: Any,
    *,
    check_only: Any = None,
    patience: float,
) -> None:
    """Downloads to a file that is kept when it breaks, and moves that to the output.

    The arguments but the last are those of pooch's own downloaders.
    """
    import requests

    del pooch, check_only
    part = Path(output_file).parent / f"{url.rpartition('/')[2]}.part"
    done = part.stat().st_size if part.exists() else 0
    headers = {"Range": f"bytes={done}-"} if done else {}
    with requests.get(url, headers=headers, stream=True, timeout=patience) as response:
        # 416: there is nothing behind what we have.
        if response.status_code != requests.codes.requested_range_not_satisfiable:
            response.raise_for_status()
            goes_on = response.status_code == requests.codes.partial_content
            with part.open("ab" if goes_on else "wb") as file:
                for chunk in response.iter_content(2**16):
                    file.write(chunk)
    os.replace(part, output_file)
