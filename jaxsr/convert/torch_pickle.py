"""An unpickler that builds tensors and plain containers, and runs nothing else.

A `.pth` is a pickle, and unpickling runs whatever the file asks for. Here every name
that the pickle mentions is looked up in a fixed table: the few functions that rebuild
tensors are replaced by ours, which only note down shape and storage; every other name
becomes an inert class whose instances keep the state they are given and do nothing.
Calling such a name is refused. Nothing is ever imported on the file's behalf.
"""

import math
import pickle
from collections.abc import Callable, Iterable
from typing import IO, Any

import numpy as np

_BFLOAT16 = "bfloat16"  # NumPy has no such type; widened to float32 when read
_STORAGE_TYPES = {
    "DoubleStorage": "<f8",
    "FloatStorage": "<f4",
    "HalfStorage": "<f2",
    "BFloat16Storage": _BFLOAT16,
    "LongStorage": "<i8",
    "IntStorage": "<i4",
    "ShortStorage": "<i2",
    "CharStorage": "|i1",
    "ByteStorage": "|u1",
    "BoolStorage": "|b1",
}


class _Keeper:
    """Base of all that a pickle can get hold of: it cannot be reconfigured from there.

    Unpickling sets attributes on any object that has no `__setstate__`; with one, and
    without `__dict__`, the objects that are shared between loads stay as they are.
    """

    __slots__ = ()

    def __setstate__(self, state: Any) -> None:
        raise pickle.UnpicklingError("gives a state to an object that takes none")


class _NeverCalled(type):
    def __call__(cls, *args: Any, **kwargs: Any) -> Any:
        raise pickle.UnpicklingError(f"calls {cls.__name__}, which is no tensor")


class Inert(metaclass=_NeverCalled):
    """Stands for an object of a class that is not ours to import; keeps its state."""

    __slots__ = ("state",)
    state: Any

    def __new__(cls, *args: Any, **kwargs: Any) -> "Inert":
        self = super().__new__(cls)
        self.state = None
        return self

    def __setstate__(self, state: Any) -> None:
        self.state = state

    def __setitem__(self, key: Any, value: Any) -> None:
        """Drops the items of pickled dict subclasses."""

    def append(self, item: Any) -> None:
        """Drops the items of pickled list subclasses."""

    def extend(self, items: Any) -> None:
        """Drops the items of pickled list subclasses."""


class _Dropped(_NeverCalled):
    """Of classes that may be called: the result is an object that does nothing."""

    def __call__(cls, *args: Any, **kwargs: Any) -> Any:
        return Inert.__new__(Inert)


class _StateDict(dict):
    """`collections.OrderedDict`, less the attributes that state dicts carry."""

    __slots__ = ()

    def __setstate__(self, state: Any) -> None:
        """Drops `_metadata`, the module versions."""


class _Call(_Keeper):
    """A function that a pickle may call."""

    __slots__ = ("_function",)

    def __init__(self, function: Callable[..., Any]) -> None:
        self._function = function

    def __call__(self, *args: Any) -> Any:
        return self._function(*args)


class _Storage(_Keeper):
    """The numbers of a tensor: a part of the buffer `key`, read as `dtype`."""

    __slots__ = ("dtype", "key", "numel", "start")

    def __init__(self, dtype: str, key: str, numel: int, start: int = 0) -> None:
        self.dtype, self.key, self.numel, self.start = dtype, key, numel, start


