"""SRResNet on DIV2K, and a small one for a CPU.

    python train.py --config=configs/srresnet.py:x4        # the paper's recipe
    python train.py --config=configs/srresnet.py:x4,cpu    # 10 minutes of 2 CPU cores

Paper: Ledig et al., CVPR 2017, Sec. 3.2. It has x4 only: PSNR / SSIM on Set5 32.05 /
0.8910 (the SSIM as EDSR's authors measured it on the published pictures).

A million steps of Adam at 1e-4 on batches of 16 HR patches of 96 pixels. Departs: DIV2K
instead of 350,000 ImageNet pictures.

Initialisation: PyTorch's default. No average of the parameters (EMA), as the running
averages of the normalisations would not fit it.
"""

from configs import base, recipes
from configs.base import Config


def get_config(choice: str = "") -> Config:
    """Returns the config of "x2", "x4,cpu", ...: see configs/recipes.py."""
    scale, recipe = recipes.parse(choice)
    config = base.get_config()
    config.name = f"srresnet_x{scale}"
    config.model.name = "srresnet"
    config.model.scale = scale
    config.model.features = 64
    config.model.depth = 16

    config.data.train = "div2k"
    config.data.patch_size = 96 // scale
    config.data.batch_size = 16

    config.schedule.learning_rate = 1e-4
    config.schedule.schedule = "constant"
    config.train.loss = "mse"
    config.train.steps = 1_000_000
    small = {"features": 16, "depth": 2}
    config = recipes.choose(config, recipe, small=small, patch_size=24)
    if recipe != "paper":
        # While the network moves fast, its running averages lag behind: a constant rate
        # ended 0.6 dB lower after 2 minutes.
        config.schedule.learning_rate = 2e-3
        config.schedule.schedule = "halving"
        config.schedule.halve_every = 400
        config.schedule.final_learning_rate = 1e-4
    config.train.ema_decay = 0.0
    return config
