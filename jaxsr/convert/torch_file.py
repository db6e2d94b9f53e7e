"""Reads files by `torch.save`, without PyTorch and without running code from them.

Both containers are read: the zip archive (PyTorch 1.6 and later) and the older one,
several pickles followed by the raw storages. The weights may be a state dict, lie in a
training checkpoint beside other things, or belong to a whole pickled module.
"""

import pickle
import struct
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import IO, Any

import numpy as np

from jaxsr.convert.pickle_bounds import PickleBoundsError, check_pickle
from jaxsr.convert.torch_pickle import Inert, Tensor, TensorUnpickler
from jaxsr.errors import InputError

# The first pickle of the older container. Source: torch/serialization.py.
LEGACY_MAGIC = 0x1950A86A20F9469CFC6C
LEGACY_START = b"\x80\x02\x8a\x0a" + LEGACY_MAGIC.to_bytes(10, "little")


# Bytes of tensors that share what a file holds once.
_LARGEST = 2**30

# Containers within containers; a path through more is no longer a name.
_DEEPEST = 50

# Takes what a pickle held, and the file's path for messages.
Select = Callable[[Any, Path], dict[str, Tensor]]


def read_zip(path: Path, select: Select) -> dict[str, np.ndarray]:
    """Returns the weights in a zip archive by `torch.save`.

    Args:
        path: of the file.
        select: which of its tensors, `choose_weights` or `flatten`.

    Raises:
        InputError: no such archive, damaged, or more than tensors in it.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            return _read_archive(archive, path, select)
    except InputError:
        raise
    except Exception as error:  # zipfile documents only some of what damage raises
        raise InputError(
            f"{path}: damaged or cut short, expected a whole zip archive ({error})"
        ) from None


def _read_archive(
    archive: zipfile.ZipFile, path: Path, select: Select
) -> dict[str, np.ndarray]:
    entries = {entry.filename: entry for entry in archive.infolist()}
    pickles = [name for name in entries if name.partition("/")[2] == "data.pkl"]
    if len(pickles) != 1:
        raise InputError(
            f"{path}: expected an archive by torch.save with one data.pkl, got "
            f"{len(pickles)} of them"
        )
    folder = pickles[0].removesuffix("data.pkl")
    if any(name.startswith(f"{folder}code/") for name in entries):
        raise InputError(
            f"{path}: a TorchScript program, expected weights: save its state_dict() "
            "with torch.save"
        )
    # torch.save never compresses; a small entry that unpacks to gigabytes is no weight.
    if any(entry.compress_type != zipfile.ZIP_STORED for entry in entries.values()):
        raise InputError(f"{path}: expected uncompressed entries, got compressed ones")
    order = f"{folder}byteorder"
    if order in entries and archive.read(order) != b"little":
        raise InputError(f"{path}: expected little-endian numbers, got big-endian")
    with archive.open(pickles[0]) as file:
        content, _ = _unpickle(file, path)

    def read_buffer(key: str) -> bytes:
        name = f"{folder}data/{key}"
        if name not in entries:
            raise InputError(f"{path}: damaged, the entry {name!r} is missing")
        return archive.read(name)

    return _read_tensors(select(content, path), read_buffer, path)


def read_legacy(path: Path, select: Select) -> dict[str, np.ndarray]:
    """Returns the weights in a container by `torch.save` before PyTorch 1.6.

    See `read_zip`.

    Raises:
        InputError: no such container, damaged, or more than tensors in it.
    """
    with path.open("rb") as file:
        _unpickle(file, path)  # LEGACY_MAGIC
        _unpickle(file, path)  # protocol version
        system, _ = _unpickle(file, path)
        if isinstance(system, dict) and system.get("little_endian") is False:
            raise InputError(f"{path}: expected little-endian numbers, got big-endian")
        content, item_sizes = _unpickle(file, path)
        keys, _ = _unpickle(file, path)
        if not isinstance(keys, list) or not set(keys) <= set(item_sizes):
            raise InputError(f"{path}: damaged, its list of storages is not readable")
        buffers: dict[str, bytes] = {}
        size = path.stat().st_size
        for key in keys:
            head = file.read(8)
            count = struct.unpack("<q", head)[0] if len(head) == 8 else -1
            length = count * item_sizes[key]
            if not 0 <= length <= size - file.tell():
                raise InputError(
                    f"{path}: cut short, expected the numbers of {len(keys)} storages, "
                    f"got {len(buffers)}"
                )
            buffers[key] = file.read(length)

    def get_buffer(key: str) -> bytes:
        if key not in buffers:
            raise InputError(f"{path}: damaged, the storage {key!r} is missing")
        return buffers[key]

    return _read_tensors(select(content, path), get_buffer, path)


def _unpickle(file: IO[bytes], path: Path) -> tuple[Any, dict[str, int]]:
    """Returns the next object of `file`, and the bytes per number of its storages."""
    unpickler = TensorUnpickler(file)
    try:
        check_pickle(file)
        return unpickler.load(), unpickler.item_sizes
    except (pickle.UnpicklingError, PickleBoundsError) as error:
        raise InputError(
            f"{path}: refused, nothing was run: the file {error}"
        ) from None
    except (OSError, zipfile.BadZipFile):
        raise
    except Exception as error:  # a damaged pickle can end in nearly any exception
        raise InputError(
            f"{path}: damaged or cut short, its pickle ends in {type(error).__name__}"
        ) from None


def _read_tensors(
    tensors: dict[str, Tensor], read_buffer: Callable[[str], bytes], path: Path
) -> dict[str, np.ndarray]:
    arrays: dict[str, np.ndarray] = {}
    # Tensors may share a storage, and thousands of them one.
    left = max(_LARGEST, 2 * path.stat().st_size)
    for name, tensor in tensors.items():
        try:
            arrays[name] = tensor.read(read_buffer(tensor.key))
        except pickle.UnpicklingError as error:
            raise InputError(f"{path}: damaged, the file {error}") from None
        left -= arrays[name].nbytes
        if left < 0:
            raise InputError(
                f"{path}: its tensors are larger than the file, expected at most "
                f"{_LARGEST / 1e9:.1f} GB of such weights"
            )
    return arrays


def choose_weights(content: Any, path: Path) -> dict[str, Tensor]:
    """Returns the one state dict that `content` is or holds, however deep.

    Numbers beside it (`loss`) and the state of an optimiser are left out. A training
    checkpoint that holds `params` and their moving average `params_ema` (BasicSR) gives
    the average: it is what BasicSR itself validates with.
    """
    found = {
        name: tensors
        for name, tensors in _state_dicts(content).items()
        if len(tensors) > 1 or not name
    }
    likely = {name: t for name, t in found.items() if any(map(_is_parameter, t))}
    found = likely or found or _state_dicts(content)
    if set(found) == {"params", "params_ema"}:
        del found["params"]
    if len(found) > 1:
        raise InputError(
            f"{path}: expected one set of weights, got {', '.join(sorted(found))}"
        )
    if not found:
        raise InputError(f"{path}: expected tensors by name, found none")
    return next(iter(found.values()))


def _is_parameter(name: str) -> bool:
    return name.rpartition(".")[2] in ("weight", "bias")


def flatten(content: Any, path: Path) -> dict[str, Tensor]:
    """Returns all tensors in `content` by their paths, "state_dict.head.weight"."""
    found = {
        f"{prefix}.{name}" if prefix else name: tensor
        for prefix, tensors in _state_dicts(content).items()
        for name, tensor in tensors.items()
    }
    if not found:
        raise InputError(f"{path}: expected tensors by name, found none")
    return found


def _state_dicts(content: Any) -> dict[str, dict[str, Tensor]]:
    """Returns by its path each container in `content` that has tensors of its own."""
    found: dict[str, dict[str, Tensor]] = {}
    waiting: list[tuple[str, Any, int]] = [("", content, 0)]
    seen: set[int] = set()
    for name, value, depth in waiting:
        if id(value) in seen:  # a file could hold a container that contains itself
            continue
        seen.add(id(value))
        if tensors := _state_dict(value):
            found[name] = tensors
        if isinstance(value, dict | list | tuple) and depth < _DEEPEST:
            items = value.items() if isinstance(value, dict) else enumerate(value)
            waiting += [
                (f"{name}.{k}" if name else str(k), v, depth + 1) for k, v in items
            ]
    return found


def _state_dict(content: Any) -> dict[str, Tensor]:
    """Returns the tensors right in a dict, or all of a module; {} for other things."""
    if isinstance(content, dict):
        return {
            str(key): value
            for key, value in content.items()
            if isinstance(value, Tensor)
        }
    tensors: dict[str, Tensor] = {}
    modules = [("", content, 0)]
    seen: set[int] = set()
    for prefix, module, depth in modules:
        state = module.state if isinstance(module, Inert) else None
        if not isinstance(state, dict) or id(module) in seen:
            continue
        seen.add(id(module))  # a file could hold a module that contains itself
        for group in ("_parameters", "_buffers", "_modules"):
            named = state.get(group)
            for name, value in named.items() if isinstance(named, dict) else ():
                if isinstance(value, Tensor):
                    tensors[f"{prefix}{name}"] = value
                elif group == "_modules" and depth < _DEEPEST:
                    modules.append((f"{prefix}{name}.", value, depth + 1))
    return tensors
