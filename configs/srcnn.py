"""SRCNN (9-5-5) on the 91 images, and a quick one for a CPU.

    python train.py --config=configs/srcnn.py:x2           # the paper's recipe
    python train.py --config=configs/srcnn.py:x2,cpu       # 10 minutes of 2 CPU cores

Paper: Dong, Loy, He and Tang, TPAMI 2016, Sec. 3.3 and 4. PSNR / SSIM on Set5 36.66 /
0.9542 (x2), 32.75 / 0.9090 (x3), 30.48 / 0.8628 (x4), with ImageNet instead of the 91
images; three days on a GTX 770.

SGD with momentum at 1e-4, the last layer at a tenth. The paper's loss is half the sum
over the pixels of a patch where jaxsr takes the mean: the rate is multiplied by half
the number of pixels. Departs: zero padding and another start, see
jaxsr/models/srcnn.py; so patches are compared whole, not only their 17x17 centre. The
batch size is not stated.

No average of the parameters (EMA).
"""

from configs import base, recipes
from configs.base import Config

_SUBIMAGE = 33  # HR pixels
_COMPARED = 17**2  # pixels of it that an unpadded 9-5-5 network yields
_BACKPROPAGATIONS = 800_000_000


def get_config(choice: str = "") -> Config:
    """Returns the config of "x2", "x4,cpu", ...: see configs/recipes.py."""
    scale, recipe = recipes.parse(choice)
    config = base.get_config()
    config.name = f"srcnn_x{scale}"
    config.model.name = "srcnn"
    config.model.scale = scale
    config.model.features = (64, 32)
    config.model.kernel_sizes = (9, 5, 5)

    config.data.train = "t91"
    config.data.patch_size = round(_SUBIMAGE / scale)
    config.data.batch_size = 128

    config.schedule.learning_rate = 1e-4 * _COMPARED / 2
    config.schedule.schedule = "constant"
    config.optimizer.name = "sgd"
    config.optimizer.momentum = 0.9
    config.optimizer.layer_rates["conv3/(kernel|bias)"] = 0.1
    config.train.loss = "mse"
    config.train.ema_decay = 0.0
    config.train.steps = _BACKPROPAGATIONS // config.data.batch_size
    config.eval.protocol = "classic"
    return recipes.choose(config, recipe, small={"kernel_sizes": (9, 1, 5)})
