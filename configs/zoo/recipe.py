"""What the recipes of the zoo have in common: two CPU cores, hours, and 480 images.

Muon on the kernels of blocks, Adam for the rest, one rate for both: constant, then
falling over the last steps (docs/results.md). T91, BSD200 and the test part of
BSDS500, of which ten images are held out to decide on. BSD200's 302003 is left out: it
is Set5's "woman".

How long a run is need not be known when it starts. To prolong it, give more steps; one
that is at step 3,000 ends at 3,800 with

    --config.train.steps=3800 --config.schedule.decay_steps=800
"""

from configs import base
from configs.base import Config


def begin(
    network: str,
    scale: int,
    *,
    steps: int,
    decay_steps: int,
    learning_rate: float,
    patch_size: int = 32,
) -> Config:
    """Returns the config of a network's own fields, to be completed by the caller.

    Above x2, whose network differs in the last layer at most, a run starts from the
    published x2 at half the rate.

    Args:
        patch_size: of the LR, in pixels.
    """
    config = base.get_config()
    config.name = f"zoo_{network}_x{scale}"
    config.model.name = network
    config.model.scale = scale

    config.data.train = "t91+bsd200[:134]+bsd200[135:]+bsds500_test[10:]"
    config.data.skip_small = True
    config.data.patch_size = patch_size
    config.data.batch_size = 16

    config.schedule.learning_rate = learning_rate
    if scale > 2:
        config.train.init_from = f"{network}_x2"
        config.schedule.learning_rate = learning_rate / 2
    config.schedule.schedule = "wsd"
    config.schedule.warmup_steps = 200
    config.schedule.decay_steps = decay_steps
    config.optimizer.name = "muon"
    # A gradient is about 0.015 long; one that is a hundred times as long costs a dB.
    config.optimizer.clip_norm = 0.05
    config.train.loss = "l1"
    config.train.steps = steps
    config.train.log_every = 50
    config.train.eval_every = 500
    config.train.checkpoint_every = 250
    config.eval.benchmarks = "Set5,bsds500_test[:10]"
    return config
