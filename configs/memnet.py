"""MemNet (M6R6) on the 291 images, and a small one for a CPU.

    python train.py --config=configs/memnet_x2.py          # the authors' recipe
    python train.py --config=configs/memnet_x2.py:cpu      # 10 minutes of 2 CPU cores

Paper: Tai, Yang, Liu and Xu, ICCV 2017. PSNR / SSIM on Set5 37.78 / 0.9597 (x2),
34.09 / 0.9248 (x3), 31.74 / 0.8893 (x4).

Recipe of the authors' Caffe solver: SGD at 0.1, lowered tenfold every 200,000 steps,
batches of 32 patches of 31 pixels, biases at a tenth of the rate, the norm of the
gradient clipped to 0.01 divided by the rate. Caffe's loss is half the sum over pixels
where jaxsr takes means: rates are multiplied, weight decay and clipping are divided by
half the number of pixels. Departs: one network per scale where the authors mix x2, x3
and x4; the clipping stays at that of the first rate. The solver has no end (20 million
steps); here it is after four rates.
"""

from ml_collections import ConfigDict

from configs import base

_LEARNING_RATE = 0.1


def get_config(scale: int, recipe: str = "paper") -> ConfigDict:
    """Returns the config of one scale; `recipe` is "paper" or "cpu"."""
    config = base.get_config()
    config.name = f"memnet_x{scale}"
    config.model.name = "memnet"
    config.model.scale = scale
    config.model.blocks = 6
    config.model.recursions = 6

    config.data.train = "t91+bsd200"
    config.data.patch_size = round(31 / scale)
    config.data.batch_size = 32
    pixels = (config.data.patch_size * scale) ** 2

    config.schedule.learning_rate = _LEARNING_RATE * pixels / 2
    config.schedule.halve_every = 200_000
    config.schedule.decay_factor = 0.1
    config.optimizer.name = "sgd"
    config.optimizer.momentum = 0.9
    config.optimizer.weight_decay = 1e-4 / (pixels / 2)
    config.optimizer.clip_norm = 0.01 / _LEARNING_RATE / (pixels / 2)
    # Not those of the normalisations.
    config.optimizer.layer_rates[r"[\w/]*(conv1|conv2|gate|head|tail)/bias"] = 0.1
    config.train.loss = "mse"
    config.train.supervision_weight = 1.0
    config.train.steps = 800_000
    config.eval.protocol = "classic"

    if recipe == "cpu":
        _cpu(config)
    elif recipe != "paper":
        raise ValueError(
            f"unknown recipe {recipe!r} of configs/memnet_x{scale}.py: expected paper, "
            "cpu"
        )
    return config


def _cpu(config: ConfigDict) -> None:
    """3 blocks of 3 recursions with 16 features, by Adam."""
    config.name += "_cpu"
    config.model.features = 16
    config.model.blocks = 3
    config.model.recursions = 3
    config.data.batch_size = 16
    config.schedule.learning_rate = 1e-3
    config.schedule.schedule = "constant"
    config.optimizer.name = "adam"
    config.optimizer.weight_decay = 0.0
    config.optimizer.clip_norm = 0.0
    config.optimizer.layer_rates = ConfigDict()
    config.train.loss = "l1"
    config.train.steps = 100_000
    config.train.max_minutes = 10.0
    config.train.log_every = 20
    config.train.eval_every = 100
    config.train.checkpoint_every = 100
    config.eval.benchmarks = "Set5"
