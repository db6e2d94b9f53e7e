"""A network with its weights: `Weights`, and the file that holds one.

The file is safetensors. A tensor's key is its path in the variables,
`params/head/kernel`. The metadata are JSON strings: `network` (its name in
`jaxsr.models`), `fields` (what `create` takes, `scale` among them), `sha256` of all
that, and where the weights come from, such as `source`, `training` and `protocol`.
"""

import dataclasses
import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import safetensors
import safetensors.numpy
from flax.traverse_util import unflatten_dict

from jaxsr.errors import InputError
from jaxsr.files import names_file, write_whole
from jaxsr.models import Network, as_field, create, fields_of, name_of
from jaxsr.models.variables import (
    abstract_variables,
    by_name,
    check_variables,
    count_learned,
    weights_hash,
)

# What a call leaves beside its result. All else belongs to a trained network, which may
# be somebody's own, with collections of its own.
_BY_PRODUCTS = ("supervision", "intermediates")


@dataclasses.dataclass(frozen=True)
class Weights:
    """A network with its weights. `jaxsr.load_weights(spec)` gives one.

    Attributes:
        network: the network's name in `jaxsr.models`, or "package.module:Class".
        fields: its fields, `scale` among them. Without `dtype`, which is the choice of
            whoever runs the network.
        variables: what `model.apply` takes: `{"params": ...}`, with "batch_stats" where
            the network has them; arrays of NumPy or JAX.
        origin: where they come from; any values that JSON can hold.
    """

    network: str
    fields: Mapping[str, Any]
    variables: Mapping[str, Any]
    origin: Mapping[str, Any] = dataclasses.field(default_factory=dict)

    def __post_init__(self):
        if "scale" not in self.fields or "dtype" in self.fields:
            raise ValueError(
                f"expected fields with scale and no dtype, got {dict(self.fields)}"
            )
        if reserved := {"network", "fields", "sha256"} & set(self.origin):
            raise ValueError(f"origin cannot hold {sorted(reserved)}")

    def __repr__(self) -> str:
        settings = ", ".join(f"{key}={value}" for key, value in self.fields.items())
        return f"Weights({self.network}: {settings}; {self.parameters:,} parameters)"

    @classmethod
    def of(cls, model: Network, variables: Mapping[str, Any], **origin: Any):
        """Returns the weights of a network that is at hand."""
        return cls(name_of(model), fields_of(model), variables, origin)

    @property
    def scale(self) -> int:
        """The factor by which the network enlarges."""
        return self.fields["scale"]

    @property
    def parameters(self) -> int:
        """How many numbers the network learned."""
        return count_learned(self.variables)

    def create(self, *, dtype: Any = jnp.float32) -> Network:
        """Returns the network, which the weights have been found to fit.

        Args:
            dtype: compute type, float32 or bfloat16.

        Raises:
            InputError: there is no such network, or the weights are not of its shapes.
        """
        model = create(self.network, **self.fields, dtype=dtype)
        check_variables(abstract_variables(model), self.variables)
        return model

    def save(self, path: str | Path) -> None:
        """Writes a `.safetensors` file, whole or not at all.

        Raises:
            InputError: a name of another suffix, by which it would not be read again.
            OSError: the file cannot be written.
        """
        if Path(path).suffix.lower() != ".safetensors":
            raise InputError(f"{path}: expected a name that ends in .safetensors")
        kept = {k: v for k, v in self.variables.items() if k not in _BY_PRODUCTS}
        tensors = {
            # safetensors writes memory as it lies: order="C" is for transposed views.
            key: np.asarray(jax.device_get(value), order="C")
            for key, value in by_name(kept).items()
        }
        what = {"network": self.network, "fields": dict(self.fields)}
        about = {**what, "sha256": _digest(what, tensors), **self.origin}
        strings = {key: json.dumps(value) for key, value in about.items()}
        write_whole(path, safetensors.numpy.save(tensors, strings))


def read_weights(path: str | Path) -> Weights:
    """Returns what `Weights.save` wrote.

    The arrays are NumPy's. Numbers of half the size become float32, the type that all
    networks keep parameters in.

    Raises:
        InputError: no such file, or not one that jaxsr wrote.
        OSError: it cannot be read just now; the message names it.
    """
    path = Path(path)
    if not path.is_file():
        raise InputError(f"{path}: no such weights file")
    try:
        with (
            names_file(path),
            safetensors.safe_open(path, framework="numpy") as file,
        ):
            tensors = {key: file.get_tensor(key) for key in file.keys()}
            strings = file.metadata() or {}
    except (safetensors.SafetensorError, AttributeError, TypeError) as error:
        # The latter two: types of numbers that NumPy does not have, such as float8.
        raise InputError(f"{path}: not a readable safetensors file ({error})") from None
    try:
        origin = {key: json.loads(value) for key, value in strings.items()}
        network, fields = origin.pop("network"), origin.pop("fields")
        usable = isinstance(network, str) and "scale" in fields.keys()
    except (AttributeError, KeyError, TypeError, ValueError):
        usable = False
    if not usable:
        raise InputError(
            f"{path}: expected metadata that name the network and its fields, "
            f"got {strings or 'none'}"
        )
    # Older files have none.
    expected = origin.pop("sha256", None)
    what = {"network": network, "fields": fields}
    if expected is not None and expected != _digest(what, tensors):
        raise InputError(f"{path}: damaged, it is not what was saved (SHA-256)")
    tensors = {key: _at_least_32(array) for key, array in tensors.items()}
    fields = {key: as_field(value) for key, value in fields.items()}
    try:
        return Weights(network, fields, unflatten_dict(tensors, sep="/"), origin)
    except (IndexError, ValueError) as error:
        raise InputError(f"{path}: not what jaxsr wrote ({error})") from None


def _digest(what: Mapping[str, Any], tensors: Mapping[str, np.ndarray]) -> str:
    """Returns the SHA-256 of a network's name, fields and numbers."""
    text = f"{json.dumps(what, sort_keys=True)} {weights_hash(tensors)}"
    return hashlib.sha256(text.encode()).hexdigest()


def _at_least_32(array: np.ndarray) -> np.ndarray:
    half = jnp.issubdtype(array.dtype, jnp.floating) and array.dtype.itemsize == 2
    return array.astype(np.float32) if half else array
