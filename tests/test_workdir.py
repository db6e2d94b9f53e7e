"""How the keys of training shape the network that is trained."""

import jax
import pytest

from configs import rcan, srcnn
from jaxsr.errors import InputError
from jaxsr.layers.block_loop import BlockLoop
from jaxsr.training.workdir import create_training_model


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
