"""Every key that a config has, with its default. Each network's config starts here.

A section's keys are the arguments of the function named behind it, which documents
them; a key that the function does not know is an error.
"""

from typing import Any

from ml_collections import ConfigDict
from ml_collections.config_dict import placeholder

# A ConfigDict, whose keys type checkers cannot know.
Config = Any


def default_config() -> Config:
    """Returns the defaults; `model.name` and `model.scale` are for the config to
    set."""
    config: Config = ConfigDict()
    # The run's default folder is runs/<name>.
    config.name = ""
    # Decides the parameters' start and every batch.
    config.seed = 0

    # The network: arguments of jaxsr.models.create, so all of its fields.
    config.model = ConfigDict()
    config.model.name = ""
    config.model.scale = 2

    config.data = ConfigDict()
    # Source of training images, see jaxsr.data.open_source: "div2k", "t91+bsd200",
    # "folder:PATH", "sample".
    config.data.train = "div2k"
    # Folder of data sets; unset, the environment variable JAXSR_DATA_DIR.
    config.data.data_dir = placeholder(str)
    # Batches: arguments of jaxsr.training.pipelines.open_pipeline.
    # "tfdata" cuts patches on the host; "device" on the accelerator, and needs no
    # TensorFlow; "auto" takes the accelerator if there is one and all images fit.
    config.data.pipeline = "auto"
    config.data.patch_size = 48  # of the LR, in pixels
    config.data.batch_size = 16  # of all devices together
    config.data.augment = True  # flips and quarter turns
    config.data.skip_small = False  # images smaller than a patch: refused, or left out
    config.data.memory_limit_gb = placeholder(float)  # default: half of the memory

    # Schedule and optimiser: arguments of jaxsr.training.optimizer.create_schedule ...
    config.schedule = ConfigDict()
    config.schedule.learning_rate = 1e-4
    config.schedule.schedule = "halving"  # or "constant", "cosine", "wsd"
    config.schedule.halve_every = 200_000
    config.schedule.decay_factor = 0.5
    config.schedule.final_learning_rate = 0.0
    config.schedule.warmup_steps = 0
    config.schedule.decay_steps = 0  # the last so many steps, for "wsd"
    # ... and of jaxsr.training.optimizer.create_optimizer.
    config.optimizer = ConfigDict()
    config.optimizer.name = "adam"  # or "muon", "sgd"
    config.optimizer.b1 = 0.9
    config.optimizer.b2 = 0.999
    config.optimizer.eps = 1e-8
    config.optimizer.momentum = 0.9
    config.optimizer.weight_decay = 0.0
    config.optimizer.clip_norm = 0.0
    config.optimizer.clip_update = 0.0
    config.optimizer.layer_rates = ConfigDict()
    config.optimizer.muon_layers = r".*conv\d+/kernel|body_end/kernel"
    config.optimizer.muon_scale = 2.0

    config.train = ConfigDict()
    # Weights to start from: a .safetensors file, the folder of another run or published
    # weights ("rcbam_lite_x2"). What has the same name and shape is taken; the rest
    # (the tail at another scale) is new.
    config.train.init_from = placeholder(str)
    config.train.loss = "l1"  # or "mse", "charbonnier"
    config.train.supervision_weight = 1.0  # of intermediate predictions, if any
    config.train.ema_decay = 0.999  # 0: no average of the parameters is kept
    config.train.dtype = "float32"  # of the computation; or "bfloat16"
    # Memory for time: "blocks" keeps only each block's input for the gradient and
    # computes the rest again. Compile time: "accelerator" compiles a chain of blocks as
    # a loop, but not on CPU; "always" there too, where it runs 20 times slower.
    config.train.remat = "none"
    config.train.roll_blocks = "never"
    # When what happens: arguments of jaxsr.training.loop.Cadence.
    config.train.steps = 1_000_000
    config.train.max_minutes = placeholder(float)
    config.train.log_every = 100
    config.train.eval_every = 5_000
    config.train.checkpoint_every = 1_000
    # Steps that the device gets at a time; 0: chosen, several on accelerators with
    # data.pipeline "device", else one.
    config.train.steps_per_dispatch = 0
    config.train.profile = False  # trace some steps, see jaxsr.training.profile
    config.train.keep_checkpoints = 3  # newest, beside the best
    # A run that is there already may go on with another schedule and optimiser, see
    # docs/training.md: after numbers that are not finite, from the last good step.
    config.train.change_recipe = False

    # Evaluation during training and at its end: jaxsr.benchmark.evaluate.
    config.eval = ConfigDict()
    config.eval.benchmarks = "Set5,Set14"
    config.eval.protocol = "rgb"
    config.eval.self_ensemble = False
    return config
