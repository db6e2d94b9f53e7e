"""EDSR-baseline for the zoo.

python train.py --config=configs/zoo/edsr_baseline.py:x2
"""

from configs import recipes
from configs.base import Config
from configs.zoo import recipe


def get_config(choice: str = "") -> Config:
    """Returns the config of "x2", "x3" or "x4"."""
    scale, _ = recipes.parse(choice, recipes=())
    return recipe.begin(
        "edsr_baseline",
        scale,
        steps=4_000 if scale == 2 else 1_500,
        decay_steps=1_000 if scale == 2 else 500,
        learning_rate=1e-3,  # three times as much costs 1.4 dB: docs/results.md
    )
