"""Checkpoints of a run, by orbax: asynchronous, the newest few and the best are
kept.

Each is saved with digests of its files and used only where they are right. Nothing is
deleted but what newer checkpoints replace: a damaged one is given another name.
"""

import contextlib
import logging
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jax
import orbax.checkpoint as ocp
from etils import epath
from orbax.checkpoint import checkpoint_managers

from jaxsr import processes
from jaxsr.errors import InputError, first_line
from jaxsr.training import digests
from jaxsr.training.checkpoint_contents import (
    other_step,
    read_state,
    read_variables,
)
from jaxsr.training.checkpoint_folder import (
    CHECKPOINTS,
    absolute,
    note_newest,
    read_score,
    set_aside,
    set_aside_without_scores,
)
from jaxsr.training.state import TrainState, non_finite

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
        scored_on: str | None = None,
    ):
        """Opens the folder; it need not be there before something is saved.

        Args:
            workdir: the run's folder; object storage ("gs://...") works as well.
            keep: how many of the newest checkpoints are kept, beside the best one.
            read_only: only restore; nothing in the folder is touched.
            scored_on: what the PSNR of `save` is measured on and how; the best is one
                of those of the same.

        Raises:
            InputError: `keep` is less than 1.
        """
        if keep < 1:
            raise InputError(
                f"train.keep_checkpoints: expected 1 or more, got {keep}; a run "
                "without a checkpoint cannot go on"
            )
        self._workdir = absolute(epath.Path(workdir))
        self._directory = self._workdir / CHECKPOINTS
        self._read_only = read_only
        self._scored_on = scored_on
        self._saving: int | None = None
        self._unconfirmed: int | None = None
        self._set_aside: list[int] = []
        if not read_only:
            # orbax reads these files at once, and they have to be what it expects.
            self._set_aside = processes.ask_first(
                lambda: set_aside_without_scores(self._workdir)
            )
        kept = [
            checkpoint_managers.LatestN(keep),
            checkpoint_managers.BestN(
                get_metric_fn=self._rank, n=1, keep_checkpoints_without_metrics=False
            ),
        ]
        self._manager = ocp.CheckpointManager(
            self._directory,
            options=ocp.CheckpointManagerOptions(
                best_fn=self._rank,
                preservation_policy=checkpoint_managers.AnyPreservationPolicy(kept),
                # What an interrupted save left behind goes when the run goes on.
                cleanup_tmp_directories=not read_only,
                read_only=read_only,
                create=False,
                # Who only reads gets the scores from the files, damaged ones or not.
                lightweight_initialize=read_only,
                # All processes see the same steps, whatever their file systems cache.
                single_host_load_and_broadcast=True,
                # Comes before the checkpoint gets the name by which it is found.
                async_options=ocp.AsyncOptions(
                    post_finalization_callback=self._write_digests
                ),
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
        """Returns the step that was saved with the highest PSNR, if any was.

        Of what the newest score is of: a run may change its benchmarks on the way.
        """
        found = {step: read_score(self._folder(step)) for step in self.steps()}
        scores = {step: score for step, score in found.items() if score is not None}
        newest = scores[max(scores)][1] if scores else None
        same = {
            step: psnr for step, (psnr, of) in scores.items() if of in (None, newest)
        }
        return max(same, key=lambda step: same[step], default=None)

    def save(self, state: TrainState, *, psnr: float | None = None) -> None:
        """Starts saving; `psnr` (dB) of an evaluation at this step ranks it.

        Raises:
            InputError: a value of the state is no finite number, so that no run could
                go on from it; or the folder holds a checkpoint of this or a later step.
            OSError: this checkpoint, or the one before, cannot be written.
        """
        step = int(state.step)
        if bad := non_finite(state):
            raise InputError(
                f"after step {step} {bad[0]} has values that are no finite numbers"
                + (f", and so have {len(bad) - 1} more" if bad[1:] else "")
                + f": it is not saved. {self.how_to_go_on()}"
            )
        with self._reports_failed_writes():
            self._finish()  # orbax would wait as well, but not tell which step it was
            self._saving = self._unconfirmed = step
            newest = max(self.steps(), default=-1)
            saved = newest < step and self._manager.save(
                step,
                args=ocp.args.Composite(state=ocp.args.StandardSave(state)),
                metrics=None if psnr is None else {"psnr": psnr, "of": self._scored_on},
                custom_metadata={"digests": digests.DIGESTS},
            )
        if not saved:
            raise InputError(
                f"{self._directory}: the checkpoint of step {step} is not saved, "
                f"because there is one of step {newest} already; another run writes "
                "to this folder, or files were copied into it"
            )

    def how_to_go_on(self) -> str:
        """Returns what to do about numbers that are not finite, for messages."""
        good = max(self.steps(), default=None)
        if good is None:
            return (
                "There is no checkpoint before: start anew with a lower "
                "schedule.learning_rate or with optimizer.clip_norm"
            )
        return (
            f"The last good checkpoint, of step {good}, is kept: go on from it with "
            "--config.train.change_recipe=True and a lower "
            "--config.schedule.learning_rate or with --config.optimizer.clip_norm"
        )

    def restore(self, template: TrainState) -> TrainState | None:
        """Returns the newest checkpoint that is whole, or None if there is none.

        One whose files are not what was saved is reported and passed over for the one
        before. Once that one is read, the damaged one is set aside, under the name
        `STEP.damaged`; nothing is deleted. All processes take the same step.

        Args:
            template: a state of the same run, whose shapes and devices are taken.

        Raises:
            InputError: there are checkpoints, and none of them is whole.
            OSError: a checkpoint cannot be read just now, which is no reason to give up
                the steps since the one before.
        """
        damaged = []
        for step in reversed(self.steps()):
            damage, state = self._restore_step(step, template)
            if state is not None:
                if damaged and not self._read_only:
                    processes.ask_first(
                        lambda: [set_aside(self._directory, bad) for bad in damaged]
                    )
                    self._manager.reload()
                return state
            _log.warning(
                "checkpoint of step %d is damaged; trying the one before (%s)",
                step,
                damage,
            )
            damaged.append(step)
        if damaged or self._set_aside:
            raise InputError(
                f"{self._directory}: none of the checkpoints of steps "
                f"{sorted([*damaged, *self._set_aside])} can be used, all are damaged; "
                "remove the run's folder to start anew"
            )
        return None

    def _restore_step(
        self, step: int, template: TrainState
    ) -> tuple[str | None, TrainState | None]:
        """Returns either what is wrong with a checkpoint, or the state in it."""
        folder = self._folder(step)
        damage = processes.ask_first(lambda: digests.find_damage(folder))
        if damage is not None:
            return damage, None
        error = state = None
        try:
            state = read_state(self._manager, step, folder, template)
        except (jax.errors.JaxRuntimeError, MemoryError):
            raise  # nothing of the files
        except Exception as raised:  # orbax raises whatever its storage raised
            error = first_line(raised)
        error = next(filter(None, processes.gather(error)), None)
        if error is None and state is not None:
            damage = other_step(folder, state.step)
            return (damage, None) if damage else (None, state)
        if processes.ask_first(lambda: digests.has_digests(folder)):
            raise OSError(
                f"{folder}: the files are whole, but cannot be read just now ({error})"
            )
        # Without digests: if all bytes can be read, and yet they are no checkpoint.
        processes.ask_first(lambda: digests.read_all(folder))
        return error, None

    def restore_variables(self, step: int, template: dict[str, Any]) -> dict[str, Any]:
        """Returns what `model.apply` takes, from the checkpoint of `step`, one of
        `steps()`; see `read_variables`."""
        return read_variables(self._folder(step), template)

    def wait(self) -> None:
        """Returns when everything saved so far is on disk.

        Raises:
            OSError: it could not be written, for instance because the disk is full.
        """
        with self._reports_failed_writes():
            self._finish()

    def close(self) -> None:
        """Waits for what is being saved, then frees the threads."""
        with self._reports_failed_writes():
            self._finish()
            self._manager.close()

    def _finish(self) -> None:
        """Returns when what is being saved is on disk, and notes that it is."""
        step, self._unconfirmed = self._unconfirmed, None
        self._manager.wait_until_finished()
        if step is not None and processes.is_first():
            note_newest(self._workdir, step)

    def _write_digests(self) -> None:
        """Writes the digests of what is being saved; orbax calls it when all of it is
        on disk."""
        names = (str(self._saving), f"{self._saving}{ocp.utils.TMP_DIR_SUFFIX}")
        for name in names:  # object storage has no temporary name
            if (self._directory / name).is_dir():
                digests.write_digests(self._directory / name)

    def _folder(self, step: int) -> epath.Path:
        return self._directory / str(step)

    def _rank(self, metrics: Any) -> float:
        """Returns the PSNR; that of another benchmark is less than any."""
        is_same = metrics.get("of") in (None, self._scored_on)
        return metrics["psnr"] if is_same else -math.inf

    @contextlib.contextmanager
    def _reports_failed_writes(self) -> Iterator[None]:
        """Turns what orbax's storage raises, here or later, into one clear line."""
        try:
            yield
        except Exception as error:
            if processes.find_lost(error) is not None:
                raise  # nothing of the disk
            raise OSError(
                f"{self._manager.directory}: a checkpoint cannot be written; those "
                f"before it are kept ({first_line(error)})"
            ) from error
