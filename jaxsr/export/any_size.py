"""A network as one function of pictures of any number and size."""

from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
from jax import export

from jaxsr.errors import InputError
from jaxsr.weights import Weights

LARGEST_DIFFERENCE = 1e-5
"""Of an exported network's output from the network's own, per 1 of brightness."""

LEAST_SIDE = 4
"""Pixels that a picture needs at least along each side."""

# Networks whose pictures are cut in halves, which are to be of one shape.
_EVEN = ("amms", "san")

# Height and width, none of which is traced for; even ones serve all networks.
_SIZES = ((1, 40, 18), (2, 14, 70))


def network_of(weights: Weights) -> Callable[[jax.Array], jax.Array]:
    """Returns the network as a function `[N, C, H, W]` to `[N, C, sH, sW]`."""
    model, variables = weights.create(), weights.variables

    def network(lr: jax.Array) -> jax.Array:
        sr = jnp.asarray(model.apply(variables, lr.transpose(0, 2, 3, 1)))
        return sr.transpose(0, 3, 1, 2)

    return network


def input_of(weights: Weights) -> jax.ShapeDtypeStruct:
    """Returns the shape `[N, C, H, W]` of symbols for which `network_of` is traced."""
    halves = weights.network in _EVEN
    sides = ("2*h", "2*w") if halves else ("h", "w")
    least = LEAST_SIDE // 2 if halves else LEAST_SIDE
    n, height, width = export.symbolic_shape(
        ", ".join(("n", *sides)), constraints=[f"h >= {least}", f"w >= {least}"]
    )
    shape = (n, weights.create().channels, height, width)
    return jax.ShapeDtypeStruct(shape, jnp.float32)


def compare(weights: Weights, run: Callable[[np.ndarray], np.ndarray]) -> float:
    """Returns the largest difference of an exported network from its original.

    Args:
        weights: the original, which runs on arrays of known shape.
        run: the exported one.

    Raises:
        InputError: it is above `LARGEST_DIFFERENCE`.
    """
    network, channels = jax.jit(network_of(weights)), weights.create().channels
    random, worst = np.random.default_rng(0), 0.0
    for count, height, width in _SIZES:
        lr = random.random((count, channels, height, width), np.float32)
        expected = np.asarray(network(lr))
        found = run(lr)
        if found.shape != expected.shape:
            raise InputError(
                f"export: expected output of shape {list(expected.shape)}, got "
                f"{list(found.shape)}"
            )
        difference = np.abs(found - expected).max() / max(1.0, np.abs(expected).max())
        worst = max(worst, float(difference))
    if not worst <= LARGEST_DIFFERENCE:
        raise InputError(
            f"export: the exported network differs from {weights.network} by "
            f"{worst:.1e}, more than {LARGEST_DIFFERENCE:.0e}: nothing was written"
        )
    return worst


def said(worst: float) -> str:
    """Returns what `compare` found, in words."""
    sizes = " and ".join(f"{n} of {w}x{h}" for n, h, w in _SIZES)
    return f"differs by at most {worst:.1e} on pictures not traced for ({sizes})"
