"""SRCNN (9-5-5) for the zoo, on luma.

python train.py --config=configs/zoo/srcnn.py:x2
"""

from configs import recipes
from configs.base import Config
from configs.zoo import recipe


def get_config(choice: str = "") -> Config:
    """Returns the config of "x2", "x3" or "x4"."""
    scale, _ = recipes.parse(choice, recipes=())
    config = recipe.begin(
        "srcnn",
        scale,
        steps=8_000 if scale == 2 else 3_000,
        decay_steps=2_000 if scale == 2 else 1_000,
        learning_rate=1e-3,
        patch_size=48 // scale,
    )
    config.optimizer.muon_layers = r"conv[12]/kernel"
    return config
