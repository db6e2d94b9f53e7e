"""VDSR for the zoo, on luma.

python train.py --config=configs/zoo/vdsr.py:x2
"""

from configs import recipes
from configs.base import Config
from configs.zoo import recipe


def get_config(choice: str = "") -> Config:
    """Returns the config of "x2", "x3" or "x4"."""
    scale, _ = recipes.parse(choice, recipes=())
    config = recipe.begin(
        "vdsr",
        scale,
        steps=4_000 if scale == 2 else 1_000,
        decay_steps=1_000 if scale == 2 else 500,
        learning_rate=3e-3,
        patch_size=48 // scale,
    )
    # Not the first and the last, which see one channel or make one.
    config.optimizer.muon_layers = r"conv(?!00|19)\d+/kernel"
    return config
