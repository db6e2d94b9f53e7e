"""Weights & Biases, where a run's numbers and pictures go as well if asked to."""

import json
import logging
import secrets
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from jaxsr.errors import InputError, first_line
from jaxsr.files import write_whole
from jaxsr.training.config import Config

_log = logging.getLogger(__name__)


def check_wandb(project: str) -> None:
    """Raises InputError where a project is named and wandb is not installed."""
    if project:
        _import()


def open_wandb(config: Config, folder: Path) -> "WandbLog | None":
    """Returns where a run's numbers go as well, None where no project is named."""
    project, values = config.train.wandb, json.loads(config.to_json())
    if not project:
        return None
    return WandbLog(project, folder, name=config.name, config=values)


class WandbLog:
    """Sends one run's measurements to a project; only one process may have one.

    WANDB_MODE, WANDB_ENTITY and the other variables of wandb hold. The run's id stays
    in its folder, so that a run that goes on is the same one there. What is measured
    again after a kill is sent again: numbers are drawn over "step".

    Nothing that goes wrong there stops the training: the first time it is said in a
    line, and nothing more is sent.
    """

    # Seconds, to begin and to send all that is left; `wandb sync` does the rest.
    _patience = 60

    def __init__(self, project: str, folder: str | Path, *, name: str, config: Any):
        """Begins the run there, or goes on with it.

        Args:
            project: the name of the project.
            folder: the run's folder, for the id and for wandb's own files.
            name: what the run is called there.
            config: values that JSON can hold.
        """
        self._run: Any = None
        self._failed = False
        self._try(lambda: self._begin(project, Path(folder), name, config))

    def scalars(self, step: int, values: dict[str, float]) -> None:
        """Sends numbers of a step."""
        self._try(lambda: self._run.log({"step": step, **values}))

    def image(self, step: int, name: str, picture: np.ndarray) -> None:
        """Sends a uint8 picture `[H, W, C]`."""
        self._try(lambda: self._run.log({"step": step, name: _import().Image(picture)}))

    def close(self) -> None:
        """Ends the run there, after what has not been sent yet."""
        self._try(lambda: self._run.finish())

    def _begin(self, project: str, folder: Path, name: str, config: Any) -> None:
        wandb = _import()
        kept = folder / "wandb_id"
        run_id = kept.read_text().strip() if kept.exists() else secrets.token_hex(4)
        write_whole(kept, run_id.encode())
        settings = wandb.Settings(
            console="off",
            silent=True,
            login_timeout=self._patience,
            init_timeout=self._patience,
            finish_timeout=self._patience,
        )
        self._run = wandb.init(
            project=project,
            id=run_id,
            resume="allow",
            name=name,
            dir=str(folder),
            config=config,
            settings=settings,
        )
        self._run.define_metric("*", step_metric="step")

    def _try(self, send: Callable[[], object]) -> None:
        if self._failed:
            return
        try:
            send()
        # Of a network, a server, an account, a process of its own: all may go wrong.
        except Exception as error:
            self._failed = True
            _log.warning(
                "Weights & Biases: %s: nothing more is sent; the training goes on",
                first_line(error),
            )


def _import() -> Any:
    try:
        import wandb
    except ImportError:
        raise InputError(
            "train.wandb: wandb is not installed: pip install 'jaxsr-superres[wandb]'"
        ) from None
    return wandb
