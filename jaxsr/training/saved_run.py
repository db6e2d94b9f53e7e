"""A run's network and weights, from its folder."""

import contextlib
import logging
from collections.abc import Iterator
from typing import Any

from etils import epath
from ml_collections import ConfigDict

from jaxsr.errors import InputError
from jaxsr.models import Network
from jaxsr.models.variables import abstract_variables
from jaxsr.training.checkpoint_contents import DamagedCheckpointError
from jaxsr.training.checkpoint_folder import lost_step
from jaxsr.training.checkpoints import Checkpoints
from jaxsr.training.config import Config
from jaxsr.training.network import create_model
from jaxsr.training.workdir import Workdir, read_config

_log = logging.getLogger(__name__)


def load_run(
    workdir: Workdir, *, step: str | int = "last"
) -> tuple[Config, Network, dict[str, Any], int]:
    """Returns a run's config, network, variables and step, for use.

    Args:
        workdir: the folder that training wrote.
        step: "last", a number, or "best": the highest PSNR in an evaluation during
            training. It was chosen on the very sets that it was evaluated on, so say
            so when you quote it. If the last checkpoint is damaged, the one before is
            taken, and a warning logged.

    Raises:
        InputError: the folder holds no run, or no such checkpoint, or a damaged one.
    """
    workdir = epath.Path(workdir)
    if not (workdir / "config.json").is_file():
        raise InputError(f"{workdir}: no run of jaxsr here (no config.json)")
    config = ConfigDict(read_config(workdir / "config.json"))
    model = create_model(config)
    with _only_errors_of_orbax(), Checkpoints(workdir, read_only=True) as checkpoints:
        steps = checkpoints.steps()
        if not steps:
            if lost_step(workdir) is not None:
                raise InputError(f"{workdir}: the run's checkpoints are gone")
            raise InputError(f"{workdir}: the run has no checkpoint yet")
        if step == "last":
            candidates = steps[::-1]
        elif step == "best":
            best = checkpoints.best_step()
            if best is None:
                every = config.to_dict()["train"]
                raise InputError(
                    f"{workdir}: none of the checkpoints {steps} was saved with an "
                    "evaluation, so none is the best (train.eval_every="
                    f"{every['eval_every']}, train.checkpoint_every="
                    f"{every['checkpoint_every']}): give last or a number"
                )
            candidates = [best]
        else:
            candidates = [_step_number(step)]
        if candidates[0] not in steps:
            raise InputError(
                f"{workdir}: no checkpoint of step {candidates[0]}, there are {steps}"
            )
        template = abstract_variables(model)
        for chosen in candidates:
            try:
                variables = checkpoints.restore_variables(chosen, template)
            except DamagedCheckpointError as error:
                if chosen == candidates[-1]:
                    raise
                _log.warning("%s; taking the one before", error)
                continue
            break
        return config, model, variables, chosen


@contextlib.contextmanager
def _only_errors_of_orbax() -> Iterator[None]:
    """Leaves out that orbax warns of a folder which it is only to read, as it is."""
    absl = logging.getLogger("absl")
    before = absl.level
    absl.setLevel(max(before, logging.ERROR))
    try:
        yield
    finally:
        absl.setLevel(before)


def _step_number(step: str | int) -> int:
    try:
        return int(step)
    except ValueError:
        raise InputError(
            f"step: expected last, best or a number, got {step!r}"
        ) from None
