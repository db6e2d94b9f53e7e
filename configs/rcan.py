"""RCAN on DIV2K, and a small one for a CPU.

    python train.py --config=configs/rcan_x2.py            # the paper's recipe
    python train.py --config=configs/rcan_x2.py:cpu        # 10 minutes of 2 CPU cores

Paper: Zhang et al., ECCV 2018, Sec. 4.1. PSNR / SSIM on Set5 38.27 / 0.9614 (x2), 34.74
/ 0.9299 (x3), 32.63 / 0.9002 (x4).

The length, 1,000 epochs of 1,000 steps, is the default of the authors' code. Departs:
x3 and x4 are trained from the start. Theirs begin with the weights of x2; for that add
--config.train.init_from=runs/rcan_x2.
"""

from configs import base, recipes
from configs.base import Config

_STEPS_PER_EPOCH = 1_000


def get_config(scale: int, recipe: str = "paper") -> Config:
    """Returns the config of one scale; `recipe` as in configs/recipes.py."""
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
    config.train.roll_blocks = "accelerator"  # 200 blocks compile for minutes
    config.train.steps = 1_000 * _STEPS_PER_EPOCH
    small = {"features": 32, "groups": 2, "depth": 4, "reduction": 8}
    return recipes.choose(config, recipe, small=small)
