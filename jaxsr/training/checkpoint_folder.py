"""The folder of checkpoints as files: which there are, their scores, damaged ones."""

import json
import logging
from pathlib import Path

import orbax.checkpoint as ocp
from etils import epath

CHECKPOINTS = "checkpoints"
"""The folder's name in a workdir."""

# Tells, from outside of that folder, which checkpoint was in it: {"step": 1000}.
_NEWEST = "newest_checkpoint.json"

_log = logging.getLogger(__name__)


def saved_steps(workdir: str | Path | epath.Path) -> list[int]:
    """Returns the steps of which a workdir has a checkpoint, oldest first."""
    folder = absolute(epath.Path(workdir)) / CHECKPOINTS
    return sorted(ocp.utils.checkpoint_steps(folder)) if folder.is_dir() else []


def lost_step(workdir: str | Path | epath.Path) -> int | None:
    """Returns the newest step that was saved, if no checkpoint at all is there now."""
    newest = epath.Path(workdir) / _NEWEST
    if saved_steps(workdir) or not newest.exists():
        return None
    try:
        return int(json.loads(newest.read_text())["step"])
    except (ValueError, KeyError, TypeError):
        return 0  # that there was one is all that the file still says


def note_newest(workdir: epath.Path, step: int) -> None:
    """Writes down that the checkpoint of a step is on disk, for `lost_step`."""
    temporary = workdir / (_NEWEST + ".tmp")
    temporary.write_text(json.dumps({"step": step}) + "\n")
    temporary.replace(workdir / _NEWEST)


def set_aside(directory: epath.Path, step: int) -> None:
    """Gives a damaged checkpoint a name by which it is not found any more."""
    name = f"{step}.damaged"
    number = 1
    while (directory / name).exists():
        number += 1
        name = f"{step}.damaged-{number}"
    (directory / str(step)).rename(directory / name)


def set_aside_without_scores(workdir: epath.Path) -> list[int]:
    """Sets those aside whose score is damaged; returns their steps."""
    damaged = []
    for step in saved_steps(workdir):
        try:
            read_score(workdir / CHECKPOINTS / str(step), damaged_is_none=False)
        except ValueError:
            _log.warning("checkpoint of step %d is damaged (its score)", step)
            set_aside(workdir / CHECKPOINTS, step)
            damaged.append(step)
    return damaged


def read_score(
    folder: epath.Path, *, damaged_is_none: bool = True
) -> tuple[float, str | None] | None:
    """Returns the PSNR (dB) that a checkpoint was saved with and what it is of.

    None without a score; of what it is older runs do not say.
    """
    path = folder / "metrics" / "metrics"
    if not path.exists():
        return None
    try:
        score = json.loads(path.read_bytes())
        return float(score["psnr"]), score.get("of")
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        if damaged_is_none:
            return None
        raise ValueError(f"{path}: no score") from error


def absolute(folder: epath.Path) -> epath.Path:
    """Returns the folder independent of the working directory."""
    # epath would put the working directory before "gs://" as well.
    return folder if "://" in str(folder) else folder.absolute()
