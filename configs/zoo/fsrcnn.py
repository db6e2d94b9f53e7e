"""FSRCNN(56, 12, 4) for the zoo, on luma.

python train.py --config=configs/zoo/fsrcnn.py:x2
"""

from configs import recipes
from configs.base import Config
from configs.zoo import recipe


def get_config(choice: str = "") -> Config:
    """Returns the config of "x2", "x3" or "x4"."""
    scale, _ = recipes.parse(choice, recipes=())
    config = recipe.begin(
        "fsrcnn", scale, steps=16_000, decay_steps=4_000, learning_rate=3e-3
    )
    config.optimizer.muon_layers = r"head/kernel|map\d+/kernel"
    return config
