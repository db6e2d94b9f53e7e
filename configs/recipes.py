"""What stands behind the colon of --config=configs/edsr.py:x4,cpu: scale and recipe.

Beside its own recipe, "paper", every network has two of minutes on two CPU cores.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from configs import base
from configs.base import Config
from jaxsr.errors import InputError

_SCALES = {"x2": 2, "x3": 3, "x4": 4}
_RECIPES = ("paper", "cpu", "sample")


def parse(choice: str, recipes: Sequence[str] = _RECIPES) -> tuple[int, str]:
    """Returns the scale and the recipe that "x4" or "x4,cpu" chooses.

    Args:
        choice: a scale and, behind a comma, a recipe; default is the first of them.
        recipes: those that there are; none where a config has one only.

    Raises:
        InputError: it is no such choice.
    """
    scale, _, recipe = choice.partition(",")
    default = recipes[0] if recipes else ""
    if scale not in _SCALES:
        example = ",".join(["x4", *recipes[1:2]])
        raise InputError(
            f"expected {', '.join(_SCALES)} behind the colon, as in "
            f":{example}, got {scale or 'nothing'}"
        )
    if recipe and recipe not in recipes:
        raise InputError(
            f"unknown recipe {recipe!r}: expected {' or '.join(recipes) or 'none'}"
        )
    return _SCALES[scale], recipe or default


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
    """
    if recipe == "paper":
        return config
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
