"""PyTorch state dicts in the layout of the repositories that jaxsr reads.

There is no second table of names: a family of `jaxsr.convert` says for a checkpoint
which of its arrays is which parameter. Here a checkpoint's names are found for which it
gives this network's parameters, and what is written has been read back: it gives the
same network, bit for bit.
"""

import re
from pathlib import Path
from typing import Any

import numpy as np
import safetensors.numpy

from jaxsr.convert import from_torch
from jaxsr.convert.mapping import Outline, Plan
from jaxsr.convert.mean_shift import mean_shift_arrays
from jaxsr.convert.pytorch import FAMILIES
from jaxsr.errors import InputError
from jaxsr.files import write_whole
from jaxsr.models import create, fields_of
from jaxsr.models.variables import by_name
from jaxsr.weights import Weights


def write(weights: Weights, path: Path) -> str:
    """Writes a `.safetensors` file of a state dict; see `jaxsr.export.write`.

    Raises:
        InputError: no repository has this network, or not with these fields.
    """
    family, state = to_state_dict(weights)
    write_whole(path, safetensors.numpy.save(state, {"format": "pt"}))
    return f"{path}: {len(state)} arrays as {family} names them, the same read back"


def to_state_dict(weights: Weights) -> tuple[str, dict[str, np.ndarray]]:
    """Returns a family of `jaxsr.convert` and the network's arrays as it has them.

    Raises:
        InputError: as `write`.
    """
    network = f"{weights.network} x{weights.scale}"
    reasons = []
    for family in FAMILIES:
        plan = _plan(family, weights)
        if plan is None:
            continue
        state = _state(plan, weights)
        reason = _why_not(family, state, weights)
        if reason is None:
            return family, state
        reasons.append(f"as {family}: {reason}")
    raise InputError(
        f"export: {network} in PyTorch's form: "
        + ("; ".join(reasons) or "no repository that jaxsr reads has this network")
    )


def _plan(family: str, weights: Weights) -> Plan | None:
    """Returns the family's plan for a checkpoint of exactly these parameters.

    What a family reads off a checkpoint's names are the largest numbers in them: each
    is tried until the plan has the network's parameters.
    """
    wanted = set(by_name(weights.variables["params"])) if weights.parameters else set()
    if set(weights.variables) - {"params"} or not wanted:
        return None
    highest = max(
        [int(number) for path in wanted for number in re.findall(r"\d+", path)] or [0]
    )

    def plan_for(counts: dict[str, int]) -> Plan | None:
        outline = Outline(
            {_name(p, i): _NOTHING for p, n in counts.items() for i in range(n)}
        )
        for scale in (None, weights.scale):  # from the names; or of those without
            try:
                plan = FAMILIES[family](outline, scale)
            except InputError:
                continue
            for pattern in outline.patterns:
                counts.setdefault(pattern, 0)
            return plan
        return None

    def score(plan: Plan | None) -> int:
        if plan is None:
            return -(10**9)
        return len(wanted & plan.sources.keys()) - len(plan.sources.keys() - wanted)

    counts: dict[str, int] = {}
    best = plan_for(counts)
    for _ in range(2):  # one number may hide behind another: blocks in groups
        for pattern in list(counts):
            for number in range(2 * highest + 8):
                plan = plan_for(trial := {**counts, pattern: number})
                if score(plan) > score(best):
                    best, counts = plan, trial
                elif score(plan) < score(best):
                    break  # more names than there are parameters
    return best if best and best.sources.keys() == wanted else None


_NOTHING = np.zeros(0, np.float32)


def _name(pattern: str, number: int) -> str:
    """Returns the name that a pattern with one group for a number stands for."""
    return re.sub(r"\\(.)", r"\1", pattern.replace(r"(\d+)", str(number)))


def _state(plan: Plan, weights: Weights) -> dict[str, np.ndarray]:
    parameters = by_name(weights.variables["params"])
    state = {}
    for path, (key, layout) in plan.sources.items():
        value = np.asarray(parameters[path], np.float32)
        padded = value.reshape(value.shape + (1,) * (len(layout) - value.ndim))
        state[key] = np.ascontiguousarray(padded.transpose(np.argsort(layout)))
    if plan.consumed:
        fields = fields_of(weights.create())
        state |= mean_shift_arrays(fields["mean"], fields["image_range"])
    return state


def _why_not(family: str, state: dict[str, np.ndarray], weights: Weights) -> str | None:
    """Returns what reading a state dict back gives that is not this network."""
    try:
        name, fields, variables = from_torch(state, family, weights.scale)
    except InputError as error:
        return str(error)
    held, original = fields_of(create(name, **fields)), fields_of(weights.create())
    differing = [k for k in original if held.get(k, _NOTHING) != original[k]]
    if differing or held.keys() != original.keys():
        return ", ".join(
            f"{key} is {_shown(held, key)} there, {original[key]} here"
            for key in differing
        )
    before, after = by_name(weights.variables["params"]), by_name(variables["params"])
    same = before.keys() == after.keys() and all(
        np.array_equal(before[path], after[path]) for path in before
    )
    return None if same else "read back it has other numbers"


def _shown(fields: dict[str, Any], key: str) -> str:
    return str(fields.get(key, "unknown"))
