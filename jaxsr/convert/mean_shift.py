"""The 1x1 convolutions that subtract and add the mean colour in PyTorch's networks."""

import logging
from collections.abc import Sequence
from typing import Any

import numpy as np

from jaxsr.convert.mapping import Arrays, Plan
from jaxsr.errors import InputError
from jaxsr.layers.mean_shift import DIV2K_MEAN

_log = logging.getLogger(__name__)


def add_mean_shifts(plan: Plan, head: str = "", tail: str = "") -> None:
    """Adds the 1x1 convolutions that subtract and add the mean colour.

    They are meant to be constant, but some repositories train them by oversight. Here
    the mean is a constant, and whatever else they do is moved into the neighbouring
    convolutions. That is exact: with `A x + a` in front and `B y + b` behind, the mean
    is `-A^-1 a`, so that the zero padding of the first convolution stays zero.

    Without `head` and `tail`, keys of those convolutions, the network adds its input to
    its output as well, past them, and trained shifts are refused.
    """
    for key in ("sub_mean", "add_mean"):
        plan.consumed |= {f"{key}.weight": (3, 3, 1, 1), f"{key}.bias": (3,)}

    def finish(arrays: Arrays) -> tuple[Arrays, dict[str, Any]]:
        front, behind = (
            arrays[f"{key}.weight"][:, :, 0, 0].astype(np.float64)
            for key in ("sub_mean", "add_mean")
        )
        if np.linalg.cond(front) > 1e3:
            raise InputError("sub_mean.weight mixes the colours beyond repair")
        colour = -np.linalg.solve(front, arrays["sub_mean.bias"].astype(np.float64))
        # The repositories run on 0..255 or, by an option, on 0..1.
        image_range = 255.0 if np.abs(colour).max() > 1 else 1.0
        if not colour.any():
            image_range = float(plan.fields.get("image_range", 1.0))
            if "image_range" not in plan.fields:
                _log.warning(
                    "the mean is zero, which does not tell the range of pixels: taken "
                    "as 0 to 1; for 0 to 255 give the field image_range=255.0"
                )
        mean = tuple(float(value) for value in np.round(colour / image_range, 7))
        # The constants went through float32.
        if np.allclose(mean, DIV2K_MEAN, rtol=0, atol=1e-6):
            mean = DIV2K_MEAN
        offset = arrays["add_mean.bias"] - image_range * np.array(mean)
        if np.abs(offset).max() < 1e-4:  # the float32 of the constants
            offset = np.zeros(3)
        fields = {"mean": mean, "image_range": image_range}
        if not head:
            if offset.any() or not np.allclose([front, behind], np.eye(3)):
                raise InputError(
                    "sub_mean and add_mean were trained, expected opposite constants"
                )
            return arrays, fields
        kernel = arrays[f"{head}.weight"].astype(np.float64)
        last = arrays[f"{tail}.weight"].astype(np.float64)
        changed = {
            f"{head}.weight": np.einsum("oihw,ij->ojhw", kernel, front),
            f"{tail}.weight": np.einsum("po,oihw->pihw", behind, last),
            f"{tail}.bias": behind @ arrays[f"{tail}.bias"] + offset,
        }
        return {**arrays, **changed}, fields

    plan.finish = finish


def mean_shift_arrays(
    mean: Sequence[float], image_range: float
) -> dict[str, np.ndarray]:
    """Returns the arrays that `add_mean_shifts` reads these fields from."""
    colour = np.float32(image_range * np.array(mean))
    arrays = {}
    for key, sign in (("sub_mean", -1), ("add_mean", 1)):
        arrays[f"{key}.weight"] = np.eye(3, dtype=np.float32)[:, :, None, None]
        arrays[f"{key}.bias"] = sign * colour
    return arrays
