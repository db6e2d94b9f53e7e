"""RCBAM for the zoo, the network of the paper's sizes, as configs/rcbam.py reads them.

python train.py --config=configs/zoo/rcbam.py:x2            # then x3 and x4, which
python train.py --config=configs/zoo/rcbam.py:x3            # start from x2
python train.py --config=configs/zoo/rcbam.py:x4
"""

from configs import recipes
from configs.base import Config
from configs.zoo import recipe


def get_config(choice: str = "") -> Config:
    """Returns the config of "x2", "x3" or "x4"."""
    scale, _ = recipes.parse(choice, recipes=())
    config = recipe.begin(
        "rcbam",
        scale,
        steps=4_700 if scale == 2 else 1_200,
        decay_steps=1_000 if scale == 2 else 500,
        learning_rate=3e-3,
    )
    config.model.features = 64
    config.model.depth = 16
    config.model.pool_size = config.data.patch_size
    return config
