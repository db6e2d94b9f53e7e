"""A run's folder: `config.json`, `checkpoints/`, `metrics.jsonl`, `tensorboard/`."""

import json
import logging
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from etils import epath

from jaxsr import processes
from jaxsr.data import Source
from jaxsr.errors import InputError
from jaxsr.training.checkpoint_folder import CHECKPOINTS, lost_step, saved_steps
from jaxsr.training.config import Config, with_defaults
from jaxsr.training.training_images import check_images, has_record

_log = logging.getLogger(__name__)

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
    "train.change_recipe",
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
    "train.wandb",
)

# And of these with train.change_recipe; the optimiser's state is the same with all.
_RECIPE_KEYS = (
    "optimizer.b1",
    "optimizer.b2",
    "optimizer.clip_norm",
    "optimizer.eps",
    "optimizer.momentum",
    "optimizer.weight_decay",
    "schedule.",
    "train.steps",
)


def check_workdir(workdir: Workdir, config: Config) -> None:
    """Finds that the folder is free or holds a run of this config.

    Raises:
        InputError: the folder holds a run of another config, and the message names a
            key; or a part of a run is missing from it.
    """
    path = epath.Path(workdir) / "config.json"
    steps = saved_steps(workdir)
    if not path.exists():
        if steps:
            raise InputError(
                f"{workdir} holds checkpoints, but no config.json that says what of: "
                "put it back to go on, or give another --workdir to start anew"
            )
        return
    if not steps:
        _check_that_no_checkpoint_is_lost(workdir)
    before, now = read_config(path), json.loads(config.to_json())
    changed = _recipe_changes(before, now)
    free = _free_keys(before, now, max(steps, default=0))
    if has_record(path.parent):
        free = (*free, "data.train")  # which images there are decides, see below
    for key, old, new in _differences(before, now):
        if key.startswith(free) or (
            key in changed and now["train"].get("change_recipe")
        ):
            continue
        advice = "give another --workdir, or remove the folder"
        if key in changed:
            advice += ", or go on with it by --config.train.change_recipe=True"
        raise InputError(
            f"{workdir} holds a run with {key}={old!r}, this config has {new!r}: "
            f"{advice}"
        )


def check_source(workdir: Workdir, config: Config, source: Source) -> None:
    """Finds that a run in the folder goes on with its images, wherever they are now.

    Raises:
        InputError: they are other images, and the message says what differs.
    """
    workdir = epath.Path(workdir)
    if (workdir / "config.json").exists():
        before = read_config(workdir / "config.json")
        check_images(workdir, before, json.loads(config.to_json()), source)


def check_shared(workdir: Workdir, *, patience: float = 60) -> None:
    """Finds that all processes see the checkpoints that the first one sees.

    Comes before anything that all of them do with these.

    Args:
        workdir: the run's folder, the same for all processes.
        patience: see `claim_workdir`.

    Raises:
        InputError: one of them does not.
    """
    steps = processes.ask_first(lambda: saved_steps(workdir))
    _wait_until_seen(workdir, lambda: set(steps) <= set(saved_steps(workdir)), patience)


def _wait_until_seen(
    workdir: Workdir, sees: Callable[[], bool], patience: float
) -> None:
    deadline = time.monotonic() + patience
    while not (seen := sees()) and time.monotonic() < deadline:
        time.sleep(0.5)
    blind = [number for number, seen in enumerate(processes.gather(seen)) if not seen]
    if blind:
        raise InputError(
            f"{workdir}: processes {blind} do not see there what process 0 wrote; "
            "--workdir has to be a folder that all machines share"
        )


def _check_that_no_checkpoint_is_lost(workdir: Workdir) -> None:
    """Raises an `InputError` if the run in the folder had a checkpoint, or all of its
    folder `checkpoints/` is gone."""
    folder = epath.Path(workdir) / CHECKPOINTS
    lost = lost_step(workdir)
    log = epath.Path(workdir) / "metrics.jsonl"
    # Made before anything is logged; object storage has no empty folders.
    gone = "://" not in str(workdir) and not folder.is_dir() and log.exists()
    if lost is None and not gone:
        return
    which = f", though the one of step {lost} was saved" if lost else ""
    raise InputError(
        f"{folder}: the run's checkpoints are gone{which}: put them back to go on; to "
        f"start anew give another --workdir, or remove {workdir}"
    )


def _recipe_changes(before: dict, now: dict) -> set[str]:
    """Returns the keys that differ and that a run may change by its own wish."""
    changes = {key for key, _, _ in _differences(before, now)}
    return {key for key in changes if key.startswith(_RECIPE_KEYS)}


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
        _keep_earlier_recipe(workdir, wanted)
        temporary = path.with_suffix(".tmp")
        temporary.write_text(json.dumps(wanted, indent=2) + "\n", encoding="utf-8")
        temporary.replace(path)
    processes.wait_for_all()
    _wait_until_seen(workdir, path.exists, patience)


def _keep_earlier_recipe(workdir: epath.Path, wanted: dict) -> None:
    """Keeps the config of the steps so far, if the run goes on with another recipe."""
    path = workdir / "config.json"
    if not path.exists():
        return
    changed = _recipe_changes(read_config(path), wanted) - {"train.steps"}
    if not changed:
        return
    step = max(saved_steps(workdir), default=0)
    kept = workdir / f"config-until-step-{step}.json"
    if not kept.exists():  # several changes at one step: the first is what was done
        kept.write_text(path.read_text(encoding="utf-8"), encoding="utf-8")
    before = read_config(path)
    for key, old, new in _differences(before, wanted):
        if key in changed:
            _log.info("from step %d on %s=%r instead of %r", step, key, new, old)


def read_config(path: epath.Path) -> dict[str, Any]:
    try:
        return with_defaults(json.loads(path.read_text(encoding="utf-8")))
    except (AttributeError, ValueError) as error:
        raise InputError(f"{path}: not readable as JSON ({error})") from error


def _differences(before: Any, after: Any, prefix: str = "") -> list[tuple]:
    """Returns (key, old, new) of each leaf that differs, absent ones as None."""
    if not (isinstance(before, dict) and isinstance(after, dict)):
        return [] if before == after else [(prefix.rstrip("."), before, after)]
    found = []
    for key in sorted(before.keys() | after.keys()):
        found += _differences(before.get(key), after.get(key), f"{prefix}{key}.")
    return found
