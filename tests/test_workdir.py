"""A run's folder, and how the keys of training shape the network."""

import itertools
import json
import shutil

import jax
import jax.numpy as jnp
import optax
import pytest

from configs import rcan, srcnn
from jaxsr.errors import InputError
from jaxsr.layers.block_loop import BlockLoop
from jaxsr.training.checkpoints import Checkpoints
from jaxsr.training.network import create_training_model
from jaxsr.training.saved_run import load_run
from jaxsr.training.state import create_state
from jaxsr.training.workdir import check_workdir, claim_workdir


def _block_loop(**keys) -> BlockLoop:
    config = rcan.get_config("x2")
    config.train.update(keys)
    return create_training_model(config).block_loop  # pyright: ignore


def test_create_training_model_rolls_on_accelerators_only(monkeypatch):
    assert _block_loop() == BlockLoop()
    assert _block_loop(roll_blocks="always") == BlockLoop(roll=True)
    monkeypatch.setattr(jax, "default_backend", lambda: "gpu")
    assert _block_loop() == BlockLoop(roll=True)
    assert _block_loop(roll_blocks="never", remat="blocks") == BlockLoop(remat=True)


@pytest.mark.parametrize(
    ("key", "value"), [("remat", "blocks"), ("roll_blocks", "accelerator")]
)
def test_create_training_model_needs_a_chain_of_blocks(key, value):
    config = srcnn.get_config("x2")
    config.train[key] = value
    with pytest.raises(InputError, match=f"train.{key}: srcnn has no chain.*{value}"):
        create_training_model(config)


def _wsd(*, steps, decay_steps):
    config = srcnn.get_config("x2")
    config.schedule.update(schedule="wsd", decay_steps=decay_steps)
    config.train.steps = steps
    return config


@pytest.mark.parametrize(
    ("step", "steps", "decay_steps", "differs"),
    [
        (60, 200, 40, None),
        (60, 200, 100, None),
        (80, 100, 20, None),  # both begin to fall here or later
        (81, 100, 40, "schedule.decay_steps=20"),
        (90, 200, 20, "train.steps=100"),  # the run's own fall has begun
        (60, 100, 50, "schedule.decay_steps=20"),  # it would have begun before
        (60, 70, 20, "train.steps=100"),
    ],
)
def test_check_workdir_wsd_end_is_free_until_the_fall_begins(
    step, steps, decay_steps, differs, tmp_path
):
    claim_workdir(tmp_path, _wsd(steps=100, decay_steps=20))
    (tmp_path / "checkpoints" / str(step)).mkdir()
    config = _wsd(steps=steps, decay_steps=decay_steps)
    if differs is None:
        check_workdir(tmp_path, config)
    else:
        with pytest.raises(InputError, match=f"holds a run with {differs}"):
            check_workdir(tmp_path, config)


def _run(workdir, config, *, steps=(2, 4), scores=()):
    """Makes a folder as a run leaves it."""
    model = create_training_model(config)
    state = create_state(model, optax.adam(1e-3), seed=0, channels=1, use_ema=False)
    check_workdir(workdir, config)
    claim_workdir(workdir, config)
    with Checkpoints(workdir) as checkpoints:
        for step, psnr in itertools.zip_longest(steps, scores):
            checkpoints.save(state.replace(step=jnp.int32(step)), psnr=psnr)
    (workdir / "metrics.jsonl").write_text('{"step": 4}\n')


def _remove_checkpoints(workdir):
    shutil.rmtree(workdir / "checkpoints")


def _empty_checkpoints(workdir):
    _remove_checkpoints(workdir)
    (workdir / "checkpoints").mkdir()


