"""Trains a network: python train.py --config=configs/rcbam_x2.py

The same command again continues a run that was stopped. A recipe is chosen behind a
colon (--config=configs/rcbam_x2.py:sample), a single key on the command line
(--config.train.max_minutes=55). Everything the run writes lies in --workdir.
"""

import contextlib
import logging
import shlex
import sys
import threading
import traceback
from pathlib import Path
from typing import Any

import jax
import numpy as np
from absl import app, flags
from etils import epath
from ml_collections import config_flags

from jaxsr import benchmark, models, processes
from jaxsr.cpu import keep_freed_memory, use_every_core
from jaxsr.data import open_benchmark, open_source
from jaxsr.errors import InputError, reports_input_errors
from jaxsr.imaging import write_image
from jaxsr.inference import Upscaler
from jaxsr.metrics import get_protocol
from jaxsr.training.checkpoints import Checkpoints
from jaxsr.training.loop import Cadence, fit
from jaxsr.training.losses import get_loss
from jaxsr.training.mesh import check_dtype, create_mesh, replicate
from jaxsr.training.metric_log import MetricLog
from jaxsr.training.optimizer import create_optimizer, create_schedule
from jaxsr.training.pipelines import Pipeline, open_pipeline
from jaxsr.training.profile import profiled
from jaxsr.training.staging import local_folder
from jaxsr.training.state import TrainState, create_state, start_from
from jaxsr.training.step import make_step
from jaxsr.training.workdir import (
    Config,
    check_workdir,
    claim_workdir,
    create_training_model,
)
from jaxsr.weights.initial import load_initial_weights

_log = logging.getLogger("jaxsr")


def train(config: Config, workdir: Path | epath.Path) -> TrainState:
    """Runs a config until its end, time limit or a signal; returns the last state."""
    # Whatever can be wrong with the config is found before anything is written.
    check_workdir(workdir, config)
    model = create_training_model(config)
    channels: int = getattr(model, "channels")  # noqa: B009 (no field of nn.Module)
    mesh = create_mesh(config.data.batch_size)
    check_dtype(config.train.dtype, mesh)
    schedule = create_schedule(**config.schedule, steps=config.train.steps)
    optimizer = create_optimizer(schedule, **config.optimizer)
    step = make_step(
        model,
        optimizer,
        get_loss(config.train.loss),
        ema_decay=config.train.ema_decay,
        supervision_weight=config.train.supervision_weight,
    )
    source = open_source(config.data.train, data_dir=config.data.data_dir)
    get_protocol(config.eval.protocol)
    for name in _benchmarks(config):
        open_benchmark(name, data_dir=config.data.data_dir)

    with contextlib.ExitStack() as resources:
        checkpoints = resources.enter_context(
            Checkpoints(workdir, keep=config.train.keep_checkpoints)
        )
        state = create_state(
            model,
            optimizer,
            seed=config.seed,
            channels=channels,
            use_ema=config.train.ema_decay > 0,
        )
        state = replicate(state, mesh)
        state = checkpoints.restore(state) or _start(config, model, state)
        first_step = int(state.step)
        pipeline = open_pipeline(
            step,
            source,
            **_batch_options(config),
            mesh=mesh,
            scale=config.model.scale,
            channels=channels,
            seed=config.seed,
            first_step=first_step,
        )
        cadence = _cadence(config, pipeline)

        claim_workdir(workdir, config)
        if first_step:
            _log.info("%s: continuing from step %d", workdir, first_step)
        folder = resources.enter_context(local_folder(workdir))
        log = None
        if processes.is_first():
            log = resources.enter_context(MetricLog(folder, first_step=first_step))
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
        state = fit(
            state,
            run_steps,
            batch_size=config.data.batch_size,
            cadence=cadence,
            checkpoints=checkpoints,
            log=log,
            evaluate=_evaluation(config, model, log),
        )
        if _report(config, model, state, folder, images=len(source)):
            print(f"The same as files, and a picture to look at: {workdir}/")
    return state


def _start(config: Config, model, state: TrainState) -> TrainState:
    """Returns the state of a new run, with the weights that it starts from, if any."""
    source = config.train.init_from
    if not source:
        return state
    variables = load_initial_weights(source, model)
    try:
        state, anew = start_from(state, variables)
    except InputError as error:
        raise InputError(f"train.init_from: {source}: {error}") from None
    total = len(jax.tree.leaves(state.variables()))
    _log.info(
        "starting from %s (%d of %d variables); anew: %s",
        source,
        total - len(anew),
        total,
        ", ".join(anew) or "nothing",
    )
    return state


def _benchmarks(config: Config) -> list[str]:
    return [name for name in config.eval.benchmarks.split(",") if name]


def _batch_options(config: Config) -> dict[str, Any]:
    options = config.data.to_dict()
    for key in ("train", "data_dir"):  # said by the source
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


def _upscaler(config: Config, model, variables) -> Upscaler:
    return Upscaler(model, variables, self_ensemble=config.eval.self_ensemble)


def _score(config: Config, upscaler: Upscaler, name: str) -> dict[str, Any]:
    return benchmark.evaluate(
        upscaler,
        _benchmarks(config),
        scale=config.model.scale,
        protocol=config.eval.protocol,
        name=name,
        data_dir=config.data.data_dir,
    )


