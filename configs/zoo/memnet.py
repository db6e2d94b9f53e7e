"""MemNet (M6R6) for the zoo, on luma.

python train.py --config=configs/zoo/memnet.py:x2
"""

from configs import recipes
from configs.base import Config
from configs.zoo import recipe


def get_config(choice: str = "") -> Config:
    """Returns the config of "x2", "x3" or "x4"."""
    scale, _ = recipes.parse(choice, recipes=())
    config = recipe.begin(
        "memnet",
        scale,
        steps=2_500 if scale == 2 else 1_000,
        decay_steps=1_000 if scale == 2 else 500,
        learning_rate=3e-3,
        patch_size=32 // scale,
    )
    # The running averages of the normalisations would not fit averaged parameters.
    config.train.ema_decay = 0.0
    return config
