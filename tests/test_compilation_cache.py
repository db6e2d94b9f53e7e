"""Compiled programs that outlive a process, each tried in a fresh one."""

import os
import subprocess
import sys

import pytest

_PROGRAM = """
import jax
from jaxsr.compilation_cache import keep_compiled_programs
jax.config.update("jax_num_cpu_devices", 2)
folder = keep_compiled_programs()
if folder is None:
    print("none")
else:
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0)
    hits = []
    jax.monitoring.register_event_listener(
        lambda name, **_: hits.append(name) if name.endswith("cache_hits") else None
    )
    import numpy as np
    from jaxsr.inference import Upscaler
    from jaxsr.models import create
    picture = np.arange(6400, dtype=np.uint16).reshape(80, 80)
    sr = Upscaler(create("bicubic", scale=2), {})(picture)
    print(folder, len(hits), sr.sum())
"""


def _run(**environment: str) -> list[str]:
    clean = {k: v for k, v in os.environ.items() if not k.startswith("JAX")}
    done = subprocess.run(
        [sys.executable, "-c", _PROGRAM],
        env=clean | {"JAX_PLATFORMS": "cpu"} | environment,
        capture_output=True,
        text=True,
        check=True,
    )
    assert not done.stderr
    return done.stdout.split()


def test_keep_compiled_programs_serves_the_next_process(tmp_path):
    first = _run(JAXSR_CACHE_DIR=str(tmp_path))
    if first == ["none"]:
        pytest.skip("not switched on for this processor")
    second = _run(JAXSR_CACHE_DIR=str(tmp_path))
    assert first[0] == second[0] == str(tmp_path / "programs")
    assert int(first[1]) == 0 < int(second[1])
    assert first[2] == second[2]
    # As a full disk leaves it: a part of a program, the time of its use not written.
    for program in (tmp_path / "programs").glob("*-cache"):
        program.write_bytes(program.read_bytes()[:100])
        os.utime(program, (0, 0))
        program.with_name(program.name.removesuffix("cache") + "atime").unlink()
    assert int(_run(JAXSR_CACHE_DIR=str(tmp_path))[1]) == 0
    assert _run(JAXSR_CACHE_DIR=str(tmp_path)) == second


def test_keep_compiled_programs_can_be_turned_off(tmp_path):
    assert _run(JAXSR_CACHE_DIR=str(tmp_path), JAXSR_CACHE="0") == ["none"]
    assert not list(tmp_path.iterdir())


def test_keep_compiled_programs_where_nothing_can_be_written(tmp_path):
    (tmp_path / "file").write_text("")
    assert _run(JAXSR_CACHE_DIR=str(tmp_path / "file")) == ["none"]