def _remove_config(workdir):
    (workdir / "config.json").unlink()


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (_remove_checkpoints, "checkpoints are gone, though the one of step 4 was"),
        (_empty_checkpoints, "checkpoints are gone, though the one of step 4 was"),
        (_remove_config, "holds checkpoints, but no config.json"),
    ],
)
def test_check_workdir_refuses_a_run_that_lost_a_part(damage, message, tmp_path):
    config = srcnn.get_config("x2")
    _run(tmp_path, config)
    check_workdir(tmp_path, config)
    damage(tmp_path)
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(InputError, match=f"{message}.* to go on.* another --workdir"):
        check_workdir(tmp_path, config)
    assert sorted(tmp_path.rglob("*")) == before


def test_check_workdir_takes_a_run_killed_before_its_first_checkpoint(tmp_path):
    config = srcnn.get_config("x2")
    claim_workdir(tmp_path, config)
    (tmp_path / "metrics.jsonl").write_text('{"step": 1}\n')
    check_workdir(tmp_path, config)
    _remove_checkpoints(tmp_path)  # of a run of before there was newest_checkpoint.json
    with pytest.raises(InputError, match="checkpoints are gone: put them back"):
        check_workdir(tmp_path, config)


def test_check_workdir_change_recipe_is_by_wish_and_on_record(tmp_path):
    config = srcnn.get_config("x2")
    _run(tmp_path, config)
    before = config.schedule.learning_rate
    config.schedule.learning_rate = before / 2
    with pytest.raises(InputError, match="go on with it by .*change_recipe=True"):
        check_workdir(tmp_path, config)
    config.train.change_recipe = True
    config.optimizer.clip_norm = 1.0
    check_workdir(tmp_path, config)
    claim_workdir(tmp_path, config)
    earlier = json.loads((tmp_path / "config-until-step-4.json").read_text())
    assert earlier["schedule"]["learning_rate"] == before
    now = json.loads((tmp_path / "config.json").read_text())
    assert now["schedule"]["learning_rate"] == before / 2
    # From now on that is the run's recipe, with the wish or without.
    config.train.change_recipe = False
    check_workdir(tmp_path, config)
    # Another network or other data are not a recipe's change.
    config.train.change_recipe = True
    size = config.data.patch_size
    config.data.patch_size = size + 1
    with pytest.raises(
        InputError, match=f"data.patch_size={size}, this config has {size + 1}"
    ):
        check_workdir(tmp_path, config)


def test_load_run_best_needs_an_evaluation(tmp_path):
    config = srcnn.get_config("x2")
    _run(tmp_path / "without", config)
    with pytest.raises(InputError, match=r"none of the checkpoints \[2, 4\] was saved"):
        load_run(tmp_path / "without", step="best")
    _run(tmp_path / "with", config, scores=(31.0, 30.0))
    assert load_run(tmp_path / "with", step="best")[3] == 2
    with pytest.raises(InputError, match="expected last, best or a number, got 'lst'"):
        load_run(tmp_path / "with", step="lst")


def test_load_run_of_lost_checkpoints_does_not_say_that_there_were_none(tmp_path):
    config = srcnn.get_config("x2")
    claim_workdir(tmp_path / "new", config)
    with pytest.raises(InputError, match="the run has no checkpoint yet"):
        load_run(tmp_path / "new")
    _run(tmp_path / "old", config)
    _empty_checkpoints(tmp_path / "old")
    with pytest.raises(InputError, match="the run's checkpoints are gone"):
        load_run(tmp_path / "old")


def test_load_run_takes_the_one_before_a_damaged_one(tmp_path, caplog):
    _run(tmp_path, srcnn.get_config("x2"))
    (tmp_path / "checkpoints" / "4" / "state" / "manifest.ocdbt").unlink()
    assert load_run(tmp_path)[3] == 2
    said = [r.message for r in caplog.records if r.name.startswith("jaxsr")]
    assert len(said) == 1 and "checkpoints/4: the checkpoint is damaged" in said[0]
    with pytest.raises(InputError, match="4: the checkpoint is damaged .*missing"):
        load_run(tmp_path, step=4)
    assert (tmp_path / "checkpoints" / "4").is_dir()
