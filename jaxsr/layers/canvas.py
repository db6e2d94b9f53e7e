"""Pictures on a larger canvas, so that one compiled program serves many sizes.

Whoever enlarges a folder of photos would otherwise compile a program for each size.
`apply_on_canvas` tells the layers how much of an array is picture, as numbers that the
program is given when it runs. What lies beyond counts as what lies beyond a picture's
edge: zeros for a convolution, nothing for a mean. The result is that of the picture
alone up to the rounding of sums in another order.
"""

import contextlib
import contextvars
import dataclasses
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
from jaxtyping import Bool, Float

from jaxsr.layers.convolution import Conv
from jaxsr.layers.thin_convolution import ThinConv
from jaxsr.layers.transposed_convolution import TransposedConv

_CONVOLUTIONS = (nn.Conv, Conv, ThinConv, TransposedConv)


@dataclasses.dataclass(frozen=True)
class _Extent:
    height: jax.Array
    width: jax.Array
    canvas: tuple[int, int]


_current: contextvars.ContextVar[_Extent | None] = contextvars.ContextVar(
    "extent", default=None
)


def apply_on_canvas(
    model: nn.Module,
    variables: Mapping[str, Any],
    lr: Float[jax.Array, "n H W c"],
    height: jax.Array,
    width: jax.Array,
) -> Any:
    """Returns the network's output for the picture in the canvas's upper left corner.

    Beyond the enlarged picture it holds anything.

    Args:
        model: a network whose layers know of canvases: convolutions at stride 1,
            transposed convolutions, and poolings that ask `picture_size`.
        variables: its parameters.
        lr: the canvas. Beyond the picture it continues it as by reflection, which is
            what bicubic interpolation sees there, for at least two pixels or not at
            all: it looks two pixels far, and beyond a single one it would find that
            one's reflection at the canvas's edge.
        height: of the picture, a whole number of rows.
        width: of the picture.
    """
    extent = _Extent(height, width, (lr.shape[1], lr.shape[2]))
    with _told(extent), nn.intercept_methods(_mask_convolutions):
        return model.apply(variables, lr)


@contextlib.contextmanager
def _told(extent: _Extent) -> Iterator[None]:
    token = _current.set(extent)
    try:
        yield
    finally:
        _current.reset(token)


def _mask_convolutions(
    call: Callable[..., Any],
    args: tuple[Any, ...],
    kwargs: dict[str, Any],
    context: nn.module.InterceptorContext,
) -> Any:
    if isinstance(context.module, _CONVOLUTIONS) and context.method_name == "__call__":
        x, *others = args
        inside = picture_mask(x)
        args = (x if inside is None else jnp.where(inside, x, 0), *others)
    return call(*args, **kwargs)


def picture_size(
    x: Float[jax.Array, "n h w c"],
) -> tuple[jax.Array | int, jax.Array | int]:
    """Returns how many rows and columns of these features belong to the picture.

    All of them, as plain integers, where there is no canvas.
    """
    extent = _current.get()
    if extent is None:
        return x.shape[1], x.shape[2]
    rows, columns = (
        side // whole for side, whole in zip(x.shape[1:3], extent.canvas, strict=True)
    )
    return extent.height * rows, extent.width * columns


def mirror_picture(x: Float[jax.Array, "n H W c"]) -> Float[jax.Array, "n H W c"]:
    """Returns features that mirror the picture beyond its edge, as bicubic wants it."""
    if _current.get() is None:
        return x
    for axis, length in zip((1, 2), picture_size(x), strict=True):
        index = jnp.arange(x.shape[axis])
        mirrored = jnp.where(index < length, index, 2 * length - 1 - index)
        x = jnp.take(x, jnp.maximum(mirrored, 0), axis=axis)
    return x


def picture_mask(x: Float[jax.Array, "n h w c"]) -> Bool[jax.Array, "1 h w 1"] | None:
    """Returns which of these features belong to the picture; None if all do."""
    if _current.get() is None:
        return None
    height, width = picture_size(x)
    rows = jnp.arange(x.shape[1])[:, None] < height
    columns = jnp.arange(x.shape[2])[None] < width
    return (rows & columns)[None, :, :, None]


def mean_over_picture(x: Float[jax.Array, "n h w c"]) -> Float[jax.Array, "n 1 1 c"]:
    """Returns the mean over the picture, in float32."""
    inside = picture_mask(x)
    if inside is None:
        return jnp.mean(x, axis=(1, 2), keepdims=True, dtype=jnp.float32)
    height, width = picture_size(x)
    total = jnp.sum(
        jnp.where(inside, x, 0), axis=(1, 2), keepdims=True, dtype=jnp.float32
    )
    return total / jnp.asarray(height * width, total.dtype)


def max_over_picture(x: Float[jax.Array, "n h w c"]) -> Float[jax.Array, "n 1 1 c"]:
    """Returns the maximum over the picture."""
    inside = picture_mask(x)
    return jnp.max(
        x if inside is None else jnp.where(inside, x, -jnp.inf),
        axis=(1, 2),
        keepdims=True,
    )