def _comparison(config: Config, upscaler: Upscaler) -> np.ndarray:
    return benchmark.comparison_picture(
        upscaler,
        _benchmarks(config)[0],
        name=config.model.name,
        data_dir=config.data.data_dir,
    )


def _evaluation(config: Config, model, log: MetricLog | None):
    """Returns what `fit` calls now and then, None if the config names no benchmark."""

    def evaluate(variables, step: int) -> dict[str, float]:
        upscaler = _upscaler(config, model, variables)
        sets = _score(config, upscaler, config.model.name)["benchmarks"]
        if log is not None:
            # Drawn while training goes on: the upscaler has parameters of its own.
            log.image(step, "comparison", lambda: _comparison(config, upscaler))
        numbers = {
            f"{name}/{metric}": scores[metric]
            for name, scores in sets.items()
            for metric in ("psnr", "ssim")
        }
        return {"psnr": next(iter(sets.values()))["psnr"], **numbers}

    return evaluate if _benchmarks(config) else None


def _report(
    config: Config, model, state: TrainState, folder: Path, *, images: int
) -> bool:
    """Writes and prints the run's row of the table, and a picture to look at.

    Returns whether it did: there may be no benchmark, and one process writes.
    """
    if not _benchmarks(config):
        return False
    scale = config.model.scale
    upscaler = _upscaler(config, model, state.variables())
    ours = _score(config, upscaler, config.model.name)
    ours |= {
        "config": config.name,
        "step": int(state.step),
        "training_images": images,
        "command": shlex.join(["python", "train.py", *sys.argv[1:]]),
    }
    bicubic = _score(
        config, Upscaler(models.create("bicubic", scale=scale), {}), "bicubic"
    )
    if not processes.is_first():
        return False
    table = benchmark.markdown_table([bicubic, ours])
    benchmark.write_result(folder / "results.json", ours)
    (folder / "results.md").write_text(table + "\n", encoding="utf-8")
    write_image(folder / "comparison.png", _comparison(config, upscaler))
    print(f"\n{table}\n")
    return True


def _set_up_logging() -> None:
    """Shows what jaxsr has to say, and of everything else only errors."""
    # orbax logs, and raises in its threads, what it then raises here as well.
    logging.getLogger("absl").setLevel(logging.CRITICAL)
    threading.excepthook = _say_unless_from_orbax
    logging.getLogger().setLevel(logging.ERROR)
    handler = logging.StreamHandler()
    handler.setFormatter(logging.Formatter("%(message)s"))
    _log.addHandler(handler)
    _log.setLevel(logging.INFO)
    _log.propagate = False


def _say_unless_from_orbax(error: threading.ExceptHookArgs) -> None:
    frames = traceback.walk_tb(error.exc_traceback)
    modules = [frame.f_globals.get("__name__", "") for frame, _ in frames]
    if not any(module.startswith("orbax.") for module in modules):
        threading.__excepthook__(error)


def main(argv) -> None:
    del argv
    _set_up_logging()
    given = flags.FLAGS
    keep_freed_memory()  # these three before JAX starts
    with _joined() if given.distributed else contextlib.nullcontext():
        use_every_core(given.config.data.batch_size // (given.num_processes or 1))
        if not processes.is_first():
            _log.setLevel(logging.WARNING)
        train(given.config, epath.Path(given.workdir or f"runs/{given.config.name}"))


def _joined() -> contextlib.AbstractContextManager[None]:
    given = flags.FLAGS
    return processes.connected(
        coordinator_address=given.coordinator_address,
        num_processes=given.num_processes,
        process_id=given.process_id,
        initialization_timeout=given.initialization_timeout,
        heartbeat_timeout=given.heartbeat_timeout,
    )


def _define_flags() -> None:
    config_flags.DEFINE_config_file(
        "config", None, "configs/<name>.py, or configs/<name>.py:<recipe>."
    )
    flags.mark_flag_as_required("config")
    flags.DEFINE_string("workdir", None, "The run's folder; default runs/<name>.")
    flags.DEFINE_bool("distributed", False, "Train together with other processes.")
    # What TPU pods, SLURM and MPI do not tell by themselves.
    flags.DEFINE_string("coordinator_address", None, "HOST:PORT of process 0.")
    flags.DEFINE_integer("num_processes", None, "How many processes train together.")
    flags.DEFINE_integer("process_id", None, "Which of them this one is, from 0.")
    flags.DEFINE_integer("initialization_timeout", 300, "Seconds in which all join.")
    flags.DEFINE_integer("heartbeat_timeout", 100, "Seconds until silence means death.")


def _parse_flags(argv: list[str]) -> list[str]:
    """Parses the command line; what is wrong with it or in a config is one line."""
    try:
        return flags.FLAGS(argv)
    except (flags.Error, AttributeError, KeyError, TypeError, ValueError) as error:
        # A config's own ValueError comes last in what ml_collections makes of it.
        message = str(error).rpartition("ValueError:")[2].replace("\\'", "'")
        raise InputError(" ".join(message.split())) from error


@reports_input_errors
def _run() -> None:
    _define_flags()
    app.run(main, flags_parser=_parse_flags)


if __name__ == "__main__":
    processes.leave(_run())
