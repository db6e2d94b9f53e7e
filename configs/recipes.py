"""The recipes that every network has beside its own: minutes on two CPU cores."""

from collections.abc import Mapping
from typing import Any

from configs import base
from configs.base import Config


def choose(
    config: Config, recipe: str, *, small: Mapping[str, Any], patch_size: int = 32
) -> Config:
    """Returns the config as it is for "paper", and changed for "cpu" and "sample".

    "cpu" is 10 minutes of 2 CPU cores on the 291 images: a network that is small
    enough for it, L1, Adam at a constant 1e-3. "sample" is the same for 5 minutes on
    the photos that come with scikit-image, so that it needs no data.

    Args:
        small: fields of the small network.
        patch_size: of the LR, in pixels.

    Raises:
        ValueError: no such recipe.
    """
    if recipe == "paper":
        return config
    if recipe not in ("cpu", "sample"):
        raise ValueError(
            f"unknown recipe {recipe!r} of {config.name}: expected paper, cpu or sample"
        )
    defaults = base.get_config()
    config.name += f"_{recipe}"
    config.model.update(small)
    config.data.train = "t91+bsd200"
    config.data.patch_size = patch_size
    config.data.batch_size = 16
    config.data.skip_small = True
    config.schedule = defaults.schedule
    config.schedule.learning_rate = 1e-3
    config.schedule.schedule = "constant"
    config.optimizer = defaults.optimizer
    supervision_weight = config.train.supervision_weight
    config.train = defaults.train
    config.train.supervision_weight = supervision_weight
    config.train.steps = 100_000
    config.train.max_minutes = 10.0
    config.train.log_every = 20
    config.train.eval_every = 100
    config.train.checkpoint_every = 100
    config.eval = defaults.eval
    config.eval.benchmarks = "Set5"
    if recipe == "sample":
        config.data.train = "sample"
        config.train.max_minutes = 5.0
        config.eval.benchmarks = "sample"
    return config
