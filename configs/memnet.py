"""MemNet (M6R6) on the 291 images, and a small one for a CPU.

    python train.py --config=configs/memnet.py:x2          # the authors' recipe
    python train.py --config=configs/memnet.py:x2,cpu      # 10 minutes of 2 CPU cores

Paper: Tai, Yang, Liu and Xu, ICCV 2017. PSNR / SSIM on Set5 37.78 / 0.9597 (x2),
34.09 / 0.9248 (x3), 31.74 / 0.8893 (x4).

Recipe of the authors' Caffe solver: SGD at 0.1, lowered tenfold every 200,000 steps,
batches of 32 patches of 31 pixels, biases at a tenth of the rate, the norm of the
gradient clipped to 0.01 divided by the rate. Caffe's loss is half the sum over pixels
where jaxsr takes means: rates are multiplied, weight decay and clipping are divided by
half the number of pixels. Departs: one network per scale where the authors mix x2, x3
and x4; the clipping stays at that of the first rate. The solver has no end (20 million
steps); here it is after four rates.

Initialisation: He's, but for the reconstruction (jaxsr/models/memnet.py). No average of
the parameters (EMA), as the running averages of the normalisations would not fit it.
"""

from configs import base, recipes
from configs.base import Config

_LEARNING_RATE = 0.1


def get_config(choice: str = "") -> Config:
    """Returns the config of "x2", "x4,cpu", ...: see configs/recipes.py."""
    scale, recipe = recipes.parse(choice)
    config = base.get_config()
    config.name = f"memnet_x{scale}"
    config.model.name = "memnet"
    config.model.scale = scale
    config.model.blocks = 6
    config.model.recursions = 6

    config.data.train = "t91+bsd200"
    config.data.patch_size = round(31 / scale)
    config.data.batch_size = 32
    pixels = (config.data.patch_size * scale) ** 2

    config.schedule.learning_rate = _LEARNING_RATE * pixels / 2
    config.schedule.halve_every = 200_000
    config.schedule.decay_factor = 0.1
    config.optimizer.name = "sgd"
    config.optimizer.momentum = 0.9
    config.optimizer.weight_decay = 1e-4 / (pixels / 2)
    config.optimizer.clip_norm = 0.01 / _LEARNING_RATE / (pixels / 2)
    # Not those of the normalisations.
    config.optimizer.layer_rates[r"[\w/]*(conv1|conv2|gate|head|tail)/bias"] = 0.1
    config.train.loss = "mse"
    config.train.supervision_weight = 1.0
    config.train.steps = 800_000
    config.eval.protocol = "classic"
    small = {"features": 16, "blocks": 3, "recursions": 3}
    patch_size = config.data.patch_size
    config = recipes.choose(config, recipe, small=small, patch_size=patch_size)
    config.train.ema_decay = 0.0
    return config
