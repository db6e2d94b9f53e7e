"""ESPCN on the 91 images, and a quick recipe for a CPU.

    python train.py --config=configs/espcn.py:x3           # close to the paper's recipe
    python train.py --config=configs/espcn.py:x3,cpu       # 10 minutes of 2 CPU cores

Paper: Shi et al., CVPR 2016, Sec. 3. It shrinks by a Gaussian blur and subsampling, so
its numbers do not compare; trained on bicubic-shrunk pictures, yjn870/ESPCN-pytorch
reports 32.55 dB on Set5 x3. Three hours of training, from the 91 images.

The paper's patches of 17 LR pixels, its squared error and its last layer learning ten
times slower. The paper names no optimiser and lowers the rate when the cost stalls;
here it is Adam and the schedule of yjn870/ESPCN-pytorch: 1e-3, a tenth of it after 80 %
of the steps. Departs: bicubic shrinking.

Initialisation: that of yjn870/ESPCN-pytorch. No average of the parameters (EMA).
"""

from configs import base, recipes
from configs.base import Config


def get_config(choice: str = "") -> Config:
    """Returns the config of "x2", "x4,cpu", ...: see configs/recipes.py."""
    scale, recipe = recipes.parse(choice)
    config = base.get_config()
    config.name = f"espcn_x{scale}"
    config.model.name = "espcn"
    config.model.scale = scale
    config.model.features = (64, 32)

    config.data.train = "t91"
    config.data.patch_size = 17
    config.data.batch_size = 16

    config.train.steps = 250_000
    config.schedule.learning_rate = 1e-3
    config.schedule.halve_every = 200_000
    config.schedule.decay_factor = 0.1
    config.optimizer.layer_rates["conv3/(kernel|bias)"] = 0.1
    config.train.loss = "mse"
    config.train.ema_decay = 0.0
    config.eval.protocol = "classic"
    return recipes.choose(config, recipe, small={})
