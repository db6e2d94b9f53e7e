"""DRCN on the 91 images, and a small one for a CPU.

    python train.py --config=configs/drcn_x2.py            # the paper's network
    python train.py --config=configs/drcn_x2.py:cpu        # 10 minutes of 2 CPU cores

Paper: Kim, Lee and Lee, CVPR 2016, Sec. 4. PSNR / SSIM on Set5 37.63 / 0.9588 (x2),
33.82 / 0.9226 (x3), 31.53 / 0.8854 (x4); six days on a Titan X.

Departs: the paper lowers SGD's rate from 0.01 tenfold when validation stalls, and moves
the loss from the recursions' mean to the final output on a schedule that it does not
give. Here Adam starts at 1e-4 and is lowered tenfold after fixed numbers of steps, and
both halves of the loss weigh the same throughout.
"""

from ml_collections import ConfigDict

from configs import base

_RECURSIONS = 16


def get_config(scale: int, recipe: str = "paper") -> ConfigDict:
    """Returns the config of one scale; `recipe` is "paper" or "cpu"."""
    config = base.get_config()
    config.name = f"drcn_x{scale}"
    config.model.name = "drcn"
    config.model.scale = scale
    config.model.features = 256
    config.model.recursions = _RECURSIONS

    config.data.train = "t91"
    config.data.patch_size = round(41 / scale)
    config.data.batch_size = 64

    config.schedule.learning_rate = 1e-4
    config.schedule.halve_every = 100_000
    config.schedule.decay_factor = 0.1
    # The paper's 1e-4 is beside half the sum over pixels, this beside the mean.
    pixels = (config.data.patch_size * scale) ** 2
    config.optimizer.weight_decay = 1e-4 / (pixels / 2)
    config.train.loss = "mse"
    config.train.supervision_weight = 1 / _RECURSIONS
    config.train.steps = 300_000
    config.eval.protocol = "classic"

    if recipe == "cpu":
        _cpu(config)
    elif recipe != "paper":
        raise ValueError(
            f"unknown recipe {recipe!r} of configs/drcn_x{scale}.py: expected paper, "
            "cpu"
        )
    return config


def _cpu(config: ConfigDict) -> None:
    """32 features and 6 recursions."""
    config.name += "_cpu"
    config.model.features = 32
    config.model.recursions = 6
    config.data.train = "t91+bsd200"
    config.data.batch_size = 16
    config.schedule.learning_rate = 1e-3
    config.schedule.schedule = "constant"
    config.optimizer.weight_decay = 0.0
    config.train.loss = "l1"
    config.train.supervision_weight = 1 / 6
    config.train.steps = 100_000
    config.train.max_minutes = 10.0
    config.train.log_every = 20
    config.train.eval_every = 100
    config.train.checkpoint_every = 100
    config.eval.benchmarks = "Set5"
