"""StableHLO, by `jax.export`: one file that JAX runs on CPU, GPU and TPU.

    network = jax.export.deserialize(Path("net.stablehlo").read_bytes())
    sr = network.call(lr)  # float32 [N, C, H, W] in [0, 1], any N, H and W

Neither jaxsr nor Flax is needed for that.
"""

from pathlib import Path

import jax
import numpy as np
from jax import export

from jaxsr.errors import InputError, first_line
from jaxsr.export.any_size import compare, input_of, network_of, said
from jaxsr.files import write_whole
from jaxsr.weights import Weights

_PLATFORMS = ("cpu", "cuda", "tpu")


def write(weights: Weights, path: Path) -> str:
    """Writes a network of symbolic batch, height and width; see `jaxsr.export.write`.

    Raises:
        InputError: it cannot be traced so, or differs.
    """
    content = _trace(weights)
    program = export.deserialize(bytearray(content))
    worst = compare(weights, lambda lr: np.asarray(program.call(lr)))
    write_whole(path, content)
    return f"{path}: {said(worst)}, for {', '.join(_PLATFORMS)}"


def _trace(weights: Weights) -> bytes:
    network = jax.jit(network_of(weights))
    try:
        traced = export.export(network, platforms=_PLATFORMS)(input_of(weights))
    except InputError:
        raise
    except Exception as error:  # of many kinds: what depends on the size and how
        raise InputError(
            f"export: {weights.network} x{weights.scale} cannot be traced for any "
            f"size: {first_line(error)}"
        ) from error
    try:
        return bytes(traced.serialize())
    except ImportError:  # which JAX tells when it is first asked to write
        raise InputError(
            "export: StableHLO needs flatbuffers: pip install 'jaxsr-superres[export]'"
        ) from None
