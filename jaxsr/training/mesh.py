"""Devices: one mesh axis, "data", over all of them; batches split, state replicated."""

from collections import Counter

import jax
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from jaxsr.errors import InputError
from jaxsr.layers.batch_norm import DATA_AXIS


def create_mesh(batch_size: int) -> Mesh:
    """Returns the mesh over all devices of all processes.

    Raises:
        InputError: the global batch does not divide by the number of devices, or
            processes have different numbers of devices.
    """
    devices = jax.devices()
    counts = sorted(Counter(device.process_index for device in devices).values())
    if counts[0] != counts[-1]:
        raise InputError(
            f"every process needs the same number of devices, got {counts} (on CPUs "
            "JAX_NUM_CPU_DEVICES says how many)"
        )
    if batch_size % len(devices):
        raise InputError(
            f"data.batch_size: {batch_size} does not divide by the {len(devices)} "
            f"{devices[0].platform} devices"
            + (f" of {len(counts)} processes" if len(counts) > 1 else "")
            + f"; take a multiple of {len(devices)}"
        )
    return Mesh(np.array(devices), (DATA_AXIS,))


def check_dtype(dtype: str, mesh: Mesh) -> None:
    """Finds that the devices compute in this type, not emulate it.

    Raises:
        InputError: "bfloat16" on a GPU older than NVIDIA's Ampere (A100, RTX 30).
    """
    if dtype != "bfloat16":
        return
    for device in mesh.local_devices:
        # GPUs have it as "8.0"; AMD's, which all compute in bfloat16, as "gfx90a".
        capability = str(getattr(device, "compute_capability", ""))
        if capability[:1].isdigit() and float(capability) < 8.0:
            raise InputError(
                f"train.dtype: {device.device_kind} (compute capability {capability}) "
                "has no bfloat16, which came with 8.0; use float32"
            )


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
