"""Weights that a run starts from: a weights file, another run or the zoo."""

from pathlib import Path
from typing import Any

import flax.linen as nn

from jaxsr.errors import InputError
from jaxsr.models import create
from jaxsr.training.workdir import load_run
from jaxsr.weights import load_weights
from jaxsr.weights.zoo import find_entry, read_manifest, weights_file


def load_initial_weights(source: str, model: nn.Module) -> dict[str, Any]:
    """Returns the variables that `source` holds, of a network of the model's kind.

    Fields may differ, `scale` among them, and with them some shapes.

    Args:
        source: a `.safetensors` file, the folder of a run, whose last checkpoint is
            taken (the averaged parameters where it kept an average), or network and
            scale of published weights, "rcbam_lite_x2".
        model: the network that is to start from them.

    Raises:
        InputError: no such file or folder, or one of another network.
    """
    if Path(source).is_dir():
        _, other, variables, _ = load_run(source)
    else:
        name, fields, variables, _ = load_weights(_file(source))
        try:
            other = create(name, **fields)
        except InputError as error:
            raise InputError(f"train.init_from: {source}: {error}") from None
    # A subclass is the same network with other fields, such as edsr_baseline of edsr.
    if not (isinstance(other, type(model)) or isinstance(model, type(other))):
        raise InputError(
            f"train.init_from: {source}: expected weights of {type(model).__name__}, "
            f"got {type(other).__name__}"
        )
    return variables


def _file(source: str) -> str | Path:
    if source.endswith(".safetensors"):
        return source
    name, _, scale = source.rpartition("_x")
    if not scale.isdecimal():
        raise InputError(
            "train.init_from: expected a .safetensors file, a run's folder or "
            f"published weights such as rcbam_lite_x2, got {source!r}"
        )
    return weights_file(find_entry(name, int(scale), read_manifest()))
