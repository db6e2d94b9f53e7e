"""What is in a checkpoint: a state to go on with, or the variables alone."""

import dataclasses
from typing import Any

import jax
import numpy as np
import optax
import orbax.checkpoint as ocp
from etils import epath

from jaxsr.errors import InputError, first_line
from jaxsr.models.variables import check_variables
from jaxsr.training import digests
from jaxsr.training.state import TrainState


class DamagedCheckpointError(InputError):
    """A checkpoint's files are not what was saved."""


def read_state(
    manager: ocp.CheckpointManager,
    step: int,
    folder: epath.Path,
    template: TrainState,
) -> TrainState:
    """Returns the state of a step, also where parts of the optimiser that have no
    state of their own, such as clipping, came or went since then."""
    saved = _saved_tree(folder)["opt_state"]
    as_saved = template
    fits = isinstance(saved, list) and isinstance(template.opt_state, tuple)
    own = [p for p in template.opt_state if jax.tree.leaves(p)] if fits else []
    if fits and len(own) == sum(part is not None for part in saved):
        rest = iter(own)
        parts = [optax.EmptyState() if p is None else next(rest) for p in saved]
        as_saved = dataclasses.replace(template, opt_state=tuple(parts))
    abstract = jax.tree.map(ocp.utils.to_shape_dtype_struct, as_saved)
    restored = manager.restore(
        step,
        args=ocp.args.Composite(state=ocp.args.StandardRestore(abstract)),
    )["state"]
    if as_saved is template:
        return restored
    structure = jax.tree.structure(template.opt_state)
    return dataclasses.replace(
        restored,
        opt_state=jax.tree.unflatten(structure, jax.tree.leaves(restored.opt_state)),
    )


def read_variables(folder: epath.Path, template: dict[str, Any]) -> dict[str, Any]:
    """Returns what `model.apply` takes, from a checkpoint's folder.

    The averaged parameters are returned where the run kept an average.

    Args:
        folder: of one step.
        template: variables of the same network, for their shapes.

    Raises:
        DamagedCheckpointError: the files are not what was saved.
        InputError: the checkpoint holds another network.
        OSError: it cannot be read just now.
    """
    if damage := digests.find_damage(folder):
        raise DamagedCheckpointError(f"{folder}: the checkpoint is damaged ({damage})")
    checkpointer = ocp.PyTreeCheckpointer()
    try:
        tree = _saved_tree(folder)
        saved = {"params": tree["ema"] or tree["params"], **tree["model_state"]}
        check_variables(template, saved)
        wanted = {
            "ema" if tree["ema"] else "params": template["params"],
            "model_state": {k: v for k, v in template.items() if k != "params"},
            "step": jax.ShapeDtypeStruct((), np.int32),
        }
        as_numpy = ocp.checkpoint_utils.construct_restore_args(
            jax.tree.map(lambda x: np.empty(x.shape, x.dtype), wanted)
        )
        restored = checkpointer.restore(
            folder / "state",
            ocp.args.PyTreeRestore(wanted, restore_args=as_numpy, partial_restore=True),
        )
    except InputError as error:
        raise InputError(f"{folder}: {error}") from None
    except Exception as error:
        digests.read_all(folder)  # an OSError is not the checkpoint's fault
        raise DamagedCheckpointError(
            f"{folder}: cannot be read as a checkpoint ({first_line(error)})"
        ) from error
    if damage := other_step(folder, restored["step"]):
        raise DamagedCheckpointError(f"{folder}: {damage}")
    params = restored.get("ema") or restored.get("params")
    return {"params": params, **restored["model_state"]}


def other_step(folder: epath.Path, step: Any) -> str | None:
    """Returns what is wrong if the folder, named by a step, holds that of another."""
    held = int(step)
    return None if folder.name == str(held) else f"its files are those of step {held}"


def _saved_tree(folder: epath.Path) -> dict[str, Any]:
    """Returns what a checkpoint holds, by its own account: shapes and types."""
    metadata: Any = ocp.PyTreeCheckpointer().metadata(folder / "state").item_metadata
    if metadata is None:
        raise ValueError("no state in it")
    return metadata.tree
