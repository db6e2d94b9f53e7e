"""FSRCNN(56, 12, 4) on the 91 images, and a quick recipe for a CPU.

    python train.py --config=configs/fsrcnn.py:x2          # the paper's recipe
    python train.py --config=configs/fsrcnn.py:x2,cpu      # 10 minutes of 2 CPU cores

Paper: Dong, Loy and Tang, ECCV 2016, Sec. 4. PSNR / SSIM on Set5 37.00 / 0.9558 (x2),
33.16 / 0.9140 (x3), 30.71 / 0.8657 (x4), with the General-100 images added at the end;
from the 91 images alone 36.94, 33.06 and 30.55 dB.

SGD at 1e-3, the transposed convolution at a tenth. The paper's loss is half the sum
over the pixels of a patch where jaxsr takes the mean: the rate is multiplied by half
the number of pixels. Departs: every scale is trained from its own start, where the
paper takes the convolutions of x3 over to x2 and x4; pictures are flipped and turned,
not also shrunk; no General-100; the gradient's norm is clipped, without which the first
steps diverge. Batch size and length are not stated.

Initialisation: He's, and N(0, 0.001) for the transposed convolution, as in the paper.
No average of the parameters (EMA).
"""

from configs import base, recipes
from configs.base import Config

_PATCH_SIZES = {2: 10, 3: 7, 4: 6}


def get_config(choice: str = "") -> Config:
    """Returns the config of "x2", "x4,cpu", ...: see configs/recipes.py."""
    scale, recipe = recipes.parse(choice)
    config = base.get_config()
    config.name = f"fsrcnn_x{scale}"
    config.model.name = "fsrcnn"
    config.model.scale = scale
    config.model.features = 56
    config.model.shrink = 12
    config.model.depth = 4

    config.data.train = "t91"
    config.data.patch_size = _PATCH_SIZES[scale]
    config.data.batch_size = 128

    pixels = (scale * config.data.patch_size) ** 2
    config.schedule.learning_rate = 1e-3 * pixels / 2
    config.schedule.schedule = "constant"
    config.optimizer.name = "sgd"
    config.optimizer.momentum = 0.9
    config.optimizer.clip_norm = 1.0
    config.optimizer.layer_rates["deconv/(kernel|bias)"] = 0.1
    config.train.loss = "mse"
    config.train.ema_decay = 0.0
    config.train.steps = 1_000_000
    config.eval.protocol = "classic"
    return recipes.choose(config, recipe, small={})
