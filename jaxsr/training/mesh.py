"""Devices: one mesh axis, "data", over all of them; batches split, state replicated."""

import jax
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from jaxsr.errors import InputError

DATA_AXIS = "data"


def create_mesh(batch_size: int) -> Mesh:
    """Returns the mesh over all devices of all processes.

    Raises:
        InputError: the global batch does not divide by the number of devices.
    """
    devices = jax.devices()
    if batch_size % len(devices):
        raise InputError(
            f"data.batch_size: {batch_size} does not divide by the {len(devices)} "
            f"{devices[0].platform} devices; take a multiple of {len(devices)}"
        )
    return Mesh(np.array(devices), (DATA_AXIS,))


def shard_batch(batch: dict[str, np.ndarray], mesh: Mesh) -> dict[str, jax.Array]:
    """Returns this process's part of a batch as global arrays, split over the mesh."""
    sharding = NamedSharding(mesh, PartitionSpec(DATA_AXIS))
    return {
        name: jax.make_array_from_process_local_data(sharding, array)
        for name, array in batch.items()
    }


def replicate(tree, mesh: Mesh):
    """Returns the tree with every leaf held whole by every device."""
    return jax.device_put(tree, NamedSharding(mesh, PartitionSpec()))
