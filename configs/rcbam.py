"""RCBAM, the first paper's recipe and two small ones.

    python train.py --config=configs/rcbam_x2.py            # the paper's, on DIV2K
    python train.py --config=configs/rcbam_x2.py:cpu        # 10 minutes of 2 CPU cores
    python train.py --config=configs/rcbam_x2.py:sample     # 5 minutes, no data needed

Paper: "Image Super-Resolution Reconstruction Based on Residual Convolution and Double
Attention Mechanism", Sec. 4.1. It reports PSNR / SSIM on Set5 of 37.49 / 0.9623 (x2),
33.78 / 0.9147 (x3) and 31.24 / 0.8894 (x4) and on Set14 of 32.96 / 0.9207, 29.74 /
0.8337 and 28.01 / 0.7832; hardware and time are not stated.

Not stated: initialisation, LeCun normal and zero for the last convolution; and an
average of the parameters (EMA), of which none is kept.
"""

from configs import base, recipes
from configs.base import Config

# "Halved every 200 cycles": a cycle is read as an epoch of 1,000 steps, as in EDSR and
# in the second paper. An epoch of 800 images / 64 would be 12.5 steps and the rate
# would be gone before the network has learned anything.
_STEPS_PER_EPOCH = 1_000


def get_config(choice: str = "") -> Config:
    """Returns the config of "x2", "x4,cpu", ...: see configs/recipes.py."""
    scale, recipe = recipes.parse(choice)
    config = base.get_config()
    config.name = f"rcbam_x{scale}"
    config.model.name = "rcbam"
    config.model.scale = scale
    # Number of blocks and features are not in the paper; see jaxsr/models/rcbam.py.
    config.model.features = 64
    config.model.depth = 16

    config.data.train = "div2k"
    config.data.patch_size = 96
    config.data.batch_size = 64

    config.schedule.learning_rate = 1e-4
    config.schedule.schedule = "halving"
    config.schedule.halve_every = 200 * _STEPS_PER_EPOCH
    config.train.loss = "mse"
    config.train.ema_decay = 0.0
    # The paper does not say how long it trained; the rate is halved four times.
    config.train.steps = 1_000 * _STEPS_PER_EPOCH

    patch_size = 32
    small = {"features": 32, "depth": 6, "pool_size": patch_size}
    config = recipes.choose(config, recipe, small=small, patch_size=patch_size)
    if recipe != "paper":
        # The gates start by halving twice what a block adds: this network learns
        # faster at a higher rate than others, see docs/results.md.
        config.schedule.learning_rate = 3e-3
        config.schedule.warmup_steps = 200
        # Worth several times as many steps of Adam, see docs/muon.md.
        config.optimizer.name = "muon"
        # A gradient is about 0.015 long, now and then a hundred times as long.
        config.optimizer.clip_norm = 0.05
    return config
