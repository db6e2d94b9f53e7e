"""Reads published weights, in whatever container they come, as arrays by name."""

import math
import zipfile
from pathlib import Path

import jax.numpy as jnp
import numpy as np
import safetensors

from jaxsr.convert import matlab_file, torch_file
from jaxsr.errors import InputError, first_line
from jaxsr.files import names_file

LARGEST_UNPACKED = 2**30
"""Bytes that compressed files may unpack to; the largest network here has 0.2 GB."""

_SAFETENSORS_TYPES = (
    *("F64", "F32", "F16", "BF16", "I64", "I32", "I16", "I8"),
    *("U64", "U32", "U16", "U8", "BOOL"),
)


def read_checkpoint(path: str | Path) -> dict[str, np.ndarray]:
    """Returns the weights in a file: name -> array, in the file's own layout.

    Of a training checkpoint by PyTorch the one set of weights in it is returned.

    Reads `.pth` and `.pt` as `torch.save` writes them (both containers, state dicts,
    training checkpoints and pickled modules), `.safetensors`, `.npz`, and MATLAB's
    `.mat` up to version 7. The content decides, not the suffix. bfloat16 becomes
    float32, other types stay. No code from the file is run; PyTorch is not needed.

    Raises:
        InputError: missing, empty, damaged, of no known kind, or a pickle that asks for
            more than tensors.
        OSError: it cannot be read just now; the message names it.
    """
    with names_file(path):
        return _read(Path(path), torch_file.choose_weights)


def read_arrays(path: str | Path) -> dict[str, np.ndarray]:
    """Returns all arrays in a file, those of an optimiser or a second network as well.

    See `read_checkpoint`; names are paths, `state_dict.head.weight`.
    """
    with names_file(path):
        return _read(Path(path), torch_file.flatten)


def _read(path: Path, select: torch_file.Select) -> dict[str, np.ndarray]:
    if not path.is_file():
        raise InputError(f"{path}: no such file")
    with path.open("rb") as file:
        start = file.read(512)
    if not start:
        raise InputError(f"{path}: empty file, expected weights")
    if start.startswith(b"PK\x03\x04"):
        return _read_npz(path) if _is_npz(path) else torch_file.read_zip(path, select)
    if start.startswith(torch_file.LEGACY_START):
        return torch_file.read_legacy(path, select)
    if start.startswith(b"MATLAB 5.0 MAT-file"):
        return matlab_file.read_mat(path, largest=LARGEST_UNPACKED)
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
        _check_npz_sizes(path)
        with np.load(path, allow_pickle=False) as archive:
            return {key: archive[key] for key in archive.files}
    except InputError:
        raise
    except Exception as error:  # neither NumPy nor zipfile says what damage raises
        raise InputError(
            f"{path}: not a readable .npz file ({first_line(error)})"
        ) from None


def _check_npz_sizes(path: Path) -> None:
    """Finds that the file is as large as it says, before anything is unpacked."""
    with zipfile.ZipFile(path) as archive:
        entries = archive.infolist()
        total = sum(entry.file_size for entry in entries)
        if total > max(LARGEST_UNPACKED, path.stat().st_size):
            raise InputError(
                f"{path}: unpacks to {total / 1e9:.1f} GB, expected at most "
                f"{LARGEST_UNPACKED / 1e9:.1f} GB of weights"
            )
        for entry in entries:
            with archive.open(entry) as file:
                version = np.lib.format.read_magic(file)
                read_header = (
                    np.lib.format.read_array_header_1_0
                    if version == (1, 0)
                    else np.lib.format.read_array_header_2_0
                )
                shape, _, dtype = read_header(file)
                size = math.prod(shape) * dtype.itemsize
                if not dtype.hasobject and file.tell() + size != entry.file_size:
                    raise InputError(
                        f"{path}: damaged, {entry.filename} holds {entry.file_size} "
                        f"bytes, expected {file.tell() + size}"
                    )


def _read_safetensors(path: Path) -> dict[str, np.ndarray]:
    arrays = {}
    try:
        with safetensors.safe_open(path, framework="numpy") as file:
            for key in file.keys():
                kind = file.get_slice(key).get_dtype()
                if kind not in _SAFETENSORS_TYPES:
                    raise InputError(
                        f"{path}: {key} holds numbers as {kind}, expected one of "
                        f"{', '.join(_SAFETENSORS_TYPES)}"
                    )
                arrays[key] = file.get_tensor(key)
    except InputError:
        raise
    except Exception as error:  # damage raises more than SafetensorError
        raise InputError(
            f"{path}: not a readable safetensors file ({first_line(error)})"
        ) from None
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
