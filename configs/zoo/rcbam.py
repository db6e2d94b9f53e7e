"""RCBAM for the zoo, the network of the paper's sizes, as configs/rcbam.py reads them.

python train.py --config=configs/zoo/rcbam.py:x2            # then x3 and x4, which
python train.py --config=configs/zoo/rcbam.py:x3            # start from x2
python train.py --config=configs/zoo/rcbam.py:x4
"""

from configs import recipes
from configs.base import Config
from configs.zoo import recipe

_STEPS = {2: 4_700, 3: 1_200, 4: 1_000}
_DECAY_STEPS = {2: 1_000, 3: 500, 4: 400}


def get_config(choice: str = "") -> Config:
    """Returns the config of "x2", "x3" or "x4"."""
    scale, _ = recipes.parse(choice, recipes=())
    config = recipe.begin(
        "rcbam",
        scale,
        steps=_STEPS[scale],
        decay_steps=_DECAY_STEPS[scale],
        learning_rate=3e-3,
    )
    config.model.features = 64
    config.model.depth = 16
    config.model.pool_size = config.data.patch_size
    return config
