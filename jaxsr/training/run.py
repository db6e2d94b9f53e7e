"""A whole run: from a config to a folder of checkpoints, numbers and a picture."""

import contextlib
import dataclasses
import logging
from functools import partial
from typing import Any

import jax
from etils import epath

from jaxsr import processes
from jaxsr.data import Source, open_source
from jaxsr.data.photo import MARGIN as PHOTO_MARGIN
from jaxsr.data.photo import photo_batch
from jaxsr.errors import InputError, named
from jaxsr.models import Network
from jaxsr.training.cadence import Cadence
from jaxsr.training.checkpoints import Checkpoints
from jaxsr.training.config import Config, check_config
from jaxsr.training.evaluation import check_evaluation, evaluation, report, scored_on
from jaxsr.training.initial_weights import start
from jaxsr.training.lock import WorkdirLock
from jaxsr.training.loop import Ending, fit
from jaxsr.training.losses import Loss, check_loss, get_loss, says_which
from jaxsr.training.mesh import check_dtype, create_mesh, replicate
from jaxsr.training.metric_log import MetricLog
from jaxsr.training.network import create_training_model
from jaxsr.training.optimizer import create_optimizer
from jaxsr.training.own_parts import with_own_parts
from jaxsr.training.pipelines import Pipeline, open_pipeline
from jaxsr.training.profile import profiled
from jaxsr.training.progress import messages
from jaxsr.training.schedule import create_schedule
from jaxsr.training.staging import local_folder
from jaxsr.training.state import TrainState, create_state
from jaxsr.training.step import degrade_first, make_step
from jaxsr.training.training_images import has_record, record_images
from jaxsr.training.wandb_log import check_wandb, open_wandb
from jaxsr.training.workdir import (
    Workdir,
    check_shared,
    check_source,
    check_workdir,
    claim_workdir,
)

_log = logging.getLogger(__name__)


@dataclasses.dataclass(frozen=True)
class Trained:
    """What a run ends with.

    Attributes:
        model: the network.
        state: the last state.
        numbers: of the evaluation at the end, as in `results.json`; empty if the config
            names no benchmark or a signal ended the run.
        workdir: the run's folder.
    """

    model: Network
    state: TrainState
    numbers: dict[str, Any]
    workdir: epath.Path

    @property
    def variables(self) -> dict[str, Any]:
        """What `model.apply` takes, the average of the parameters if there is one."""
        return self.state.variables()


def train(
    config: Config,
    workdir: Workdir | None = None,
    *,
    model: Network | None = None,
    loss: Loss | None = None,
    source: Source | None = None,
    command: str = "jaxsr.training.train(config, workdir)",
) -> Trained:
    """Runs a config until its end, time limit or a signal.

    A folder that holds a run of this config is continued. Messages and progress go to
    stderr, the table of the evaluation at the end to stdout.

    On CPU, call `jaxsr.cpu.keep_freed_memory` and `use_every_core` first, as train.py
    does: each is a good part of the speed, and belongs before JAX runs anything.

    Args:
        config: see `jaxsr.training.default_config`, where a config starts.
        workdir: the run's folder; default `runs/<config.name>`.
        model: a network of your own, in place of `config.model`.
        loss: a loss of your own, in place of `config.train.loss`: `loss(sr, hr)` is a
            scalar, the mean over images `[N, H, W, C]` in [0, 1].
        source: training images of your own, in place of `config.data.train`.
        command: what started the run, to be kept with its results.

    Raises:
        InputError: something is wrong with the config, which is found before anything
            is written, or the loss is no finite number.
    """
    with messages():
        config = with_own_parts(config, model, loss, source)
        if workdir is None and not config.name:
            raise InputError("name: expected one, or a workdir, for the run's folder")
        workdir = epath.Path(workdir or f"runs/{config.name}").expanduser()
        return _train(config, workdir, model, loss, source, command)


