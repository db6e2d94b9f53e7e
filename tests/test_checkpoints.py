import logging
import os
import subprocess
import sys
from pathlib import Path

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from jaxsr.errors import InputError
from jaxsr.training.checkpoints import Checkpoints
from jaxsr.training.state import create_state


class _Network(nn.Module):
    features: int = 3

    @nn.compact
    def __call__(self, lr):
        x = nn.BatchNorm(use_running_average=True, name="bn")(lr)
        return nn.Conv(self.features, (3, 3), name="conv")(x)


def _state(step, *, use_ema=True):
    state = create_state(
        _Network(), optax.adam(1e-3), seed=step, channels=3, use_ema=use_ema
    )
    return state.replace(step=jnp.int32(step))


def _save(workdir, steps, **options):
    with Checkpoints(workdir, **options) as checkpoints:
        for step, psnr in steps.items():
            checkpoints.save(_state(step), psnr=psnr)
        checkpoints.wait()
        return checkpoints.steps()


def _variables(features=3):
    return jax.eval_shape(
        _Network(features).init, jax.random.key(0), jnp.zeros((1, 8, 8, 3))
    )


def _truncate_largest(folder):
    files = [path for path in folder.rglob("*") if path.is_file()]
    largest = max(files, key=lambda path: path.stat().st_size)
    os.truncate(largest, largest.stat().st_size // 2)


def test_save_keeps_newest_and_best(tmp_path):
    steps = {10: 30.0, 20: 35.0, 30: 31.0, 40: None, 50: 32.0, 60: None}
    assert _save(tmp_path, steps, keep=2) == [20, 50, 60]
    with Checkpoints(tmp_path, read_only=True) as checkpoints:
        assert checkpoints.best_step() == 20


def test_save_on_a_full_disk_is_one_line_and_keeps_the_one_before(tmp_path):
    _save(tmp_path, {1: None})
    # In a process of its own: orbax's threads and event loops go down with an error.
    code = f"""
import resource, sys
sys.path.insert(0, {str(Path(__file__).parent)!r})
from test_checkpoints import _save
from jaxsr.errors import reports_input_errors
resource.setrlimit(resource.RLIMIT_FSIZE, (100, 100))
sys.exit(reports_input_errors(_save)({str(tmp_path)!r}, {{2: None}}))
"""
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True
    )
    assert result.returncode == 1
    assert "checkpoints: a checkpoint cannot be written" in result.stderr
    with Checkpoints(tmp_path) as checkpoints:
        restored = checkpoints.restore(_state(7))
        assert checkpoints.steps() == [1]
    assert int(restored.step) == 1


def test_restore_returns_every_bit_of_the_newest(tmp_path):
    _save(tmp_path, {1: None, 2: None})
    with Checkpoints(tmp_path) as checkpoints:
        restored = checkpoints.restore(_state(7))
    jax.tree.map(np.testing.assert_array_equal, restored, _state(2))


def test_restore_of_empty_folder_is_none(tmp_path):
    with Checkpoints(tmp_path) as checkpoints:
        assert checkpoints.restore(_state(0)) is None


def test_restore_truncated_newest_falls_back_and_says_so(tmp_path, caplog):
    _save(tmp_path, {1: None, 2: None})
    _truncate_largest(tmp_path / "checkpoints" / "2")
    with Checkpoints(tmp_path) as checkpoints, caplog.at_level(logging.WARNING):
        restored = checkpoints.restore(_state(7))
        assert checkpoints.steps() == [1]
    assert int(restored.step) == 1
    assert "checkpoint of step 2 is damaged; trying the one before" in caplog.text


def test_restore_nothing_readable_says_what_to_do(tmp_path):
    _save(tmp_path, {1: None})
    _truncate_largest(tmp_path / "checkpoints" / "1")
    with (
        Checkpoints(tmp_path) as checkpoints,
        pytest.raises(InputError, match=r"none of the checkpoints of steps \[1\]"),
    ):
        checkpoints.restore(_state(7))


@pytest.mark.parametrize("use_ema", [True, False])
def test_restore_variables_needs_no_optimizer(tmp_path, use_ema):
    state = _state(1, use_ema=use_ema)
    if use_ema:
        state = state.replace(ema=jax.tree.map(lambda p: p + 1, state.params))
    with Checkpoints(tmp_path) as checkpoints:
        checkpoints.save(state)
        checkpoints.wait()
        variables = checkpoints.restore_variables(1, _variables())
    jax.tree.map(np.testing.assert_array_equal, variables, state.variables())


def test_restore_variables_of_another_network_names_the_parameter(tmp_path):
    _save(tmp_path, {1: None})
    with (
        Checkpoints(tmp_path, read_only=True) as checkpoints,
        pytest.raises(InputError, match=r"params/conv/bias expected \[5\], got \[3\]"),
    ):
        checkpoints.restore_variables(1, _variables(features=5))
