"""Reads published weights, in whatever container they come, as arrays by name."""

import zipfile
from pathlib import Path

import jax.numpy as jnp
import numpy as np
import safetensors

from jaxsr.convert import matlab_file, torch_file
from jaxsr.errors import InputError


def read_checkpoint(path: str | Path) -> dict[str, np.ndarray]:
    """Returns the weights in a file: name -> array, in the file's own layout.

    Reads `.pth` and `.pt` as `torch.save` writes them (both containers, state dicts,
    training checkpoints and pickled modules), `.safetensors`, `.npz`, and MATLAB's
    `.mat` up to version 7. The content decides, not the suffix. bfloat16 becomes
    float32, other types stay. No code from the file is run; PyTorch is not needed.

    Raises:
        InputError: missing, empty, damaged, of no known kind, or a pickle that asks for
            more than tensors.
    """
    path = Path(path)
    if not path.is_file():
        raise InputError(f"{path}: no such file")
    with path.open("rb") as file:
        start = file.read(512)
    if not start:
        raise InputError(f"{path}: empty file, expected weights")
    if start.startswith(b"PK\x03\x04"):
        return _read_npz(path) if _is_npz(path) else torch_file.read_zip(path)
    if start.startswith(torch_file.LEGACY_START):
        return torch_file.read_legacy(path)
    if start.startswith(b"MATLAB 5.0 MAT-file"):
        return matlab_file.read_mat(path)
    if start[8:9] == b"{":
        return _read_safetensors(path)
    raise InputError(
        f"{path}: {_guess(start)}, expected weights by torch.save, "
        "safetensors, NumPy (.npz) or MATLAB (.mat up to version 7)"
    )


def _is_npz(path: Path) -> bool:
    try:
        with zipfile.ZipFile(path) as archive:
            names = archive.namelist()
    except Exception:  # damaged: the reader of PyTorch's archives says so
        return False
    return bool(names) and all(name.endswith(".npy") for name in names)


def _read_npz(path: Path) -> dict[str, np.ndarray]:
    try:
        with np.load(path, allow_pickle=False) as archive:
            return {key: archive[key] for key in archive.files}
    except Exception as error:  # neither NumPy nor zipfile says what damage raises
        raise InputError(f"{path}: not a readable .npz file ({error})") from None


def _read_safetensors(path: Path) -> dict[str, np.ndarray]:
    try:
        with safetensors.safe_open(path, framework="numpy") as file:
            arrays = {key: file.get_tensor(key) for key in file.keys()}
    except safetensors.SafetensorError as error:
        raise InputError(f"{path}: not a readable safetensors file ({error})") from None
    return {
        key: array.astype(np.float32) if array.dtype == jnp.bfloat16 else array
        for key, array in arrays.items()
    }


def _guess(start: bytes) -> str:
    """Names what a file that holds no weights seems to be."""
    if start.lstrip().startswith(b"<"):
        return "a web page, not weights (the download went to a login or error page?)"
    if start.startswith(b"version https://git-lfs"):
        return "a Git LFS pointer, not the file itself (run `git lfs pull`)"
    if start.startswith((b"\x80\x02", b"\x80\x03", b"\x80\x04", b"\x80\x05")):
        return "a pickle that is not by torch.save"
    if start.startswith((b"MATLAB 7.3 MAT-file", b"\x89HDF")):
        return "an HDF5 file"
    return "a file of unknown kind"
