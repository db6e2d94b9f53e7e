"""The process settings for CPUs, each tried in a fresh process."""

import os
import platform
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from jaxsr import cpu


def _run(program: str, **environment: str) -> str:
    clean = {k: v for k, v in os.environ.items() if k != "JAX_NUM_CPU_DEVICES"}
    done = subprocess.run(
        [sys.executable, "-c", program],
        env=clean | {"JAX_PLATFORMS": "cpu"} | environment,
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout


_FAULTS = """
import resource, jax, jax.numpy as jnp
from jaxsr.cpu import keep_freed_memory
{first}
# 64 MiB in between: glibc learns by itself to keep blocks of up to 32 MiB.
f = jax.jit(lambda x: jnp.fft.fft(jnp.broadcast_to(x, (128, 65536))).real.sum())
x = jnp.arange(65536.0)
for _ in range(8):
    f(x).block_until_ready()
counts = []
for _ in range(5):
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    f(x).block_until_ready()
    counts.append(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
print(min(counts))  # a busy machine takes pages away now and then
"""


@pytest.mark.skipif(
    platform.libc_ver()[0] != "glibc", reason="it is glibc that is told"
)
def test_keep_freed_memory_ends_page_faults():
    plain = int(_run(_FAULTS.format(first="")))
    kept = int(_run(_FAULTS.format(first="assert keep_freed_memory()")))
    # What is left is other allocators' doing.
    assert kept < plain / 2, (kept, plain)


_LEFT_BEHIND = r"""
import re
from pathlib import Path
import numpy as np
from jaxsr.cpu import give_back_freed_memory, keep_freed_memory
from jaxsr.inference import Upscaler
from jaxsr.models import create

def resident():
    status = Path("/proc/self/status").read_text()
    return int(re.search(r"VmRSS:\s+(\d+) kB", status)[1]) / 1024

keep_freed_memory()
upscale = Upscaler(create("bicubic", scale=2, channels=1), {})
picture = np.zeros((20, 20, 1), np.uint8)
upscale(picture)
before = resident()
blocks = [np.ones(2**20, np.uint8) for _ in range(256)]
blocks = blocks[::8]  # what lies between them is free, but not the end
kept = resident() - before
"""


@pytest.mark.skipif(not os.path.exists("/proc/self/status"), reason="is read")
@pytest.mark.skipif(
    platform.libc_ver()[0] != "glibc", reason="it is glibc that is told"
)
@pytest.mark.parametrize(
    "after",
    ["give_back_freed_memory()", "[upscale(picture) for _ in range(40)]"],
    ids=["by itself", "by pictures"],
)
def test_freed_memory_goes_back_to_the_system(after):
    program = f"{_LEFT_BEHIND}\n{after}\nprint(kept, resident() - before)"
    kept, left = map(float, _run(program).split())
    assert kept > 200, "MiB, nothing would be shown"
    assert left < 64


_DEVICES = """
import os
os.sched_getaffinity = lambda pid: set(range({cores}))
import jax
from jaxsr.cpu import use_every_core
devices = use_every_core({batch})
assert devices == len(jax.devices())
assert devices == use_every_core({batch})  # also once JAX has started
print(devices)
"""


@pytest.mark.parametrize(
    ("cores", "batch", "devices"), [(2, 16, 2), (6, 16, 4), (3, 7, 1)]
)
def test_use_every_core_divides_the_batch(cores, batch, devices):
    assert int(_run(_DEVICES.format(cores=cores, batch=batch))) == devices


def test_use_every_core_leaves_a_chosen_number():
    program = _DEVICES.format(cores=2, batch=16)
    assert int(_run(program, JAX_NUM_CPU_DEVICES="3")) == 3


def test_load_takes_every_core():
    program = "import os\nos.sched_getaffinity = lambda pid: {0, 1, 2}\nimport jaxsr\n"
    program += "print(len(jaxsr.load('rcbam_lite_x2').devices))"
    assert _run(program) == "3\n"
    # A JAX that has started, or a number that was chosen, stays as it is.
    assert _run("import jax; jax.devices()\n" + program) == "1\n"
    assert _run(program, JAX_NUM_CPU_DEVICES="2") == "2\n"


@pytest.mark.parametrize("devices", [1, 4, 5])
def test_count_idle_threads(devices):
    program = (
        "from jaxsr.cpu import count_cores, count_idle_threads\n"
        "print(count_idle_threads() == min(count_cores(), 4), count_idle_threads())"
    )
    is_all, count = _run(program, JAX_NUM_CPU_DEVICES=str(devices)).split()
    assert is_all == "True" if devices <= 4 else count == "1"


@pytest.mark.skipif(platform.system() != "Linux", reason="Linux tells")
def test_avx2_alone_is_what_numpy_finds():
    found = np._core._multiarray_umath.__cpu_features__  # pyright: ignore
    expected = found.get("AVX2", False) and not found.get("AVX512F", False)
    assert cpu.has_avx2_only() == expected
    wide = {"AMX": "AMX_TILE", "AVX-512": "AVX512F", "AVX2": "AVX2"}
    # NumPy does not look for AMX in all releases.
    if (vector := cpu.find_vector_instructions()) != "AMX":
        assert vector == next((n for n, f in wide.items() if found.get(f)), None)


def test_a_system_that_does_not_tell_is_treated_as_before(monkeypatch):
    def unreadable(*_, **__):
        raise FileNotFoundError("/proc/cpuinfo")

    monkeypatch.setattr(Path, "read_text", unreadable)
    monkeypatch.setattr(cpu, "read_cpuinfo", cpu.read_cpuinfo.__wrapped__)
    assert cpu.read_cpuinfo() == ""
    assert not cpu.has_avx2_only()
    assert cpu.find_vector_instructions() is None
