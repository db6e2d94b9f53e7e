"""Reads the arrays of a MATLAB file, MatConvNet's networks among them."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from jaxsr.errors import InputError


def read_mat(path: Path) -> dict[str, np.ndarray]:
    """Returns the numeric arrays of a `.mat` file up to version 7, by name.

    Fields and cells are reached by points, `model.weight.0`; the parameters of a
    MatConvNet DAG network have the names that it gives them, `input_conv_f`. MATLAB
    drops trailing dimensions of size 1, so a `[3, 3, 64, 1]` kernel has three here.

    Raises:
        InputError: damaged, or SciPy is not installed.
    """
    try:
        import scipy.io
    except ImportError:
        raise InputError(
            f"{path}: MATLAB files need SciPy: pip install scipy"
        ) from None
    try:
        content = scipy.io.loadmat(path)
    except Exception as error:  # SciPy documents none of what a damaged file raises
        raise InputError(
            f"{path}: damaged or cut short, expected a whole MATLAB file "
            f"({type(error).__name__})"
        ) from None
    arrays = {}
    for name, value in content.items():
        if not name.startswith("__"):
            arrays |= _flatten(name, value)
    return arrays


def _flatten(name: str, value: Any) -> dict[str, np.ndarray]:
    if not isinstance(value, np.ndarray):
        return {}
    if value.dtype.names is None and value.dtype != object:
        return {name: value} if value.dtype.kind in "biuf" else {}
    parameters = _dag_parameters(value)
    if parameters:
        return parameters
    arrays = {}
    for label, child in _children(value):
        arrays |= _flatten(f"{name}.{label}", child)
    return arrays


def _children(value: np.ndarray) -> Iterator[tuple[str, Any]]:
    for i, element in enumerate(value.flat):
        index = [str(i)] if value.size > 1 or value.dtype.names is None else []
        if value.dtype.names is None:
            yield ".".join(index), element
            continue
        for field in value.dtype.names:
            yield ".".join([*index, field]), element[field]


def _dag_parameters(value: np.ndarray) -> dict[str, np.ndarray]:
    """Returns a DAG network's `params`, a struct array of names and values; or {}."""
    if "params" not in (value.dtype.names or ()) or value.size != 1:
        return {}
    params = value["params"].flat[0]
    if not {"name", "value"} <= set(params.dtype.names or ()):
        return {}
    return {str(entry["name"].flat[0]): entry["value"] for entry in params.flat}
