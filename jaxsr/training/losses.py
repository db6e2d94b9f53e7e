"""Losses: `loss(sr, hr)` is a float32 scalar, the mean over images, pixels and
channels.

Images are in [0, 1].
"""

from collections.abc import Callable

import jax
import jax.numpy as jnp

from jaxsr.errors import InputError, first_line
from jaxsr.places import at_place

Loss = Callable[[jax.Array, jax.Array], jax.Array]


def mse(sr: jax.Array, hr: jax.Array) -> jax.Array:
    """Mean squared error."""
    return jnp.mean(jnp.square(sr - hr))


def l1(sr: jax.Array, hr: jax.Array) -> jax.Array:
    """Mean absolute error."""
    return jnp.mean(jnp.abs(sr - hr))


def charbonnier(sr: jax.Array, hr: jax.Array) -> jax.Array:
    """Mean of `sqrt(d**2 + 1e-6)`, a smooth L1 (LapSRN, Eq. 2, epsilon 1e-3)."""
    return jnp.mean(jnp.sqrt(jnp.square(sr - hr) + 1e-6))


_LOSSES: dict[str, Loss] = {"mse": mse, "l1": l1, "charbonnier": charbonnier}


def get_loss(name: str) -> Loss:
    """Returns the loss of that name, or one of another package by its place.

    Args:
        name: "l1", "mse", "charbonnier" or "my_package.my_module:my_loss".

    Raises:
        InputError: no such loss; the message lists those that exist.
    """
    if name in _LOSSES:
        return _LOSSES[name]
    if ":" not in name:
        raise InputError(
            f"train.loss: unknown loss {name!r}, expected one of {', '.join(_LOSSES)}, "
            "or package.module:function"
        )
    return at_place(name, f"train.loss: {name!r}")


def check_loss(loss: Loss, name: str, shape: tuple[int, int, int, int]) -> None:
    """Finds that a loss is a function of two batches of images that gives a number.

    Args:
        loss: the function.
        name: what it is called.
        shape: `[N, H, W, C]` of the HR patches of a step.

    Raises:
        InputError: it cannot be called so, or gives something else.
    """
    images = jax.ShapeDtypeStruct(shape, jnp.float32)
    expected = f"train.loss: {name}: expected loss(sr, hr) to give one float"
    try:
        given = jax.eval_shape(loss, images, images)
    except Exception as error:  # somebody's own function
        raise InputError(
            f"{expected} of images {list(shape)} ({first_line(error)})"
        ) from error
    rank, dtype = getattr(given, "ndim", None), getattr(given, "dtype", None)
    if rank != 0 or dtype is None or not jnp.issubdtype(dtype, jnp.floating):
        raise InputError(f"{expected}, got {given}")


def name_of(loss: Loss) -> str:
    """Returns the name by which `get_loss` finds a function."""
    place = f"{loss.__module__}:{getattr(loss, '__qualname__', type(loss).__name__)}"
    return next((name for name, own in _LOSSES.items() if own is loss), place)


def says_which(name: str) -> bool:
    """Whether a function's name tells it from others: that of a lambda does not."""
    return name in _LOSSES or not ("<" in name or name == "functools:partial")
