"""SCN on the 91 images, on a GPU or a CPU.

    python train.py --config=configs/scn.py:x2             # the paper's network
    python train.py --config=configs/scn.py:x2,cpu         # 10 minutes of 2 CPU cores

Paper: Wang, Liu, Yang, Han and Huang, ICCV 2015, Sec. 5. The authors' released weights
give 36.54 dB (x2), 32.72 dB (x3) and 30.56 dB (x4) on Set5 here; the paper's larger
cascade CSCN has 36.93, 33.10 and 30.86.

Batches of 64 crops whose enlarged image has 56 pixels, as in the paper. Departs: Adam
in place of SGD, whose rates are not known here; the paper trains the stages of a
cascade one after the other first, here they are trained together from the start.

Initialisation: see jaxsr/models/scn.py. No average of the parameters (EMA).
"""

from configs import base, recipes
from configs.base import Config


def get_config(choice: str = "") -> Config:
    """Returns the config of "x2", "x4,cpu", ...: see configs/recipes.py."""
    scale, recipe = recipes.parse(choice)
    config = base.get_config()
    config.name = f"scn_x{scale}"
    config.model.name = "scn"
    config.model.scale = scale

    config.data.train = "t91"
    config.data.patch_size = 56 // scale
    config.data.batch_size = 64

    config.schedule.learning_rate = 1e-3
    config.schedule.halve_every = 100_000
    config.train.loss = "mse"
    config.train.ema_decay = 0.0
    config.train.steps = 500_000
    config.eval.protocol = "classic"
    patch_size = config.data.patch_size
    return recipes.choose(config, recipe, small={}, patch_size=patch_size)
