"""Compiled programs kept in the user's cache folder, for the next process."""

import contextlib
import os
import platform
import sys
import time
from pathlib import Path

import jax
import platformdirs

from jaxsr.cpu import read_cpuinfo

MAX_BYTES = 2**29
"""So much is kept; what was used longest ago goes first."""

_MOST_SECONDS_OF_WRITING = 60

# What takes less is compiled as fast as it is read.
_LEAST_SECONDS = 0.3


def keep_compiled_programs() -> Path | None:
    """Lets JAX keep what it compiles; returns the folder, or None where it does not.

    Belongs at the start of a program, after the number of devices is settled. The
    folder is "programs" in JAXSR_CACHE_DIR or the user's cache folder. Nothing is kept
    if

    - JAXSR_CACHE is 0, or the folder cannot be written;
    - the programs are for an Intel CPU, or one that cannot be told: XLA finds its own
      entries unfit there and says so at length (docs/performance.md).

    A folder that JAX has been given (JAX_COMPILATION_CACHE_DIR) stays as it is.
    """
    chosen = jax.config.jax_compilation_cache_dir  # pyright: ignore[reportAttributeAccessIssue]
    if chosen:
        return Path(chosen)
    if os.environ.get("JAXSR_CACHE") == "0" or not can_read_its_own():
        return None
    top = os.environ.get("JAXSR_CACHE_DIR") or platformdirs.user_cache_dir("jaxsr")
    folder = Path(top) / "programs"
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError:
        return None
    if not os.access(folder, os.W_OK):
        return None
    _drop_parts(folder)
    for name, value in {
        "jax_compilation_cache_dir": str(folder),
        "jax_compilation_cache_max_size": MAX_BYTES,
        "jax_persistent_cache_min_compile_time_secs": _LEAST_SECONDS,
    }.items():
        jax.config.update(name, value)
    return folder


def _drop_parts(folder: Path) -> None:
    """Removes programs of which JAX could write a part only: it never replaces them.

    The time of their last use is written after them.
    """
    with contextlib.suppress(OSError):
        for program in folder.glob("*-cache"):
            used = program.with_name(f"{program.name.removesuffix('cache')}atime")
            written = time.time() - program.stat().st_mtime
            if not used.exists() and written > _MOST_SECONDS_OF_WRITING:
                program.unlink()


def can_read_its_own() -> bool:
    """Returns whether XLA takes programs that it has kept for this processor."""
    if jax.default_backend() != "cpu":
        return True
    if sys.platform == "linux" and platform.machine() == "x86_64":
        return "AuthenticAMD" in read_cpuinfo()
    return platform.machine() in ("arm64", "aarch64")
