"""A program of its own: reads a MATLAB file by SciPy, writes its arrays as NumPy's.

usage: python matlab_child.py FILE.mat OUT.npz BYTES

SciPy's reader is C code that a wrong byte can crash, so it runs in a process that may,
and that gets no more than BYTES of memory for what the file unpacks to. It imports
nothing of jaxsr, to start fast. OUT.npz holds `names`, and the arrays by their number.
"""

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np


def main(path: str, out: str, size: int) -> None:
    import scipy.io

    _limit_memory(size)
    arrays: dict[str, np.ndarray] = {}
    for name, value in scipy.io.loadmat(path).items():
        if not name.startswith("__"):
            arrays |= _flatten(name, value)
    numbered = {str(i): array for i, array in enumerate(arrays.values())}
    np.savez(out, **{"names": np.array(list(arrays), np.str_), **numbered})


def _limit_memory(size: int) -> None:
    """Lets this process take so much more memory than it has, where that can be told.

    Twice: SciPy unpacks an array and then copies it.
    """
    try:
        import resource

        pages = int(Path("/proc/self/statm").read_text().split()[0])
    except (ImportError, OSError):  # no Linux
        return
    _, most = resource.getrlimit(resource.RLIMIT_AS)
    limit = pages * resource.getpagesize() + 2 * size
    resource.setrlimit(resource.RLIMIT_AS, (limit, most))


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


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]))
