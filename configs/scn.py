"""SCN on the 91 images, on a GPU or a CPU.

    python train.py --config=configs/scn_x2.py             # the paper's network
    python train.py --config=configs/scn_x2.py:cpu         # 10 minutes of 2 CPU cores

Paper: Wang, Liu, Yang, Han and Huang, ICCV 2015, Sec. 5. The authors' released weights
give 36.54 dB (x2), 32.72 dB (x3) and 30.56 dB (x4) on Set5 here; the paper's larger
cascade CSCN has 36.93, 33.10 and 30.86.

Batches of 64 crops whose enlarged image has 56 pixels, as in the paper. Departs: Adam
in place of SGD, whose rates are not known here; the paper trains the stages of a
cascade one after the other first, here they are trained together from the start.
"""

from ml_collections import ConfigDict

from configs import base


def get_config(scale: int, recipe: str = "paper") -> ConfigDict:
    """Returns the config of one scale; `recipe` is "paper" or "cpu"."""
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
    config.train.steps = 500_000
    config.eval.protocol = "classic"

    if recipe == "cpu":
        _cpu(config)
    elif recipe != "paper":
        raise ValueError(
            f"unknown recipe {recipe!r} of configs/scn_x{scale}.py: expected paper, cpu"
        )
    return config


def _cpu(config: ConfigDict) -> None:
    """The same network with smaller batches."""
    config.name += "_cpu"
    config.data.train = "t91+bsd200"
    config.data.batch_size = 16
    config.schedule.schedule = "constant"
    config.train.loss = "l1"
    config.train.steps = 100_000
    config.train.max_minutes = 10.0
    config.train.log_every = 20
    config.train.eval_every = 100
    config.train.checkpoint_every = 100
    config.eval.benchmarks = "Set5"
