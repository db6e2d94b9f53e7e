"""The contract that every network keeps, as a class: `Network`."""

import dataclasses
import math
import types
import typing
from typing import Any, NoReturn

import flax.linen as nn
import jax
import jax.numpy as jnp

from jaxsr.errors import InputError


class Network(nn.Module):
    """A network that enlarges pictures; each one writes `forward`.

    `network(lr)` takes float images `[N, H, W, channels]` in [0, 1] and returns float32
    `[N, scale*H, scale*W, channels]`, unclipped. Any H and W down to 1 pixel will do,
    unless the network says otherwise.

    Attributes:
        scale: the factor, a whole number.
        channels: 3 for RGB, 1 for networks that work on luma.
        dtype: the compute type, float32 or bfloat16; parameters stay float32.
    """

    scale: int
    channels: int = 3
    dtype: Any = jnp.float32

    # Whether all its layers know of `jaxsr.layers.canvas`. Those that do not run on
    # pictures of their own shape; no field, so without a type.
    knows_canvases = False

    if typing.TYPE_CHECKING:  # type checkers do not know that flax freezes modules

        def __hash__(self) -> int: ...

    def __call__(self, lr: jax.typing.ArrayLike, *, train: bool = False) -> jax.Array:
        """Returns the enlarged images.

        Args:
            lr: see above.
            train: a training step: intermediate predictions are sown into the
                collection "supervision", batch normalisation takes the batch's
                statistics.

        Raises:
            InputError: `lr` has not the type or shape that it must have, a field not
                such a value, or `forward` gives another shape than it must.
        """
        self.check()
        lr = jnp.asarray(lr)
        expected = f"floats in [0, 1] of shape [N, H, W, {self.channels}]"
        name = type(self).__name__
        if lr.ndim != 4 or lr.shape[-1] != self.channels:
            raise InputError(f"{name}: expected {expected}, got shape {list(lr.shape)}")
        if not jnp.issubdtype(lr.dtype, jnp.floating):
            raise InputError(f"{name}: expected {expected}, got {lr.dtype}")
        sr = self.forward(lr, train=train)
        n, h, w, c = lr.shape
        shape = (n, h * self.scale, w * self.scale, c)
        # Broadcast against the HR, a channel too few would be trained and scored.
        if sr.shape != shape:
            raise InputError(
                f"{name}: expected {list(shape)} of LR {list(lr.shape)}, its forward "
                f"gave {list(sr.shape)}"
            )
        return sr

    def forward(self, lr: jax.Array, *, train: bool) -> jax.Array:
        """What the network computes; `lr` is as the class says."""
        raise NotImplementedError(f"{type(self).__name__} has no forward")

    def check(self) -> None:
        """Finds that the fields can be; networks with rules of their own add them.

        Numbers of things are whole, at least 1 and below 2**16.

        Raises:
            InputError: a field cannot have its value; the message names it.
        """
        for field in dataclasses.fields(self):
            kinds = _simple_types(field.type)
            if not kinds or field.name in ("parent", "name"):
                continue
            value = getattr(self, field.name)
            if typing.get_origin(field.type) is tuple:
                self._check_length(field.name, value, typing.get_args(field.type))
            elif isinstance(value, tuple) and "tuple" not in str(field.type):
                self.refuse(field.name, f"expected one value, got {value!r}")
            values = _flat(value)
            if not all(_is_allowed(item, kinds) for item in values):
                words = " or ".join(_WORDS[kind] for kind in kinds)
                self.refuse(field.name, f"expected {words}, got {value!r}")
            if any(type(item) is int and item >= _TOO_MANY for item in values):
                self.refuse(field.name, f"expected less than {_TOO_MANY}, got {value}")
        if not _computes_well(getattr(self, "dtype", jnp.float32)):
            self.refuse("dtype", f"expected float32 or bfloat16, got {self.dtype!r}")
        mean = getattr(self, "mean", (0.0,))  # the colour that some subtract
        if len(mean) not in (1, self.channels):
            self.refuse("mean", f"expected {self.channels} values, got {len(mean)}")

    def _check_length(self, field: str, value: Any, parts: tuple[Any, ...]) -> None:
        """Finds that a value is a tuple, of as many parts if their number is given."""
        count = "" if ... in parts else f"{len(parts)} "
        if not isinstance(value, tuple) or (count and len(value) != len(parts)):
            self.refuse(field, f"expected {count}values in (), got {value!r}")

    def refuse(self, field: str, message: str) -> NoReturn:
        """Raises InputError about a field."""
        raise InputError(f"{type(self).__name__}: {field}: {message}")

    @property
    def receptive_radius(self) -> int | None:
        """How many LR pixels away from an output pixel's own the network looks.

        None if it looks at the whole picture: a tile then comes out a little different
        from the same place in the whole. Else tiles that share twice as many pixels
        give the whole picture's values.
        """
        return None

    def radius_behind_bicubic(self, radius: int) -> int:
        """Returns `receptive_radius` of a network that first enlarges by bicubic.

        Args:
            radius: how many of the enlarged pixels away its layers look.
        """
        return -(-radius // self.scale) + 2  # bicubic looks 2 LR pixels away


# A slip, for which memory would be asked or blocks be built for hours.
_TOO_MANY = 2**16

_WORDS: dict[type, str] = {
    bool: "True or False",
    int: "a whole number of at least 1",
    float: "a finite number",
    str: "a word",
    types.NoneType: "None",
}


def _simple_types(annotation: Any) -> tuple[type, ...]:
    """Returns the types that `_WORDS` knows, of `int`, `int | None`, `tuple[int]`."""
    if annotation in _WORDS:
        return (annotation,)
    if annotation is Any:
        return ()
    kinds = [
        kind for part in typing.get_args(annotation) for kind in _simple_types(part)
    ]
    return tuple(dict.fromkeys(kinds))


def _flat(value: Any) -> tuple[Any, ...]:
    """Returns what stands in a tuple, in tuples of tuples too."""
    if not isinstance(value, tuple):
        return (value,)
    return tuple(item for part in value for item in _flat(part))


def _computes_well(dtype: Any) -> bool:
    """Whether it is a type to compute in: float16 overflows, float64 is not there."""
    try:
        return jnp.dtype(dtype) in (jnp.float32, jnp.bfloat16)
    except TypeError:  # a word that is no type's
        return False


def _is_allowed(value: Any, kinds: tuple[type, ...]) -> bool:
    for kind in kinds:
        if kind is float and type(value) in (int, float):
            if math.isfinite(value):
                return True
        elif type(value) is kind and (kind is not int or value >= 1):
            return True
    return False
