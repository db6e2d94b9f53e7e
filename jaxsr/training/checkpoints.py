"""Checkpoints of a run, by orbax: asynchronous, the newest few and the best are
kept."""

import contextlib
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jax
import numpy as np
import orbax.checkpoint as ocp
from etils import epath
from orbax.checkpoint import checkpoint_managers

from jaxsr.errors import InputError, first_line
from jaxsr.models.variables import check_variables
from jaxsr.training.state import TrainState

# The folder's name in a workdir.
CHECKPOINTS = "checkpoints"

_log = logging.getLogger(__name__)


class Checkpoints:
    """The folder `checkpoints/` of a workdir; one checkpoint a step.

    Use as a context manager, or call `close`: saving goes on in the background.
    """

    def __init__(
        self,
        workdir: str | Path | epath.Path,
        *,
        keep: int = 3,
        read_only: bool = False,
    ):
        """Opens the folder; it need not be there before something is saved.

        Args:
            workdir: the run's folder; object storage ("gs://...") works as well.
            keep: how many of the newest checkpoints are kept, beside the best one.
            read_only: only restore; nothing in the folder is touched.
        """
        kept = [
            checkpoint_managers.LatestN(keep),
            checkpoint_managers.BestN(
                get_metric_fn=_psnr, n=1, keep_checkpoints_without_metrics=False
            ),
        ]
        self._manager = ocp.CheckpointManager(
            _absolute(epath.Path(workdir)) / CHECKPOINTS,
            options=ocp.CheckpointManagerOptions(
                best_fn=_psnr,
                preservation_policy=checkpoint_managers.AnyPreservationPolicy(kept),
                # What an interrupted save left behind goes when the run goes on.
                cleanup_tmp_directories=not read_only,
                read_only=read_only,
                create=False,
                # All processes see the same steps, whatever their file systems cache.
                single_host_load_and_broadcast=True,
            ),
        )

    def __enter__(self) -> "Checkpoints":
        return self

    def __exit__(self, *exception) -> None:
        self.close()

    def steps(self) -> list[int]:
        """Returns the steps that have a checkpoint, oldest first."""
        return sorted(self._manager.all_steps())

    def best_step(self) -> int | None:
        """Returns the step that was saved with the highest PSNR, if any was."""
        scored = [s for s in self.steps() if self._manager.metrics(s)]
        return max(scored, key=lambda s: _psnr(self._manager.metrics(s)), default=None)

    def save(self, state: TrainState, *, psnr: float | None = None) -> None:
        """Starts saving; `psnr` (dB) of an evaluation at this step ranks it.

        A step that is there already is not saved again.

        Raises:
            OSError: this checkpoint, or the one before, cannot be written.
        """
        step = int(state.step)
        if step in self.steps():
            return
        with self._reports_failed_writes():
            self._manager.directory.mkdir(parents=True, exist_ok=True)
            self._manager.save(
                step,
                args=ocp.args.Composite(state=ocp.args.StandardSave(state)),
                metrics=None if psnr is None else {"psnr": psnr},
            )

    def restore(self, template: TrainState) -> TrainState | None:
        """Returns the newest checkpoint that can be read, or None if there is none.

        One that cannot be read, cut short by a full disk for instance, is reported,
        removed and passed over for the one before.

        Args:
            template: a state of the same run, whose shapes and devices are taken.

        Raises:
            InputError: there are checkpoints, and none of them can be read.
        """
        abstract = jax.tree.map(ocp.utils.to_shape_dtype_struct, template)
        args = ocp.args.Composite(state=ocp.args.StandardRestore(abstract))
        broken = []
        for step in reversed(self.steps()):
            try:
                state = self._manager.restore(step, args=args)["state"]
            except Exception as error:  # orbax raises whatever its storage raised
                _log.warning(
                    "checkpoint of step %d cannot be read (%s); trying the one before",
                    step,
                    first_line(error),
                )
                broken.append(step)
                continue
            for bad in broken:
                self._manager.delete(bad)
            return state
        if broken:
            raise InputError(
                f"{self._manager.directory}: none of the checkpoints of steps "
                f"{broken[::-1]} can be read; remove the folder to start anew"
            )
        return None

    def restore_variables(self, step: int, template: dict[str, Any]) -> dict[str, Any]:
        """Returns what `model.apply` takes, from the checkpoint of `step`.

        The averaged parameters are returned where the run kept an average.

        Args:
            step: one of `steps()`.
            template: variables of the same network, for their shapes.

        Raises:
            InputError: the checkpoint cannot be read, or holds another network.
        """
        folder = self._manager.directory / str(step) / "state"
        checkpointer = ocp.PyTreeCheckpointer()
        try:
            metadata: Any = checkpointer.metadata(folder).item_metadata
            tree = metadata.tree
            saved = {"params": tree["ema"] or tree["params"], **tree["model_state"]}
            check_variables(template, saved)
            wanted = {
                "ema" if tree["ema"] else "params": template["params"],
                "model_state": {k: v for k, v in template.items() if k != "params"},
            }
            as_numpy = ocp.checkpoint_utils.construct_restore_args(
                jax.tree.map(lambda x: np.empty(x.shape, x.dtype), wanted)
            )
            restored = checkpointer.restore(
                folder,
                ocp.args.PyTreeRestore(
                    wanted, restore_args=as_numpy, partial_restore=True
                ),
            )
        except InputError as error:
            raise InputError(f"{folder}: {error}") from None
        except Exception as error:
            raise InputError(
                f"{folder}: cannot be read as a checkpoint ({first_line(error)})"
            ) from error
        params = restored.get("ema") or restored.get("params")
        return {"params": params, **restored["model_state"]}

    def wait(self) -> None:
        """Returns when everything saved so far is on disk.

        Raises:
            OSError: it could not be written, for instance because the disk is full.
        """
        with self._reports_failed_writes():
            self._manager.wait_until_finished()

    def close(self) -> None:
        """Waits for what is being saved, then frees the threads."""
        with self._reports_failed_writes():
            self._manager.close()

    @contextlib.contextmanager
    def _reports_failed_writes(self) -> Iterator[None]:
        """Turns what orbax's storage raises, here or later, into one clear line."""
        try:
            yield
        except Exception as error:
            raise OSError(
                f"{self._manager.directory}: a checkpoint cannot be written; those "
                f"before it are kept ({first_line(error)})"
            ) from error


def _absolute(folder: epath.Path) -> epath.Path:
    # epath would put the working directory before "gs://" as well.
    return folder if "://" in str(folder) else folder.absolute()


def _psnr(metrics: Any) -> float:
    return metrics["psnr"]
