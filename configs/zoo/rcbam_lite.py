"""RCBAM-lite, the small network that jaxsr ships for CPUs: how it was trained.

    python train.py --config=configs/zoo/rcbam_lite.py:x2   # then x3 and x4, which
    python train.py --config=configs/zoo/rcbam_lite.py:x3   # start from x2
    python train.py --config=configs/zoo/rcbam_lite.py:x4

The recipe was chosen on ten held-out images of BSDS500_test, by runs of 800 steps; the
table is in docs/results.md. Benchmark sets are watched while training and decide
nothing: the last step is what is shipped.

"x2,adam" and so on are the recipe of the files before: Adam, a cosine, and BSD200's
302003, which is Set5's "woman", among the images. 57 minutes of it were as good as 13
of Muon's.
"""

from configs import base, recipes
from configs.base import Config
from configs.zoo import recipe


def get_config(choice: str = "") -> Config:
    """Returns the config of "x2" (or "x2,muon"), "x3" or "x4", or of "x2,adam"."""
    scale, optimizer = recipes.parse(choice, recipes=("muon", "adam"))
    if optimizer != "adam":
        return recipe.begin(
            "rcbam_lite",
            scale,
            steps=16_000 if scale == 2 else 6_000,
            decay_steps=5_000 if scale == 2 else 2_500,
            learning_rate=3e-3,
            patch_size=32,  # the network's pool_size
        )
    config = base.get_config()
    config.name = f"rcbam_lite_x{scale}"
    config.model.name = "rcbam_lite"
    config.model.scale = scale

    config.data.train = "t91+bsd200+bsds500_test[10:]"
    config.data.skip_small = True
    config.data.patch_size = 32  # the network's pool_size
    config.data.batch_size = 16

    # x3 and x4 differ from x2 in the last convolution alone.
    if scale > 2:
        config.train.init_from = "rcbam_lite_x2"  # of the zoo
    config.schedule.learning_rate = 3e-3 if scale == 2 else 1.5e-3
    config.schedule.schedule = "cosine"
    config.schedule.warmup_steps = 200
    config.train.loss = "l1"
    config.train.steps = 16_000 if scale == 2 else 4_000
    config.train.log_every = 100
    config.train.eval_every = 500
    config.train.checkpoint_every = 500
    config.eval.benchmarks = "Set5,bsds500_test[:10]"
    return config
