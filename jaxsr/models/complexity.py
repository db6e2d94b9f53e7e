"""How much a network computes: parameters and multiply-adds, without running it."""

import math
from collections.abc import Callable, Iterator
from typing import Any

import jax
import jax.numpy as jnp
from jax.extend import core

from jaxsr.layers.block_loop import BlockLoop
from jaxsr.models.base import Network
from jaxsr.models.variables import abstract_variables, count_learned

# The output size for which papers print multiply-adds.
OUTPUT_HEIGHT, OUTPUT_WIDTH = 720, 1280
# What jaxsr.layers.transposed_convolution calls its computation in a traced program.
_TRANSPOSED_CONV = "transposed_conv"


def count_parameters(model: Network) -> int:
    """Returns how many numbers the network learns; running averages are not learned."""
    return count_learned(abstract_variables(model))


def count_multiply_adds(model: Network) -> float:
    """Returns the multiply-adds of one picture of 1280x720 pixels as output.

    Convolutions and matrix products count; biases, activations, pooling and the bicubic
    enlargement of a network's input do not. A transposed convolution counts the
    products with pixels that are there, not with the zeros between them.
    """
    scale = model.scale
    height, width = OUTPUT_HEIGHT // scale, round(OUTPUT_WIDTH / scale)
    lr = jax.ShapeDtypeStruct((1, height, width, model.channels), jnp.float32)
    variables = abstract_variables(model)
    if hasattr(model, "block_loop"):  # the same products, and one block to trace
        model = model.clone(block_loop=BlockLoop(roll=True))
    products = count_products(model.apply, variables, lr)
    # A third of 1280 is no whole number of pixels.
    return products * OUTPUT_WIDTH / (scale * width)


def count_products(function: Callable[..., Any], *arguments: Any) -> int:
    """Returns the multiply-adds of a call, counted as in `count_multiply_adds`.

    Args:
        function: a gradient, say.
        arguments: its arguments, of whose leaves only shapes and types matter.
    """
    return _count(jax.make_jaxpr(function)(*arguments).jaxpr)


def _count(jaxpr: core.Jaxpr) -> int:
    total = 0
    for equation in jaxpr.eqns:
        if equation.params.get("name") == _TRANSPOSED_CONV:
            x, kernel = map(_shape, equation.invars)
            total += math.prod(x[:-1]) * math.prod(kernel)
            continue
        parts = map(_count, _inner_jaxprs(equation.params))
        # A choice between forms of one function counts as the form without waste.
        inner = (min if equation.primitive.name == "cond" else sum)(parts)
        if equation.primitive.name == "scan":
            inner *= equation.params["length"]
        total += inner + _count_one(equation)
    return total


def _count_one(equation: core.JaxprEqn) -> int:
    name, params = equation.primitive.name, equation.params
    if name == "conv_general_dilated":
        kernel, numbers = _shape(equation.invars[1]), params["dimension_numbers"]
        out = _shape(equation.outvars[0])
        pixels = math.prod(out[axis] for axis in numbers.out_spec[2:])
        products = math.prod(kernel) // math.prod(params["lhs_dilation"])
        return out[numbers.out_spec[0]] * pixels * products
    if name == "dot_general":
        left = _shape(equation.invars[0])
        (contracted, _), _ = params["dimension_numbers"]
        out = math.prod(_shape(equation.outvars[0]))
        return out * math.prod(left[axis] for axis in contracted)
    return 0


def _shape(variable: Any) -> tuple[int, ...]:
    return variable.aval.shape


def _inner_jaxprs(params: dict[str, Any]) -> Iterator[core.Jaxpr]:
    for value in params.values():
        for item in value if isinstance(value, (tuple, list)) else (value,):
            if isinstance(item, core.ClosedJaxpr):
                yield item.jaxpr
            elif isinstance(item, core.Jaxpr):
                yield item
