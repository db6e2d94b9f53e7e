"""MSRResNet on DIV2K, and a small one for a CPU.

    python train.py --config=configs/msrresnet.py:x4       # BasicSR's recipe
    python train.py --config=configs/msrresnet.py:x4,cpu   # 10 minutes of 2 CPU cores

Source: BasicSR's options for MSRResNet, which report a PSNR on Set5 of 35.75 (x2),
32.40 (x3) and 30.25 (x4), over RGB and not luma.

Departs: the rate falls along one cosine where theirs starts anew every 250,000 steps;
x2 and x3 are trained from the start. Theirs begin with the weights of x4; for that add
--config.train.init_from=runs/msrresnet_x4.

Initialisation: He's with a tenth of the deviation; EMA 0.999; both as in BasicSR.
"""

from configs import base, recipes
from configs.base import Config


def get_config(choice: str = "") -> Config:
    """Returns the config of "x2", "x4,cpu", ...: see configs/recipes.py."""
    scale, recipe = recipes.parse(choice)
    config = base.get_config()
    config.name = f"msrresnet_x{scale}"
    config.model.name = "msrresnet"
    config.model.scale = scale
    config.model.features = 64
    config.model.depth = 16

    config.data.train = "div2k"
    config.data.patch_size = 32
    config.data.batch_size = 16

    config.schedule.learning_rate = 2e-4
    config.schedule.schedule = "cosine"
    config.schedule.final_learning_rate = 1e-7
    config.optimizer.b2 = 0.99
    config.train.loss = "l1"
    config.train.ema_decay = 0.999
    config.train.steps = 1_000_000
    return recipes.choose(config, recipe, small={"features": 32, "depth": 6})
