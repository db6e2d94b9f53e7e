"""Reads the arrays of a MATLAB file, MatConvNet's networks among them."""

import importlib.util
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

from jaxsr.convert import matlab_child
from jaxsr.errors import InputError


def read_mat(path: Path, *, largest: int) -> dict[str, np.ndarray]:
    """Returns the numeric arrays of a `.mat` file up to version 7, by name.

    Fields and cells are reached by points, `model.weight.0`; the parameters of a
    MatConvNet DAG network have the names that it gives them, `input_conv_f`. MATLAB
    drops trailing dimensions of size 1, so a `[3, 3, 64, 1]` kernel has three here.

    Args:
        path: of the file.
        largest: bytes that it may take when unpacked.

    Raises:
        InputError: damaged, too large, or SciPy is not installed.
    """
    if importlib.util.find_spec("scipy") is None:
        raise InputError(f"{path}: MATLAB files need SciPy: pip install scipy")
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder, "arrays.npz")
        run = subprocess.run(
            [sys.executable, "-P", matlab_child.__file__, path.absolute(), out]
            + [str(largest)],
            capture_output=True,
            text=True,
            errors="replace",
            # Threads of a linear algebra library would take address space each.
            env={**os.environ, "OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"},
            check=False,
        )
        if run.returncode:
            *_, why = run.stderr.strip().splitlines() or [""]
            # An exception's name; nothing where the reader crashed.
            cause = why.partition(":")[0].rpartition(".")[2] or "its reader crashed"
            if cause == "MemoryError":
                raise InputError(
                    f"{path}: unpacks to more than the {largest / 1e9:.3g} GB that are "
                    "allowed for weights, or says so by a wrong byte"
                )
            raise InputError(
                f"{path}: damaged or cut short, expected a whole MATLAB file "
                f"({cause if run.returncode > 0 else 'its reader crashed'})"
            )
        with np.load(out, allow_pickle=False) as arrays:
            return {str(name): arrays[str(i)] for i, name in enumerate(arrays["names"])}
