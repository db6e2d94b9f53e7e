"""The variables of a network by name and shape, without computing any.

A name is the path in the tree, `params/head/kernel`.
"""

import functools
import hashlib
import math
from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxsr.errors import InputError
from jaxsr.models.base import Network


@functools.lru_cache(maxsize=16)  # tracing a deep network takes seconds
def abstract_variables(model: Network) -> Any:
    """Returns what `model.init` would, `jax.ShapeDtypeStruct` in place of arrays."""
    lr = jax.ShapeDtypeStruct((1, 16, 16, model.channels), jnp.float32)
    return jax.eval_shape(model.init, jax.random.key(0), lr)


def count_learned(variables: Any) -> int:
    """Returns how many numbers are learned; running averages are not."""
    return sum(
        math.prod(leaf.shape) for leaf in jax.tree.leaves(variables.get("params", {}))
    )


def by_name(variables: Any) -> dict[str, Any]:
    """Returns the leaves of a tree by their names."""
    leaves = jax.tree_util.tree_leaves_with_path(variables)
    return {
        jax.tree_util.keystr(path, simple=True, separator="/"): leaf
        for path, leaf in leaves
    }


def check_variables(expected: Any, found: Any) -> None:
    """Raises InputError, naming the first that differs, unless names and shapes agree.

    Args:
        expected: `abstract_variables`, or any tree of leaves with a shape.
        found: another such tree.
    """
    expected, found = (
        {name: list(leaf.shape) for name, leaf in by_name(tree).items()}
        for tree in (expected, found)
    )
    for name in sorted({**expected, **found}):
        if expected.get(name) != found.get(name):
            raise InputError(
                f"holds another network: {name} expected "
                f"{expected.get(name, 'nothing')}, got {found.get(name, 'nothing')}"
            )


def check_collections(variables: Mapping[str, Any]) -> None:
    """Raises InputError where `variables["params"]` was given for `variables`.

    Args:
        variables: what `model.apply` takes; empty of a network without parameters.
    """
    if variables and "params" not in variables:
        raise InputError(
            'variables: expected what model.init returns, {"params": ...}, got '
            f"{', '.join(variables)}"
        )


def check_finite(variables: Any) -> None:
    """Raises InputError, naming the first such variable, where one is NaN or infinite.

    A picture that such a network makes is worthless, and may not look it: NaN becomes
    black when it is rounded to 8 bits.

    Args:
        variables: what `model.apply` takes, arrays of NumPy or JAX.
    """
    for name, leaf in by_name(variables).items():
        # In float32: NumPy alone knows nothing of bfloat16.
        finite = np.isfinite(np.asarray(leaf, np.float32))
        if not finite.all():
            raise InputError(
                f"{name}: expected finite numbers, got {finite.size - finite.sum()} of "
                f"{finite.size} that are NaN or infinite"
            )


def weights_hash(variables: Any) -> str | None:
    """Returns the SHA-256 of all variables, or None where a network has none.

    It covers names, types, shapes and values (little-endian), whatever the file format
    they came from, so equal hashes are equal networks' equal weights.
    """
    leaves = {name: np.asarray(leaf) for name, leaf in by_name(variables).items()}
    if not leaves:
        return None
    digest = hashlib.sha256()
    for path, leaf in sorted(leaves.items()):
        digest.update(f"{path} {leaf.dtype.name} {leaf.shape}\n".encode())
        digest.update(leaf.astype(leaf.dtype.newbyteorder("<"), copy=False).tobytes())
    return digest.hexdigest()
