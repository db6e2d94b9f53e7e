"""LapSRN for the zoo, on luma.

python train.py --config=configs/zoo/lapsrn.py:x2
"""

from configs import recipes
from configs.base import Config
from configs.zoo import recipe


def get_config(choice: str = "") -> Config:
    """Returns the config of "x2", "x3" or "x4"."""
    scale, _ = recipes.parse(choice, recipes=())
    config = recipe.begin(
        "lapsrn",
        scale,
        steps=4_000 if scale == 2 else 1_500,
        decay_steps=1_000 if scale == 2 else 500,
        learning_rate=3e-3,
    )
    config.train.loss = "charbonnier"
    # The level below the last has twice the LR's size.
    config.train.supervision_weight = (2 / scale) ** 2
    return config
