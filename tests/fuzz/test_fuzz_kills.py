"""SIGKILL at any moment of a run: what goes on equals a run that was never killed."""

import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import jax
import numpy as np
import pytest

from jaxsr.imaging import write_image
from jaxsr.training.saved_run import load_run
from tests.fuzz.fuzzing import COUNTS, MINUTES

_ROOT = Path(__file__).parents[2]
_STEPS = 60
_SHARE = 0.1


def _start(folder: Path, workdir: str) -> subprocess.Popen:
    keys = {
        "data.train": f"folder:{folder / 'photos'}",
        "data.patch_size": 8,
        "data.batch_size": 8,
        "data.pipeline": "device",
        "eval.benchmarks": "",
        "train.steps": _STEPS,
        "train.checkpoint_every": 3,
        "train.eval_every": 0,
        "train.log_every": 1,
    }
    return subprocess.Popen(
        [sys.executable, "train.py", "--config=configs/espcn.py:x2"]
        + [f"--workdir={folder / workdir}"]
        + [f"--config.{key}={value}" for key, value in keys.items()],
        cwd=_ROOT,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )


@pytest.mark.skipif(not MINUTES, reason="by hand; tests/test_train.py has one")
def test_killed_at_any_moment(tmp_path):
    for k in range(2):
        photo = np.random.default_rng(k).integers(0, 256, (32, 40, 3), np.uint8)
        write_image(tmp_path / f"photos/{k}.png", photo)
    begun = time.monotonic()
    whole = _start(tmp_path, "whole")
    _, said = whole.communicate()
    assert whole.returncode == 0, said
    usual = time.monotonic() - begun
    expected = jax.tree.leaves(load_run(tmp_path / "whole")[2])
    number, end = 0, begun + 60 * MINUTES * _SHARE
    while time.monotonic() < end:
        number += 1
        while True:
            process = _start(tmp_path, f"run{number}")
            try:
                _, said = process.communicate(timeout=random.uniform(0, usual))
            except subprocess.TimeoutExpired:
                process.send_signal(signal.SIGKILL)
                _, said = process.communicate()
                COUNTS["runs: killed"] += 1
                assert "Traceback" not in said and "damaged" not in said
                continue
            assert process.returncode == 0, said
            break
        *_, variables, step = load_run(tmp_path / f"run{number}")
        assert step == _STEPS
        for ours, theirs in zip(jax.tree.leaves(variables), expected, strict=True):
            np.testing.assert_array_equal(ours, theirs)
        COUNTS["runs: killed, ended, equal to the unbroken one"] += 1
