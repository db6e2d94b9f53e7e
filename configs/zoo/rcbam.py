"""RCBAM for the zoo, trained on two CPU cores: the network of the paper's sizes.

    python train.py --config=configs/zoo/rcbam.py:x2            # then x3 and x4, which
    python train.py --config=configs/zoo/rcbam.py:x3            # start from x2
    python train.py --config=configs/zoo/rcbam.py:x4

The network has the paper's sizes as configs/rcbam.py reads them. Muon on the kernels of
blocks and body end, Adam for the rest, one rate for both: constant, then falling over
the last steps. 480 images: ten of BSDS500_test are held out to decide on, and BSD200's
302003, which is Set5's "woman", is left out.

How long a run is need not be known when it starts. To prolong it, give more steps; one
that is at step 3,000 ends at 3,800 with

    --config.train.steps=3800 --config.schedule.decay_steps=800
"""

from configs import base, recipes
from configs.base import Config


def get_config(choice: str = "") -> Config:
    """Returns the config of "x2", "x3" or "x4"."""
    scale, _ = recipes.parse(choice, recipes=())
    config = base.get_config()
    config.name = f"zoo_rcbam_x{scale}"
    config.model.name = "rcbam"
    config.model.scale = scale
    config.model.features = 64
    config.model.depth = 16

    config.data.train = "t91+bsd200[:134]+bsd200[135:]+bsds500_test[10:]"
    config.data.skip_small = True
    config.data.patch_size = config.model.pool_size = 32
    config.data.batch_size = 16

    # x3 and x4 differ from x2 in the last convolution alone.
    if scale > 2:
        config.train.init_from = "runs/zoo_rcbam_x2"
    config.schedule.learning_rate = 3e-3 if scale == 2 else 1.5e-3
    config.schedule.schedule = "wsd"
    config.schedule.warmup_steps = 200
    config.schedule.decay_steps = 1_500 if scale == 2 else 600
    config.optimizer.name = "muon"
    # A gradient is about 0.015 long; one that is a hundred times as long costs a dB.
    config.optimizer.clip_norm = 0.05
    config.train.loss = "l1"
    config.train.steps = 20_000 if scale == 2 else 5_000
    config.train.log_every = 50
    config.train.eval_every = 500
    config.train.checkpoint_every = 250
    config.eval.benchmarks = "Set5,bsds500_test[:10]"
    return config
