"""EDSR and its baseline on DIV2K, and a small one for a CPU.

    python train.py --config=configs/edsr.py:x2            # 32 blocks of 256 features
    python train.py --config=configs/edsr_baseline.py:x2   # 16 blocks of 64 features
    python train.py --config=configs/edsr.py:x2,cpu        # 10 minutes of 2 CPU cores

Paper: Lim et al., CVPRW 2017, Sec. 4.2. PSNR / SSIM on Set5: EDSR 38.11 / 0.9601 (x2),
34.65 / 0.9282 (x3), 32.46 / 0.8968 (x4); baseline 37.99 / 0.9604 (x2), 32.09 / 0.8938
(x4). The paper's EDSR took 8 days on a Titan X.

Number of steps and the halving after 200,000 are those of the authors' PyTorch code.
Departs: x3 and x4 are trained from the start. The paper's begin with the weights of x2;
for that add --config.train.init_from=runs/edsr_x2.

Initialisation: PyTorch's default, as in that code. No average of the parameters (EMA).
"""

from configs import base, recipes
from configs.base import Config


def get_config(choice: str = "", *, name: str = "edsr") -> Config:
    """Returns the config of "x2", "x4,cpu", ...: see configs/recipes.py."""
    scale, recipe = recipes.parse(choice)
    config = base.get_config()
    config.name = f"{name}_x{scale}"
    config.model.name = name
    config.model.scale = scale

    config.data.train = "div2k"
    config.data.patch_size = 48
    config.data.batch_size = 16

    config.schedule.learning_rate = 1e-4
    config.schedule.halve_every = 200_000
    config.train.loss = "l1"
    config.train.ema_decay = 0.0
    config.train.steps = 300_000
    small = {"features": 32, "depth": 6, "res_scale": 1.0}
    return recipes.choose(config, recipe, small=small)
