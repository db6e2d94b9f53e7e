"""Trained networks as single files: safetensors with the network's name and fields.

A tensor's key is its path in the variables, `params/head/kernel`. The file's metadata
are JSON strings: `network` (its name in `jaxsr.models`), `fields` (what `create` takes,
`scale` among them), and what the writer added, such as `source` and `protocol`.
"""

import json
import os
import secrets
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import safetensors
import safetensors.numpy
from flax.traverse_util import unflatten_dict

from jaxsr.errors import InputError
from jaxsr.inference import Upscaler
from jaxsr.models import create
from jaxsr.models.variables import abstract_variables, by_name, check_variables

# The collections that belong to a trained network; others are by-products of a call.
_COLLECTIONS = ("params", "batch_stats")


def save_weights(
    path: str | Path,
    variables: Mapping[str, Any],
    *,
    model: str,
    fields: Mapping[str, Any],
    metadata: Mapping[str, Any],
) -> None:
    """Writes a trained network, whole or not at all.

    Args:
        path: of the `.safetensors` file; an existing one is replaced.
        variables: `{"params": ...}`, with "batch_stats" where the network has them.
        model: the network's name in `jaxsr.models`.
        fields: its fields, `scale` among them. Without `dtype`, which is the choice of
            whoever runs the network.
        metadata: what else is worth knowing (source of the weights, protocol and score,
            ...); any values that JSON can hold.

    Raises:
        ValueError: `fields` without `scale`, or with `dtype`; metadata named `network`
            or `fields`.
        OSError: the file cannot be written.
    """
    if "scale" not in fields or "dtype" in fields:
        raise ValueError(f"expected fields with scale and no dtype, got {dict(fields)}")
    if reserved := {"network", "fields"} & set(metadata):
        raise ValueError(f"metadata cannot hold {sorted(reserved)}: these are written")
    entries = {"network": model, "fields": dict(fields), **metadata}
    kept = {name: variables[name] for name in _COLLECTIONS if name in variables}
    tensors = {
        # safetensors writes memory as it lies: order="C" makes transposed views safe.
        key: np.asarray(jax.device_get(value), order="C")
        for key, value in by_name(kept).items()
    }
    content = safetensors.numpy.save(
        tensors, {key: json.dumps(value) for key, value in entries.items()}
    )
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}.tmp")
    try:
        temporary.write_bytes(content)
        os.replace(temporary, path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def load_weights(
    path: str | Path,
) -> tuple[str, dict[str, Any], dict[str, Any], dict[str, Any]]:
    """Returns what `save_weights` wrote: (model, fields, variables, metadata).

    The arrays are NumPy's. Numbers of half the size become float32, the type that all
    networks keep parameters in.

    Raises:
        InputError: no such file, or not one that jaxsr wrote.
    """
    path = Path(path)
    if not path.is_file():
        raise InputError(f"{path}: no such weights file")
    try:
        with safetensors.safe_open(path, framework="numpy") as file:
            tensors = {key: _at_least_32(file.get_tensor(key)) for key in file.keys()}
            strings = file.metadata() or {}
    except safetensors.SafetensorError as error:
        raise InputError(f"{path}: not a readable safetensors file ({error})") from None
    try:
        metadata = {key: json.loads(value) for key, value in strings.items()}
        model, fields = metadata.pop("network"), metadata.pop("fields")
        usable = isinstance(model, str) and "scale" in dict(fields)
    except (KeyError, TypeError, ValueError):
        usable = False
    if not usable:
        raise InputError(
            f"{path}: expected metadata that name the network and its fields, "
            f"got {strings or 'none'}"
        )
    # JSON has no tuples, and modules must be hashable.
    fields = {k: tuple(v) if isinstance(v, list) else v for k, v in fields.items()}
    return model, fields, unflatten_dict(tensors, sep="/"), metadata


def load_upscaler(
    path: str | Path,
    *,
    model: str | None = None,
    scale: int | None = None,
    dtype: Any = jnp.float32,
    tile: int | None = None,
    overlap: int = 32,
    self_ensemble: bool = False,
) -> Upscaler:
    """Returns the network in a weights file, ready to enlarge pictures.

    Args:
        path: of a `.safetensors` file written by `save_weights`.
        model: the network that the file is expected to hold; None takes any.
        scale: the factor that it is expected to have; None takes any.
        dtype: compute type, float32 or bfloat16.
        tile: see `Upscaler`, as for what follows.
        overlap: see `Upscaler`.
        self_ensemble: see `Upscaler`.

    Raises:
        InputError: the file cannot be used, its tensors do not fit its network, or it
            holds another network or scale than expected.
    """
    name, fields, variables, _ = load_weights(path)
    expected = (model or name, scale or fields["scale"])
    if expected != (name, fields["scale"]):
        raise InputError(
            f"{path}: expected weights of {expected[0]} x{expected[1]}, "
            f"got {name} x{fields['scale']}"
        )
    try:
        network = create(name, **fields, dtype=dtype)
        check_variables(abstract_variables(network), variables)
    except InputError as error:
        raise InputError(f"{path}: {error}") from None
    return Upscaler(
        network, variables, tile=tile, overlap=overlap, self_ensemble=self_ensemble
    )


def _at_least_32(array: np.ndarray) -> np.ndarray:
    return array.astype(np.float32) if array.dtype == np.float16 else array
