"""What XLA needs from the process to be fast on a CPU; accelerators are not touched.

`keep_freed_memory` and `use_every_core` belong at the start of a program, before JAX
runs anything.
"""

import contextlib
import ctypes
import functools
import os
from pathlib import Path

import jax

# The names of these parameters in glibc's malloc.h.
_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD, _M_ARENA_MAX = -1, -3, -8
_LARGEST_INT = 2**31 - 1

# Flags of Linux, the fastest first: who has one has those below.
_VECTORS = {"amx_tile": "AMX", "avx512f": "AVX-512", "avx2": "AVX2"}

MOST_PROGRAMS = 4
"""In work at once on a CPU: each takes memory, and has some use for a second core."""


def keep_freed_memory() -> bool:
    """Makes the allocator keep what is freed; returns whether it could be told.

    XLA allocates all intermediate arrays of a call anew. glibc maps blocks of that size
    and unmaps them afterwards, so that the kernel clears every page at every call: a
    quarter of the processor time of a training step. With this the process holds on to
    the largest amount of memory that it ever used. Does nothing without glibc.
    """
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError, TypeError):  # macOS, musl, Windows
        return False
    # Only the main arena can grow without limit; blocks in others would be mapped.
    settings = {
        _M_ARENA_MAX: 1,
        _M_MMAP_THRESHOLD: _LARGEST_INT,
        _M_TRIM_THRESHOLD: _LARGEST_INT,
    }
    return all([mallopt(name, value) for name, value in settings.items()])


def give_back_freed_memory() -> None:
    """Gives the system what the allocator has kept. Does nothing without glibc.

    Compiling takes 60 to 110 MiB beside the program that comes of it, pictures do not
    fit into what is freed of it, and `keep_freed_memory` would keep it for ever.
    """
    with contextlib.suppress(AttributeError, OSError, TypeError):
        ctypes.CDLL(None).malloc_trim(0)


def use_every_core(batch_size: int | None = None) -> int:
    """Shows each core as a device of its own; returns the number of CPU devices.

    Within a device XLA leaves cores idle: it splits only some operations among them.
    Data parallelism over cores splits the whole step, and an `Upscaler` has tiles or
    pictures in work on each. A number that someone has set
    (`JAX_NUM_CPU_DEVICES`) stays, and so does that of a JAX that has started.

    Args:
        batch_size: patches of this process in a step: the number of devices divides it.
            None, where nothing is trained: one device for each core.
    """
    chosen = jax.config.jax_num_cpu_devices  # pyright: ignore[reportAttributeAccessIssue]
    if chosen > 0:
        return chosen
    batch_size = count_cores() if batch_size is None else batch_size
    devices = max(d for d in range(1, count_cores() + 1) if batch_size % d == 0)
    with contextlib.suppress(RuntimeError):  # JAX has started
        jax.config.update("jax_num_cpu_devices", devices)
        return devices
    return jax.local_device_count("cpu")


def count_idle_threads() -> int:
    """Returns how many tiles or pictures had best be in work at once, at least 1.

    More than one on a CPU whose cores these few keep busy: as programs of one device
    they need no exchange, which the devices that share a tile's rows do.
    """
    if jax.default_backend() != "cpu" or jax.local_device_count() > MOST_PROGRAMS:
        return 1
    return min(count_cores(), MOST_PROGRAMS)


def count_cores() -> int:
    """Returns how many cores the process may use; 1 where the system does not tell."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else 1


@functools.cache
def read_cpuinfo() -> str:
    """Returns what Linux tells of its processors; empty where it does not."""
    with contextlib.suppress(OSError):
        return Path("/proc/cpuinfo").read_text(errors="replace")
    return ""


def find_vector_instructions() -> str | None:
    """Returns what the processor multiplies with, "AMX", "AVX-512" or "AVX2".

    Processors of one name differ in it, and by it several times in speed. None where it
    is none of these, or the system does not tell.
    """
    flags = read_cpuinfo().split()
    return next((name for flag, name in _VECTORS.items() if flag in flags), None)


def has_avx2_only() -> bool:
    """Returns whether the processor has AVX2 and not AVX-512; False if none tells."""
    return find_vector_instructions() == "AVX2"
