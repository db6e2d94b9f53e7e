"""SAN on DIV2K, and a small one for a CPU.

    python train.py --config=configs/san.py:x2             # the paper's recipe
    python train.py --config=configs/san.py:x2,cpu         # 10 minutes of 2 CPU cores

Paper: Dai, Cai, Zhang, Xia and Zhang, CVPR 2019, Sec. 4.1. PSNR / SSIM on Set5
38.31 / 0.9620 (x2), 34.75 / 0.9300 (x3), 32.64 / 0.9003 (x4). People who trained it
again report about 37.8 dB at x2 (issues 20 and 30 of daitao/SAN).

The paper's settings; the authors' code has batches of 16 and the rate times 0.6 every
50 epochs, for up to 3,000. When training stopped is not known: here after 1,000 epochs,
when the rate has been halved four times.

Initialisation: PyTorch's default, as in that code. No average of the parameters (EMA).
"""

from configs import base, recipes
from configs.base import Config

_STEPS_PER_EPOCH = 1_000


def get_config(choice: str = "") -> Config:
    """Returns the config of "x2", "x4,cpu", ...: see configs/recipes.py."""
    scale, recipe = recipes.parse(choice)
    config = base.get_config()
    config.name = f"san_x{scale}"
    config.model.name = "san"
    config.model.scale = scale
    config.model.features = 64
    config.model.groups = 20
    config.model.depth = 10

    config.data.train = "div2k"
    config.data.patch_size = 48
    config.data.batch_size = 8

    config.schedule.learning_rate = 1e-4
    config.schedule.halve_every = 200 * _STEPS_PER_EPOCH
    config.optimizer.b2 = 0.99
    config.train.loss = "l1"
    config.train.ema_decay = 0.0
    config.train.roll_blocks = "accelerator"  # 200 blocks compile for minutes
    config.train.steps = 1_000 * _STEPS_PER_EPOCH
    small = {"features": 24, "groups": 3, "depth": 2, "reduction": 4}
    return recipes.choose(config, recipe, small=small)
