"""What all tests share: eight fake CPU devices and the folder of benchmark images."""

import atexit
import os
import shutil
import tempfile
from pathlib import Path

import jax
import pytest

from jaxsr.compilation_cache import can_read_its_own

# Machine code that is not optimised is there in two thirds of the time. What it
# computes differs by the rounding of sums; `XLA_FLAGS= python -m pytest` tests what
# users run.
os.environ.setdefault("XLA_FLAGS", "--xla_backend_optimization_level=0")
# Eight devices on any machine, so that data parallelism is tested everywhere.
jax.config.update("jax_num_cpu_devices", 8)
# Nor are programs left in the folder of whoever runs the tests.
os.environ["JAXSR_CACHE"] = "0"
# But what one test compiles serves the others, and the processes that they start. Each
# worker of xdist has a folder of its own, in which none finds a program that another is
# writing.
_programs = tempfile.mkdtemp(prefix="jaxsr-tests-")
atexit.register(shutil.rmtree, _programs, ignore_errors=True)
if can_read_its_own():
    for name, value in {
        "jax_compilation_cache_dir": _programs,
        "jax_persistent_cache_min_compile_time_secs": 0.0,
    }.items():
        jax.config.update(name, value)
        os.environ[name.upper()] = str(value)

# Files that take minutes, the longest first: one that begins last would keep one worker
# busy while the others have nothing left.
_LONG = ["test_snippets", "test_processes", "test_zoo", "test_train", "test_notebooks"]
_LONG += ["test_benchmark_programs", "test_networks", "test_photo", "test_fuzz_words"]


def pytest_collection_modifyitems(items):
    def place(item):
        name = item.path.stem
        return _LONG.index(name) if name in _LONG else len(_LONG)

    items.sort(key=place)


@pytest.fixture
def strict():
    """Arrays of two types or ranks do not go together by themselves."""
    with jax.numpy_dtype_promotion("strict"), jax.numpy_rank_promotion("raise"):
        yield


@pytest.fixture(scope="session")
def data_dir() -> Path:
    """The folder named by JAXSR_DATA_DIR, else the test is skipped.

    Whoever names a folder wants these tests run: without Set5 in it they fail.
    """
    folder = os.environ.get("JAXSR_DATA_DIR")
    if not folder:
        pytest.skip("needs the benchmark images: set JAXSR_DATA_DIR to their folder")
    set5 = Path(folder) / "benchmarks" / "Set5"
    if not set5.is_dir():
        pytest.fail(f"JAXSR_DATA_DIR is set, but {set5} is no folder")
    return Path(folder)


@pytest.fixture(scope="session", autouse=True)
def _give_memory_back():
    """Commands that run inside of the tests' process keep what they free, else."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("jaxsr.cpu.keep_freed_memory", lambda: False)
        yield


@pytest.fixture(scope="module", autouse=True)
def _forget_programs():
    """Compiled programs of thousands of tests would fill the memory."""
    yield
    jax.clear_caches()
