"""DRCN on the 91 images, and a small one for a CPU.

    python train.py --config=configs/drcn.py:x2            # the paper's network
    python train.py --config=configs/drcn.py:x2,cpu        # 10 minutes of 2 CPU cores

Paper: Kim, Lee and Lee, CVPR 2016, Sec. 4. PSNR / SSIM on Set5 37.63 / 0.9588 (x2),
33.82 / 0.9226 (x3), 31.53 / 0.8854 (x4); six days on a Titan X.

Departs: the paper lowers SGD's rate from 0.01 tenfold when validation stalls, and moves
the loss from the recursions' mean to the final output on a schedule that it does not
give. Here Adam starts at 1e-4 and is lowered tenfold after fixed numbers of steps, and
both halves of the loss weigh the same throughout.

Initialisation: He's and the identity, as in the paper. No average of the parameters
(EMA).
"""

from configs import base, recipes
from configs.base import Config

_RECURSIONS = 16


def get_config(choice: str = "") -> Config:
    """Returns the config of "x2", "x4,cpu", ...: see configs/recipes.py."""
    scale, recipe = recipes.parse(choice)
    config = base.get_config()
    config.name = f"drcn_x{scale}"
    config.model.name = "drcn"
    config.model.scale = scale
    config.model.features = 256
    config.model.recursions = _RECURSIONS

    config.data.train = "t91"
    config.data.patch_size = round(41 / scale)
    config.data.batch_size = 64

    config.schedule.learning_rate = 1e-4
    config.schedule.halve_every = 100_000
    config.schedule.decay_factor = 0.1
    # The paper's 1e-4 is beside half the sum over pixels, this beside the mean.
    pixels = (config.data.patch_size * scale) ** 2
    config.optimizer.weight_decay = 1e-4 / (pixels / 2)
    config.train.loss = "mse"
    config.train.ema_decay = 0.0
    config.train.supervision_weight = 1 / _RECURSIONS
    config.train.steps = 300_000
    config.eval.protocol = "classic"
    patch_size = config.data.patch_size
    small = {"features": 32, "recursions": 6}
    if recipe != "paper":
        config.train.supervision_weight = 1 / small["recursions"]
    return recipes.choose(config, recipe, small=small, patch_size=patch_size)
