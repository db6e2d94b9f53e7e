"""A run's folder, and how the keys of training shape the network."""

import jax
import pytest

from configs import rcan, srcnn
from jaxsr.errors import InputError
from jaxsr.layers.block_loop import BlockLoop
from jaxsr.training.workdir import (
    check_workdir,
    claim_workdir,
    create_training_model,
)


def _block_loop(**keys) -> BlockLoop:
    config = rcan.get_config(2)
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
    config = srcnn.get_config(2)
    config.train[key] = value
    with pytest.raises(InputError, match=f"train.{key}: srcnn has no chain.*{value}"):
        create_training_model(config)


def _wsd(*, steps, decay_steps):
    config = srcnn.get_config(2)
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
