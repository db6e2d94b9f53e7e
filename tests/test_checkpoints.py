import json
import logging
import os
import re
import shutil
import subprocess
import sys
import threading
from pathlib import Path

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from etils import epath

from jaxsr.errors import InputError
from jaxsr.training import digests
from jaxsr.training.checkpoint_folder import lost_step
from jaxsr.training.checkpoints import Checkpoints
from jaxsr.training.optimizer import create_optimizer
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


def _files(folder):
    return sorted(path for path in folder.rglob("*") if path.is_file())


def _largest(folder):
    return max(_files(folder), key=lambda path: path.stat().st_size)


def _truncate_largest(folder):
    largest = _largest(folder)
    os.truncate(largest, largest.stat().st_size // 2)


def _flip(path, bit):
    data = bytearray(path.read_bytes())
    data[bit // 8 % len(data)] ^= 1 << bit % 8
    path.write_bytes(data)


def _forget_digests(folder):
    """Makes a checkpoint one of before there were digests."""
    (folder / digests.DIGESTS).unlink()
    metadata = folder / "_CHECKPOINT_METADATA"
    metadata.write_text(metadata.read_text().replace(digests.DIGESTS, ""))
    assert not digests.has_digests(epath.Path(folder))


def test_save_keeps_newest_and_best(tmp_path):
    steps = {10: 30.0, 20: 35.0, 30: 31.0, 40: None, 50: 32.0, 60: None}
    assert _save(tmp_path, steps, keep=2) == [20, 50, 60]
    with Checkpoints(tmp_path, read_only=True) as checkpoints:
        assert checkpoints.best_step() == 20


def test_the_best_is_one_of_those_scored_on_the_same(tmp_path):
    """A run may change its benchmarks: what is easy would be the best for ever."""
    _save(tmp_path, {1: 60.0, 2: 61.0}, keep=1, scored_on="easy")
    steps = {3: 31.0, 4: 33.0, 5: 32.0, 6: None}
    assert _save(tmp_path, steps, keep=1, scored_on="hard") == [4, 6]
    with Checkpoints(tmp_path, read_only=True) as checkpoints:
        assert checkpoints.best_step() == 4
    # Those of before say nothing of what they are scored on, and count as the same.
    metrics = tmp_path / "checkpoints" / "4" / "metrics" / "metrics"
    metrics.write_text('{"psnr": 33.0}')
    assert _save(tmp_path, {7: 32.5, 8: None}, keep=1, scored_on="hard") == [4, 8]


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


def test_every_flipped_bit_and_missing_file_is_found(tmp_path):
    _save(tmp_path, {1: 30.0})
    folder = tmp_path / "checkpoints" / "1"
    random = np.random.default_rng()  # other bits each time
    checked = 0
    assert digests.find_damage(epath.Path(folder)) is None
    for path in _files(folder):
        if path.name == "commit_success.txt" and path.parent == folder:
            continue  # says nothing but that it is there
        whole = path.read_bytes()
        for bit in random.integers(0, 8 * len(whole), 20):
            _flip(path, int(bit))
            commit_time = path.name == "_CHECKPOINT_METADATA" and _same_but_time(
                whole, path.read_bytes()
            )
            damage = digests.find_damage(epath.Path(folder))
            assert damage is not None or commit_time, (path, bit)
            path.write_bytes(whole)
            checked += 1
        path.unlink()
        missing = digests.find_damage(epath.Path(folder))
        assert missing == f"{path.relative_to(folder)} is missing"
        path.write_bytes(whole)
    assert checked >= 200
    assert digests.find_damage(epath.Path(folder)) is None


def _same_but_time(before, after):
    def rest(text):
        return re.sub(rb'"commit_timestamp_nsecs": *[^,}]*', b"", text)

    return rest(before) == rest(after)


def test_restore_flipped_bit_takes_the_one_before_and_sets_aside(tmp_path, caplog):
    _save(tmp_path, {1: None, 2: None})
    _flip(_largest(tmp_path / "checkpoints" / "2" / "state" / "ocdbt.process_0"), 3001)
    before = [path.read_bytes() for path in _files(tmp_path / "checkpoints" / "2")]
    for lines in (1, 0):  # the second time there is nothing to say
        caplog.clear()
        with Checkpoints(tmp_path) as checkpoints, caplog.at_level(logging.WARNING):
            restored = checkpoints.restore(_state(7))
        jax.tree.map(np.testing.assert_array_equal, restored, _state(1))
        said = [r.message for r in caplog.records if r.name.startswith("jaxsr")]
        assert len(said) == lines
        assert all(
            line.startswith("checkpoint of step 2 is damaged; trying the one before (")
            for line in said
        )
    aside = tmp_path / "checkpoints" / "2.damaged"
    assert [path.read_bytes() for path in _files(aside)] == before

    # The step is done and saved again, and damaged again.
    _save(tmp_path, {2: None})
    _truncate_largest(tmp_path / "checkpoints" / "2")
    with Checkpoints(tmp_path) as checkpoints:
        assert int(checkpoints.restore(_state(7)).step) == 1
    assert (tmp_path / "checkpoints" / "2.damaged-2").is_dir()


def test_restore_damaged_score_takes_the_one_before(tmp_path, caplog):
    _save(tmp_path, {1: 30.0, 2: 31.0})
    (tmp_path / "checkpoints" / "2" / "metrics" / "metrics").write_text("{")
    with Checkpoints(tmp_path, read_only=True) as checkpoints:
        assert checkpoints.best_step() == 1
    with Checkpoints(tmp_path) as checkpoints, caplog.at_level(logging.WARNING):
        assert int(checkpoints.restore(_state(7)).step) == 1
    assert "checkpoint of step 2 is damaged" in caplog.text
    assert (tmp_path / "checkpoints" / "2.damaged").is_dir()


def test_restore_passing_read_error_is_raised_and_changes_nothing(tmp_path):
    _save(tmp_path, {1: None, 2: None})
    path = _largest(tmp_path / "checkpoints" / "2")
    hidden = path.rename(path.with_name("hidden"))
    path.symlink_to(path)  # cannot be opened, and does exist
    with Checkpoints(tmp_path) as checkpoints:
        with pytest.raises(OSError, match="symbolic links"):
            checkpoints.restore(_state(7))
        with pytest.raises(OSError, match="symbolic links"):
            checkpoints.restore_variables(2, _variables())
        assert checkpoints.steps() == [1, 2]
    path.unlink()
    hidden.rename(path)
    with Checkpoints(tmp_path) as checkpoints:
        assert int(checkpoints.restore(_state(7)).step) == 2


@pytest.mark.parametrize("content", ["{}", "[]", '"text"', "1", None])
def test_digests_that_name_nothing_are_damage(content, tmp_path):
    """With `{}` for digests any flipped bit would go unnoticed."""
    _save(tmp_path, {2: None})
    folder = epath.Path(tmp_path / "checkpoints/2")
    path = tmp_path / "checkpoints/2" / digests.DIGESTS
    path.unlink()
    path.mkdir() if content is None else path.write_text(content)
    assert digests.DIGESTS in digests.find_damage(folder)


@pytest.mark.skipif(sys.platform != "linux", reason="needs a file that fails to read")
def test_a_read_error_names_the_file(tmp_path):
    _save(tmp_path, {2: None, 4: None})
    largest = _largest(tmp_path / "checkpoints/4")
    largest.unlink()
    largest.symlink_to("/proc/self/mem")  # opens, and reading is an I/O error
    with Checkpoints(tmp_path) as checkpoints:
        with pytest.raises(OSError, match=rf"Input/output error: '.*{largest.name}'"):
            checkpoints.restore(_state(0))


def test_restore_of_another_steps_files_takes_the_one_before(tmp_path, caplog):
    """A folder that was copied or renamed does not say what is in it."""
    _save(tmp_path, {2: None, 4: None})
    shutil.copytree(tmp_path / "checkpoints/4", tmp_path / "checkpoints/100")
    with Checkpoints(tmp_path, read_only=True) as checkpoints:
        with pytest.raises(InputError, match="100: its files are those of step 4"):
            checkpoints.restore_variables(100, _variables())
    with Checkpoints(tmp_path) as checkpoints:
        assert checkpoints.restore(_state(0)).step == 4
        checkpoints.save(_state(6))
        checkpoints.wait()
        assert checkpoints.steps() == [2, 4, 6]
    assert "its files are those of step 4" in caplog.text
    assert (tmp_path / "checkpoints/100.damaged").is_dir()


def test_restore_of_an_empty_folder_says_so(tmp_path, caplog):
    _save(tmp_path, {2: None})
    (tmp_path / "checkpoints/4").mkdir()
    with Checkpoints(tmp_path) as checkpoints:
        assert checkpoints.restore(_state(0)).step == 2
    assert "(no state in it)" in caplog.text


@pytest.mark.parametrize("damaged", [False, True])
def test_restore_without_digests_of_older_runs(damaged, tmp_path):
    _save(tmp_path, {1: None, 2: None})
    _forget_digests(tmp_path / "checkpoints" / "2")
    if damaged:
        _truncate_largest(tmp_path / "checkpoints" / "2")
    with Checkpoints(tmp_path) as checkpoints:
        assert int(checkpoints.restore(_state(7)).step) == (1 if damaged else 2)
        assert checkpoints.steps() == ([1] if damaged else [1, 2])
    assert (tmp_path / "checkpoints" / "2.damaged").exists() == damaged


def test_restore_with_clipping_that_came_or_went(tmp_path):
    def state(step, **options):
        optimizer = create_optimizer(optax.constant_schedule(1e-3), **options)
        state = create_state(
            _Network(), optimizer, seed=step, channels=3, use_ema=False
        )
        random = np.random.default_rng(step)
        return state.replace(
            step=jnp.int32(step),
            opt_state=jax.tree.map(
                lambda x: jnp.asarray(random.integers(0, 9, x.shape), x.dtype),
                state.opt_state,
            ),
        )

    for before, after in (
        ({}, {"clip_norm": 1.0}),
        ({"clip_norm": 1.0, "weight_decay": 0.1}, {}),
    ):
        folder = tmp_path / str(len(before))
        with Checkpoints(folder) as checkpoints:
            checkpoints.save(state(1, **before))
            checkpoints.wait()
            restored = checkpoints.restore(state(2, **after))
        expected = state(1, **after)
        assert jax.tree.structure(restored) == jax.tree.structure(expected)
        jax.tree.map(np.testing.assert_array_equal, restored, expected)


def test_save_refuses_what_is_not_finite(tmp_path):
    state = _state(2)
    bad = state.replace(
        ema=jax.tree.map(lambda p: p.at[0].set(jnp.inf), state.ema),
    )
    with Checkpoints(tmp_path) as checkpoints:
        checkpoints.save(_state(1))
        checkpoints.wait()
        with pytest.raises(
            InputError, match="after step 2 ema/bn/bias has .* 3 more.* of step 1, is k"
        ):
            checkpoints.save(bad)
        assert checkpoints.steps() == [1]


def test_save_that_cannot_happen_is_an_error(tmp_path):
    _save(tmp_path, {5: None})
    with Checkpoints(tmp_path) as checkpoints:
        for step in (4, 5):
            with pytest.raises(InputError, match=f"step {step} is not saved.*step 5"):
                checkpoints.save(_state(step))


def test_checkpoints_keep_none_is_refused(tmp_path):
    with pytest.raises(InputError, match="train.keep_checkpoints: expected 1 .* got 0"):
        Checkpoints(tmp_path, keep=0)


def test_lost_step_tells_that_a_checkpoint_was_there(tmp_path):
    assert lost_step(tmp_path) is None
    _save(tmp_path, {1: None, 2: None})
    assert lost_step(tmp_path) is None
    shutil.rmtree(tmp_path / "checkpoints")
    assert lost_step(tmp_path) == 2


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


def test_digests_wait_for_what_orbax_writes_last(tmp_path):
    # A thread of orbax's writes this file, and may come late on a busy machine.
    folder, late = epath.Path(tmp_path), {"custom_metadata": {"a": 1}}
    (folder / "array").write_bytes(b"numbers")
    metadata = folder / "_CHECKPOINT_METADATA"
    metadata.write_text("{}")
    timer = threading.Timer(0.3, lambda: metadata.write_text(json.dumps(late)))
    timer.start()
    digests.write_digests(folder)
    timer.join()
    assert json.loads(metadata.read_text()) == late
    assert digests.find_damage(folder) is None
    metadata.write_text(json.dumps(late | {"item_handlers": "other"}))
    assert "_CHECKPOINT_METADATA" in str(digests.find_damage(folder))
