"""A run's folder: `config.json`, `checkpoints/`, `metrics.jsonl`, `tensorboard/`."""

import json
import time
from pathlib import Path
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
from etils import epath
from ml_collections import ConfigDict

from jaxsr import models, processes
from jaxsr.errors import InputError
from jaxsr.layers.block_loop import BlockLoop
from jaxsr.models.variables import abstract_variables
from jaxsr.training.checkpoints import CHECKPOINTS, Checkpoints

# A ConfigDict, whose keys type checkers cannot know.
Config = Any

# A folder on disk, or on object storage ("gs://BUCKET/RUN").
Workdir = str | Path | epath.Path

# A run may go on with other values of these: they do not decide what is learned. The
# pipelines draw other patches, in the same manner, and "auto" chooses by the hardware.
# A cosine schedule also depends on train.steps.
_FREE_KEYS = (
    "data.data_dir",
    "data.memory_limit_gb",
    "data.pipeline",
    "eval.",
    "name",
    "train.checkpoint_every",
    "train.eval_every",
    "train.keep_checkpoints",
    "train.log_every",
    "train.max_minutes",
    "train.profile",
    "train.remat",
    "train.roll_blocks",
    "train.steps",
    "train.steps_per_dispatch",
)


def create_model(config: Config) -> nn.Module:
    """Returns the network of a config, computing in `config.train.dtype`.

    Raises:
        InputError: an unknown network, field or dtype.
    """
    dtypes = {"float32": jnp.float32, "bfloat16": jnp.bfloat16}
    if config.train.dtype not in dtypes:
        raise InputError(
            f"train.dtype: expected one of {', '.join(dtypes)}, got "
            f"{config.train.dtype!r}"
        )
    return models.create(**config.model, dtype=dtypes[config.train.dtype])


def create_training_model(config: Config) -> nn.Module:
    """Returns `create_model(config)`, its blocks run as the keys of training say.

    Raises:
        InputError: as `create_model`; `train.remat` or `train.roll_blocks` is unknown,
            or chosen for a network without a chain of blocks.
    """
    on_accelerator = jax.default_backend() != "cpu"
    choices = {
        "remat": {"none": False, "blocks": True},
        "roll_blocks": {"never": False, "accelerator": on_accelerator, "always": True},
    }
    model = create_model(config)
    for key, values in choices.items():
        if config.train[key] not in values:
            raise InputError(
                f"train.{key}: expected one of {', '.join(values)}, got "
                f"{config.train[key]!r}"
            )
        off = next(iter(values))
        if config.train[key] != off and not hasattr(model, "block_loop"):
            raise InputError(
                f"train.{key}: {config.model.name} has no chain of equal blocks; "
                f"expected {off!r}, got {config.train[key]!r}"
            )
    remat, roll = (values[config.train[key]] for key, values in choices.items())
    if not (remat or roll):
        return model
    return model.clone(block_loop=BlockLoop(remat=remat, roll=roll))


def check_workdir(workdir: Workdir, config: Config) -> None:
    """Finds that the folder is free or holds a run of this config.

    Raises:
        InputError: the folder holds a run of another config; the message names a key.
    """
    path = epath.Path(workdir) / "config.json"
    if not path.exists():
        return
    before, now = _read_json(path), json.loads(config.to_json())
    free = _free_keys(before, now, _newest_step(workdir))
    for key, old, new in _differences(before, now):
        if not key.startswith(free):
            raise InputError(
                f"{workdir} holds a run with {key}={old!r}, this config has {new!r}: "
                "give another --workdir, or remove the folder"
            )


def _free_keys(before: dict, now: dict, step: int) -> tuple[str, ...]:
    """Returns which keys may differ between two configs of a run that is at `step`."""
    kind = now["schedule"]["schedule"]
    if kind == "cosine":
        return tuple(key for key in _FREE_KEYS if key != "train.steps")
    if kind == "wsd":
        # The rate was the same up to here if neither config's fall has begun.
        falls = [
            c["train"]["steps"] - c["schedule"]["decay_steps"] for c in (before, now)
        ]
        if step <= min(falls):
            return (*_FREE_KEYS, "schedule.decay_steps")
        return tuple(key for key in _FREE_KEYS if key != "train.steps")
    return _FREE_KEYS


