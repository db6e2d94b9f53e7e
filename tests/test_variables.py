"""Names and shapes of a network's variables, and how wrong ones are named."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxsr.errors import InputError
from jaxsr.models import Network, create
from jaxsr.models.variables import (
    abstract_variables,
    by_name,
    check_finite,
    check_variables,
)


def tiny(**fields) -> Network:
    return create("srresnet", **{"scale": 2, "features": 6, "depth": 2, **fields})


def test_abstract_variables_equal_those_of_init():
    model = tiny()
    variables = model.init(jax.random.key(0), jnp.zeros((1, 8, 8, 3)))
    abstract = by_name(abstract_variables(model))
    assert abstract["params/head/kernel"].shape == (9, 9, 3, 6)
    assert any(name.startswith("batch_stats/") for name in abstract)
    concrete = by_name(variables)
    assert abstract.keys() == concrete.keys()
    for name, leaf in concrete.items():
        assert (abstract[name].shape, abstract[name].dtype) == (leaf.shape, leaf.dtype)


@pytest.mark.parametrize(
    ("found", "message"),
    [
        ({"features": 5}, r"batch_stats/\S+ expected \[6\], got \[5\]"),
        ({"depth": 1}, r"\S*block01/\S+ expected \[6\], got nothing"),
        ({"depth": 3}, r"\S*block02/\S+ expected nothing, got \[6\]"),
    ],
)
def test_check_variables_names_the_first_that_differs(found, message):
    expected = abstract_variables(tiny())
    check_variables(expected, expected)
    with pytest.raises(InputError, match=f"holds another network: {message}"):
        check_variables(expected, abstract_variables(tiny(**found)))


def test_check_finite_names_the_tensor():
    for value in (np.nan, np.inf):
        for dtype in (np.float32, np.float16, jnp.bfloat16):
            good, bad = np.zeros((2, 3), dtype), np.zeros((2, 3), dtype)
            bad[1, 2] = value
            check_finite({"params": {"head": {"kernel": good}}})
            with pytest.raises(InputError, match="params/head/bias: .* got 1 of 6"):
                check_finite({"params": {"head": {"bias": bad, "kernel": good}}})
