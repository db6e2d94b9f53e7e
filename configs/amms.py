"""AMMS (MLRN), the second paper's recipe and a small one for a CPU.

    python train.py --config=configs/amms_x2.py            # the paper's, on 291 images
    python train.py --config=configs/amms_x2.py:cpu        # 10 minutes of 2 CPU cores

Paper: "Image Super-Resolution Reconstruction Based on Attention Mechanism and
Multi-scale Feature Fusion", Sec. 4.1 and 4.2. It reports PSNR / SSIM on Set5 of
37.92 / 0.9623 (x2), 34.23 / 0.9299 (x3) and 31.95 / 0.8912 (x4) and about 5 days on a
GTX 1080 Ti. Its ablation is `benchmarks/ablation.py`.

Not stated: initialisation, PyTorch's default and zero for the last convolution; and an
average of the parameters (EMA), of which none is kept.
"""

from configs import base, recipes
from configs.base import Config

_STEPS_PER_EPOCH = 1_000
_HR_PATCH = 192


def get_config(choice: str = "") -> Config:
    """Returns the config of "x2", "x4,cpu", ...: see configs/recipes.py."""
    scale, recipe = recipes.parse(choice)
    config = base.get_config()
    config.name = f"amms_x{scale}"
    config.model.name = "amms"
    config.model.scale = scale
    # Number of modules and features are not in the paper; see jaxsr/models/amms.py.
    config.model.features = 64
    config.model.depth = 16

    config.data.train = "t91+bsd200"
    # 51 of the 91 are smaller than a patch; how the paper used those is not said.
    config.data.skip_small = True
    config.data.patch_size = _HR_PATCH // scale
    config.data.batch_size = 16

    config.schedule.learning_rate = 1e-4
    config.schedule.schedule = "halving"
    config.schedule.halve_every = 200 * _STEPS_PER_EPOCH
    config.train.loss = "l1"
    config.train.ema_decay = 0.0
    config.train.steps = 1_000 * _STEPS_PER_EPOCH
    small = {"features": 32, "depth": 4, "inner_features": 16, "reduction": 4}
    return recipes.choose(config, recipe, small=small)