def _newest_step(workdir: Workdir) -> int:
    folder = epath.Path(workdir) / CHECKPOINTS
    if not folder.is_dir():
        return 0
    return max((int(p.name) for p in folder.iterdir() if p.name.isdigit()), default=0)


def claim_workdir(workdir: Workdir, config: Config, *, patience: float = 60) -> None:
    """Makes the folder, and writes the config into it, by the first process.

    Args:
        workdir: the run's folder, the same for all processes.
        config: the run's, the same for all processes.
        patience: seconds in which the others must see what the first one wrote; network
            file systems may remember for half a minute that there was nothing.

    Raises:
        InputError: the config differs from the first process's, or the folder does.
    """
    wanted = json.loads(config.to_json())
    first, *others = processes.gather(wanted)
    for number, other in enumerate(others, start=1):
        for key, one, another in _differences(first, other):
            raise InputError(
                f"process 0 was started with {key}={one!r}, process {number} with "
                f"{another!r}: give all of them the same config"
            )
    workdir = epath.Path(workdir)
    path = workdir / "config.json"
    if processes.is_first():
        (workdir / CHECKPOINTS).mkdir(parents=True, exist_ok=True)
        temporary = path.with_suffix(".tmp")
        temporary.write_text(json.dumps(wanted, indent=2) + "\n", encoding="utf-8")
        temporary.replace(path)
    processes.wait_for_all()
    deadline = time.monotonic() + patience
    while not (sees := path.exists()) and time.monotonic() < deadline:
        time.sleep(0.5)
    blind = [number for number, seen in enumerate(processes.gather(sees)) if not seen]
    if blind:
        raise InputError(
            f"{workdir}: processes {blind} do not see there what process 0 wrote; "
            "--workdir has to be a folder that all machines share"
        )


def load_run(
    workdir: Workdir, *, step: str | int = "last"
) -> tuple[Config, nn.Module, dict[str, Any], int]:
    """Returns a run's config, network, variables and step, for use.

    Args:
        workdir: the folder that training wrote.
        step: "last", a number, or "best": the highest PSNR in an evaluation during
            training. It was chosen on the very sets that it was evaluated on, so say
            so when you quote it.

    Raises:
        InputError: the folder holds no run, or no such checkpoint.
    """
    workdir = epath.Path(workdir)
    if not (workdir / "config.json").is_file():
        raise InputError(f"{workdir}: no run of jaxsr here (no config.json)")
    config = ConfigDict(_read_json(workdir / "config.json"))
    model = create_model(config)
    with Checkpoints(workdir, read_only=True) as checkpoints:
        steps = checkpoints.steps()
        if not steps:
            raise InputError(f"{workdir}: the run has no checkpoint yet")
        if step == "last":
            chosen = steps[-1]
        elif step == "best":
            chosen = checkpoints.best_step() or steps[-1]
        else:
            chosen = int(step)
        if chosen not in steps:
            raise InputError(
                f"{workdir}: no checkpoint of step {chosen}, there are {steps}"
            )
        template = abstract_variables(model)
        return config, model, checkpoints.restore_variables(chosen, template), chosen


def _read_json(path: epath.Path) -> dict[str, Any]:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise InputError(f"{path}: not readable as JSON ({error})") from error


def _differences(before: Any, after: Any, prefix: str = "") -> list[tuple]:
    """Returns (key, old, new) of each leaf that differs, absent ones as None."""
    if not (isinstance(before, dict) and isinstance(after, dict)):
        return [] if before == after else [(prefix.rstrip("."), before, after)]
    found = []
    for key in sorted(before.keys() | after.keys()):
        found += _differences(before.get(key), after.get(key), f"{prefix}{key}.")
    return found
