"""VDSR on the 291 images, and a small one for a CPU.

    python train.py --config=configs/vdsr.py:x2            # the paper's recipe
    python train.py --config=configs/vdsr.py:x2,cpu        # 10 minutes of 2 CPU cores

Paper: Kim, Lee and Lee, CVPR 2016, Sec. 4. PSNR / SSIM on Set5 37.53 / 0.9587 (x2),
33.66 / 0.9213 (x3), 31.35 / 0.8838 (x4); four hours on a Titan Z.

SGD at 0.1, lowered tenfold every 20 epochs, 80 epochs of 9,960 steps (so the paper is
read; it may mean 9,960 steps in all). The paper's loss is half the sum over the pixels
of a patch where jaxsr takes the mean: the rate is multiplied, weight decay divided by
half the number of pixels. Gradients are clipped to theta over the rate, before momentum
of 0.9: at a constant rate a step moves a parameter by at most ten theta; the paper does
not give theta. Departs: one network per scale, where the paper mixes x2, x3 and x4.

Initialisation: He's, as in the paper. No average of the parameters (EMA).
"""

from configs import base, recipes
from configs.base import Config

_PATCH = 41  # HR pixels
_STEPS_PER_EPOCH = 9_960
_THETA = 1e-4


def get_config(choice: str = "") -> Config:
    """Returns the config of "x2", "x4,cpu", ...: see configs/recipes.py."""
    scale, recipe = recipes.parse(choice)
    config = base.get_config()
    config.name = f"vdsr_x{scale}"
    config.model.name = "vdsr"
    config.model.scale = scale
    config.model.features = 64
    config.model.depth = 20

    config.data.train = "t91+bsd200"
    config.data.patch_size = round(_PATCH / scale)
    config.data.batch_size = 64

    pixels = (scale * config.data.patch_size) ** 2
    config.schedule.learning_rate = 0.1 * pixels / 2
    config.schedule.halve_every = 20 * _STEPS_PER_EPOCH
    config.schedule.decay_factor = 0.1
    config.optimizer.name = "sgd"
    config.optimizer.momentum = 0.9
    config.optimizer.weight_decay = 1e-4 / (pixels / 2)
    config.optimizer.clip_update = _THETA
    config.train.loss = "mse"
    config.train.ema_decay = 0.0
    config.train.steps = 80 * _STEPS_PER_EPOCH
    config.eval.protocol = "classic"
    return recipes.choose(config, recipe, small={"features": 32, "depth": 10})
