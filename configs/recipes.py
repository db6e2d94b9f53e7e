"""What the recipes of several networks have in common."""

from collections.abc import Mapping
from typing import Any

from configs import base
from configs.base import Config


def choose(config: Config, recipe: str, *, small: Mapping[str, Any]) -> Config:
    """Returns the config as it is for "paper", and changed for "cpu".

    "cpu" is 10 minutes of 2 CPU cores on the 291 images: a network that is small enough
    for it, Adam at a constant 1e-3, L1.

    Args:
        small: fields of that network.
    """
    if recipe == "paper":
        return config
    if recipe != "cpu":
        raise ValueError(
            f"unknown recipe {recipe!r} of {config.name}: expected paper, cpu"
        )
    defaults = base.get_config()
    config.name += "_cpu"
    config.model.update(small)
    config.data.train = "t91+bsd200"
    config.data.patch_size = 32
    config.data.batch_size = 16
    config.schedule = defaults.schedule
    config.schedule.learning_rate = 1e-3
    config.schedule.schedule = "constant"
    config.optimizer = defaults.optimizer
    config.train = defaults.train
    config.train.steps = 100_000
    config.train.max_minutes = 10.0
    config.train.log_every = 20
    config.train.eval_every = 100
    config.train.checkpoint_every = 100
    config.eval.benchmarks = "Set5"
    return config