class Tensor(_Keeper):
    """A tensor whose numbers are read later: the older container has them at its end.

    Attributes:
        key: names the buffer of the container that holds the numbers.
    """

    __slots__ = ("_offset", "_shape", "_storage", "_strides", "key")

    def __init__(
        self,
        storage: _Storage,
        offset: int,
        shape: Iterable[int],
        strides: Iterable[int],
    ) -> None:
        self._storage, self._offset = storage, offset
        self._shape, self._strides = tuple(shape), tuple(strides)
        numbers = (offset, *self._shape, *self._strides)
        if (
            not isinstance(storage, _Storage)
            or any(type(number) is not int or number < 0 for number in numbers)
            or len(self._shape) != len(self._strides)
        ):
            raise pickle.UnpicklingError("describes a tensor that cannot be")
        self.key = storage.key

    def __setstate__(self, state: Any) -> None:
        """Drops `requires_grad` and hooks, which old parameters carry."""

    def read(self, buffer: bytes) -> np.ndarray:
        """Returns the tensor as an array of its own; bfloat16 is widened to float32.

        Raises:
            pickle.UnpicklingError: the tensor reaches beyond its buffer.
        """
        storage = self._storage
        item_size = numpy_type(storage.dtype).itemsize
        numbers = np.frombuffer(
            buffer[: len(buffer) // item_size * item_size], numpy_type(storage.dtype)
        )[storage.start :][: storage.numel]
        size = math.prod(self._shape)
        last = self._offset + sum(
            (n - 1) * step for n, step in zip(self._shape, self._strides, strict=True)
        )
        # A stride of 0 could ask for more numbers than there are, without end.
        if size and (last >= numbers.size or size > numbers.size):
            raise pickle.UnpicklingError("has a tensor that is larger than its storage")
        if not size:
            return np.zeros(self._shape, np.float32)
        view = np.lib.stride_tricks.as_strided(
            numbers[self._offset :],
            self._shape,
            [step * item_size for step in self._strides],
            writeable=False,
        )
        if storage.dtype == _BFLOAT16:
            return (view.astype(np.uint32) << 16).view(np.float32)
        return np.array(view, order="C")


def numpy_type(dtype: str) -> np.dtype:
    """Returns the type in which a storage's numbers are read from bytes."""
    return np.dtype("<u2" if dtype == _BFLOAT16 else dtype)


def _ordered_dict(pairs: Iterable[tuple[Any, Any]] = ()) -> _StateDict:
    return _StateDict(pairs)


def _rebuild_tensor(
    storage: _Storage,
    offset: int,
    shape: Iterable[int],
    strides: Iterable[int],
    *requires_grad_and_hooks: Any,
) -> Tensor:
    return Tensor(storage, offset, shape, strides)


def _rebuild_parameter(tensor: Tensor, *requires_grad_and_hooks: Any) -> Tensor:
    return tensor


_CALLS = {
    "collections.OrderedDict": _Call(_ordered_dict),
    "torch._utils._rebuild_tensor": _Call(_rebuild_tensor),
    "torch._utils._rebuild_tensor_v2": _Call(_rebuild_tensor),
    "torch._utils._rebuild_parameter": _Call(_rebuild_parameter),
    "torch._utils._rebuild_parameter_with_state": _Call(_rebuild_parameter),
    "torch.nn.parameter.Parameter": _Call(_rebuild_parameter),
    "torch.Size": _Call(lambda shape=(): tuple(shape)),
}
# Called in honest files for things that no weight depends on (paths, dates, arrays of
# NumPy, random states): nothing is called, the result is inert.
_HARMLESS = {
    "__builtin__": ("bytearray", "complex", "frozenset", "object", "set", "slice"),
    "_codecs": ("encode",),
    "argparse": ("Namespace",),
    "builtins": ("bytearray", "complex", "frozenset", "object", "set", "slice"),
    "collections": ("Counter", "defaultdict", "deque"),
    "copy_reg": ("_reconstructor",),
    "copyreg": ("_reconstructor",),
    "datetime": ("date", "datetime", "time", "timedelta", "timezone"),
    "decimal": ("Decimal",),
    "fractions": ("Fraction",),
    "functools": ("partial",),
    "pathlib": (
        "Path",
        "PosixPath",
        "PurePath",
        "PurePosixPath",
        "PureWindowsPath",
        "WindowsPath",
    ),
    "numpy": ("dtype", "ndarray"),
    "numpy.core.multiarray": ("_reconstruct", "scalar"),
    "numpy.core.numeric": ("_frombuffer",),
    "torch": ("device", "Generator"),
    "torch.nn.backends.thnn": ("_get_thnn_function_backend",),
    "torch.serialization": ("_get_layout",),
    "uuid": ("UUID",),
    "zoneinfo": ("ZoneInfo._unpickle",),
}
# NumPy 2 and Python 3.13 moved some.
_HARMLESS |= {
    name.replace("numpy.core", "numpy._core"): _HARMLESS[name]
    for name in ("numpy.core.multiarray", "numpy.core.numeric")
}
_HARMLESS["pathlib._local"] = _HARMLESS["pathlib"]


class TensorUnpickler(pickle.Unpickler):
    """Builds dicts, lists, numbers, strings, `Tensor` and `Inert`; nothing else.

    Attributes:
        item_sizes: bytes of one number, for every buffer that the pickle names.
    """

    def __init__(self, file: IO[bytes]) -> None:
        # Python 2 wrote byte strings; latin-1 decodes any of them.
        super().__init__(file, encoding="latin1")
        self.item_sizes: dict[str, int] = {}

    def find_class(self, module_name: str, global_name: str, /) -> Any:
        full_name = f"{module_name}.{global_name}"
        if full_name in _CALLS:
            return _CALLS[full_name]
        if global_name in _HARMLESS.get(module_name, ()):
            return _Dropped(full_name, (Inert,), {"__slots__": ()})
        if module_name in ("torch", "torch.cuda") and global_name in _STORAGE_TYPES:
            return _STORAGE_TYPES[global_name]
        return _NeverCalled(full_name, (Inert,), {"__slots__": ()})

    def persistent_load(self, pid: Any, /) -> Any:
        match pid:
            case ("module", cls, *_):  # class, path and text of its source code
                return cls
            case ("storage", str(dtype), str(key), _, int(numel)):
                return self._storage(dtype, key, numel, 0)
            case ("storage", str(dtype), str(key), _, int(numel), None):
                return self._storage(dtype, key, numel, 0)
            case ("storage", str(dtype), str(key), _, _, (_, int(start), int(numel))):
                return self._storage(dtype, key, numel, start)
            case ("storage", type() as cls, *_):
                raise pickle.UnpicklingError(
                    f"holds numbers as {cls.__name__}, which are not known, expected "
                    f"{', '.join(_STORAGE_TYPES)}"
                )
        raise pickle.UnpicklingError("refers to a storage of a kind that is not known")

    def _storage(self, dtype: str, key: str, numel: int, start: int) -> _Storage:
        if dtype not in _STORAGE_TYPES.values() or numel < 0 or start < 0:
            raise pickle.UnpicklingError("refers to a storage that cannot be")
        self.item_sizes[key] = numpy_type(dtype).itemsize
        return _Storage(dtype, key, numel, start)
