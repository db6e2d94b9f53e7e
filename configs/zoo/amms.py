"""AMMS (MLRN) for the zoo, the network of configs/amms.py.

python train.py --config=configs/zoo/amms.py:x2
"""

from configs import recipes
from configs.base import Config
from configs.zoo import recipe


def get_config(choice: str = "") -> Config:
    """Returns the config of "x2", "x3" or "x4"."""
    scale, _ = recipes.parse(choice, recipes=())
    config = recipe.begin(
        "amms",
        scale,
        steps=5_000 if scale == 2 else 1_500,
        decay_steps=1_250 if scale == 2 else 500,
        learning_rate=1e-3,
    )
    config.model.features = 64
    config.model.depth = 16
    config.optimizer.muon_layers = r".*conv[1-5]/kernel|body_end/kernel"
    # At 2e-3 the ReLUs of this width and depth fall silent, see docs/muon.md.
    config.optimizer.layer_rates = {
        r"[\w/]*(non_local|second_order|fuse|shallow|correction)/[\w/]*": 0.5
    }
    return config
