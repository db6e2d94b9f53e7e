"""LapSRN on the 291 images, and a small one for a CPU.

    python train.py --config=configs/lapsrn.py:x4          # the authors' recipe
    python train.py --config=configs/lapsrn.py:x4,cpu      # 10 minutes of 2 CPU cores

Paper: Lai, Huang, Ahuja and Yang, CVPR 2017. PSNR / SSIM on Set5 37.52 / 0.9590 (x2),
33.82 / 0.9227 (x3), 31.54 / 0.8850 (x4); the authors' weights give 37.46, 33.79 and
31.52 dB here.

Recipe of the authors' code (init_LapSRN_opts.m), with the paper's 1,000 batches to an
epoch. They sum the loss over the pixels of each level where jaxsr takes means: rates
are multiplied, weight decay is divided by the number of pixels, and a level counts by
its share of them. Departs: no random scaling of the images by 0.5 to 1. The authors
train no x3 network; here the loss is behind the shrinking from x4.

Initialisation: He's, and bilinear interpolation, as in that code. No average of the
parameters (EMA).
"""

from configs import base, recipes
from configs.base import Config

_STEPS_PER_EPOCH = 1_000


def get_config(choice: str = "") -> Config:
    """Returns the config of "x2", "x4,cpu", ...: see configs/recipes.py."""
    scale, recipe = recipes.parse(choice)
    config = base.get_config()
    config.name = f"lapsrn_x{scale}"
    config.model.name = "lapsrn"
    config.model.scale = scale
    config.model.features = 64
    config.model.depth = 10

    config.data.train = "t91+bsd200"
    config.data.patch_size = round(128 / scale)
    config.data.batch_size = 64
    pixels = (config.data.patch_size * scale) ** 2

    config.schedule.learning_rate = 1e-5 * pixels
    config.schedule.final_learning_rate = 1e-6 * pixels
    config.schedule.halve_every = 50 * _STEPS_PER_EPOCH
    config.optimizer.name = "sgd"
    config.optimizer.momentum = 0.9
    config.optimizer.weight_decay = 1e-4 / pixels
    config.optimizer.layer_rates[r"[\w/]*bias"] = 0.1
    config.train.loss = "charbonnier"
    config.train.ema_decay = 0.0
    # The level below the last has twice the LR's size.
    config.train.supervision_weight = (2 / scale) ** 2
    config.train.steps = 1_000 * _STEPS_PER_EPOCH
    config.eval.protocol = "classic"
    small = {"features": 24, "depth": 5}
    return recipes.choose(config, recipe, small=small, patch_size=round(96 / scale))