def _train(
    config: Config,
    workdir: epath.Path,
    model: Network | None,
    loss: Loss | None,
    source: Source | None,
    command: str,
) -> Trained:
    # Whatever can be wrong with the config is found before anything is written.
    check_config(config)
    check_workdir(workdir, config)
    check_wandb(config.train.wandb)
    model = create_training_model(config, model)
    mesh = create_mesh(config.data.batch_size)
    check_dtype(config.train.dtype, mesh)
    schedule = create_schedule(**config.schedule, steps=config.train.steps)
    optimizer = create_optimizer(schedule, **config.optimizer)
    given_loss, loss = loss is not None, loss or get_loss(config.train.loss)
    side, count = config.data.patch_size * model.scale, config.data.batch_size
    shape = (count // mesh.size, side, side, model.channels)  # of each device
    check_loss(loss, config.train.loss, shape)
    step = make_step(
        model,
        optimizer,
        loss,
        ema_decay=config.train.ema_decay,
        supervision_weight=config.train.supervision_weight,
        seed=config.seed,
    )
    patch_size, lr_origin = config.data.patch_size, None
    reading = contextlib.nullcontext()
    if config.data.degradation == "photo":
        degrade = partial(photo_batch, scale=config.model.scale, seed=config.seed)
        step = degrade_first(step, degrade)
        patch_size += 2 * PHOTO_MARGIN
        reading = named(f"photos, {PHOTO_MARGIN} LR pixels more around each patch")
        lr_origin = "made from HR in each step (data.degradation=photo)"
    # Opened at the run's scale: some sets are published once for each.
    at_hand = {"data_dir": config.data.data_dir, "scale": config.model.scale}
    with named("data.train"):
        source = source or open_source(config.data.train, **at_hand)
        source = source.at_scale(config.model.scale)
    processes.ask_first(lambda: check_source(workdir, config, source))
    check_evaluation(config)
    lr_origin = lr_origin or source.lr_origin(config.model.scale)
    _log.info("LR images of %s: %s", source.name, lr_origin)

    check_shared(workdir)
    with contextlib.ExitStack() as resources:
        lock = resources.enter_context(WorkdirLock(workdir))
        checkpoints = resources.enter_context(
            Checkpoints(
                workdir,
                keep=config.train.keep_checkpoints,
                scored_on=scored_on(config),
            )
        )
        state = create_state(
            model,
            optimizer,
            seed=config.seed,
            channels=model.channels,
            use_ema=config.train.ema_decay > 0,
        )
        state = replicate(state, mesh)
        state = checkpoints.restore(state) or start(
            config.train.init_from, model, state, optimizer
        )
        first_step = int(state.step)
        with reading:
            pipeline = open_pipeline(
                step,
                source,
                **_batch_options(config),
                patch_size=patch_size,
                mesh=mesh,
                scale=config.model.scale,
                channels=model.channels,
                seed=config.seed,
                first_step=first_step,
            )
        cadence = _cadence(config, pipeline)

        lock.take()
        claim_workdir(workdir, config)
        processes.ask_first(lambda: record_images(workdir, source, config.model.scale))
        if first_step:
            _log.info("%s: continuing from step %d", workdir, first_step)
            if first_step >= config.train.steps:
                _log.warning(
                    "train.steps: %d are done already, nothing is trained",
                    config.train.steps,
                )
            if given_loss and not says_which(config.train.loss):
                _log.warning(
                    "train.loss: %s does not say which function it is: that it is the "
                    "same as before was not checked",
                    config.train.loss,
                )
            if not has_record(workdir):
                _log.warning(
                    "data.train: the images of %s are no files: that they are the same "
                    "as before was not checked",
                    source.name,
                )
        folder = resources.enter_context(local_folder(workdir))
        log = None
        if processes.is_first():
            wandb = open_wandb(config, folder)
            log = resources.enter_context(
                MetricLog(folder, first_step=first_step, wandb=wandb)
            )
        run_steps = pipeline.run_steps
        if config.train.profile and log is not None:
            run_steps = resources.enter_context(
                profiled(
                    run_steps,
                    folder / "tensorboard",
                    first_step=first_step,
                    steps_per_dispatch=cadence.steps_per_dispatch,
                )
            )
        state, ending = fit(
            state,
            run_steps,
            batch_size=config.data.batch_size,
            cadence=cadence,
            checkpoints=checkpoints,
            log=log,
            evaluate=evaluation(config, model, log),
        )
        about = {
            "config": config.name,
            "step": int(state.step),
            "training_images": pipeline.images,
            "command": command,
        }
        numbers = {}
        if ending != Ending.SIGNAL:  # who sent it waits for the program to end
            numbers = report(config, model, state.variables(), about, folder)
    if numbers and processes.is_first():
        print(f"The same as files, and a picture to look at: {workdir}/")
    return Trained(model, state, numbers, workdir)


def _batch_options(config: Config) -> dict[str, Any]:
    options = config.data.to_dict()
    # Said by the source and the step.
    for key in ("train", "data_dir", "degradation", "patch_size"):
        del options[key]
    return options


def _cadence(config: Config, pipeline: Pipeline) -> Cadence:
    wanted = config.train.steps_per_dispatch
    if wanted > 1 and not pipeline.on_device:
        raise InputError(
            f"train.steps_per_dispatch: {wanted} steps at a time need "
            "data.pipeline=device; tf.data's batches come one by one"
        )
    cadence = Cadence(
        steps=config.train.steps,
        max_minutes=config.train.max_minutes,
        log_every=config.train.log_every,
        eval_every=config.train.eval_every,
        checkpoint_every=config.train.checkpoint_every,
        steps_per_dispatch=wanted or 1,
    )
    chosen_here = wanted == 0 and pipeline.on_device
    if chosen_here and jax.default_backend() != "cpu":  # see map_steps
        cadence = cadence.with_most_steps_per_dispatch()
    return cadence
