"""RCAN on DIV2K, and a small one for a CPU.

    python train.py --config=configs/rcan.py:x2            # the paper's recipe
    python train.py --config=configs/rcan.py:x2,cpu        # 10 minutes of 2 CPU cores

Paper: Zhang et al., ECCV 2018, Sec. 4.1. PSNR / SSIM on Set5 38.27 / 0.9614 (x2), 34.74
/ 0.9299 (x3), 32.63 / 0.9002 (x4).

The length, 1,000 epochs of 1,000 steps, is the default of the authors' code. Departs:
x3 and x4 are trained from the start. Theirs begin with the weights of x2; for that add
--config.train.init_from=runs/rcan_x2.

Initialisation: PyTorch's default, as in that code. No average of the parameters (EMA).
"""

from configs import base, recipes
from configs.base import Config

_STEPS_PER_EPOCH = 1_000


def get_config(choice: str = "") -> Config:
    """Returns the config of "x2", "x4,cpu", ...: see configs/recipes.py."""
    scale, recipe = recipes.parse(choice)
    config = base.get_config()
    config.name = f"rcan_x{scale}"
    config.model.name = "rcan"
    config.model.scale = scale
    config.model.features = 64
    config.model.groups = 10
    config.model.depth = 20
    config.model.reduction = 16

    config.data.train = "div2k"
    config.data.patch_size = 48
    config.data.batch_size = 16

    config.schedule.learning_rate = 1e-4
    config.schedule.halve_every = 200 * _STEPS_PER_EPOCH
    config.train.loss = "l1"
    config.train.ema_decay = 0.0
    config.train.roll_blocks = "accelerator"  # 200 blocks compile for minutes
    config.train.steps = 1_000 * _STEPS_PER_EPOCH
    small = {"features": 32, "groups": 2, "depth": 4, "reduction": 8}
    return recipes.choose(config, recipe, small=small)
