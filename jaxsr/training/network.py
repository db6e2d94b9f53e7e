"""The network that a config names."""

import jax
import jax.numpy as jnp

from jaxsr import models
from jaxsr.errors import InputError, named
from jaxsr.layers.block_loop import BlockLoop
from jaxsr.models import Network
from jaxsr.training.config import Config

# Fields that say how a network is run, which other keys decide.
_NOT_FIELDS = {"dtype": "train.dtype", "block_loop": "train.remat, train.roll_blocks"}


def create_model(config: Config) -> Network:
    """Returns the network of a config, computing in `config.train.dtype`.

    Raises:
        InputError: an unknown network, field or dtype.
    """
    dtypes = {"float32": jnp.float32, "bfloat16": jnp.bfloat16}
    if config.train.dtype not in dtypes:
        raise InputError(
            f"train.dtype: expected one of {', '.join(dtypes)}, got "
            f"{config.train.dtype!r}"
        )
    with named("model.name"):
        models.find(config.model.name)
    for key, instead in _NOT_FIELDS.items():
        if key in config.model:
            raise InputError(f"model.{key}: no such key, expected {instead} instead")
    return models.create(**config.model, dtype=dtypes[config.train.dtype])


def create_training_model(config: Config, own: Network | None = None) -> Network:
    """Returns `create_model(config)`, its blocks run as the keys of training say.

    Args:
        own: a network to be taken in place of the config's.

    Raises:
        InputError: as `create_model`; another number of channels than images have;
            `own` computes in another type than the config says; `train.remat` or
            `train.roll_blocks` is unknown, or chosen for a network without a chain of
            blocks.
    """
    on_accelerator = jax.default_backend() != "cpu"
    choices = {
        "remat": {"none": False, "blocks": True},
        "roll_blocks": {"never": False, "accelerator": on_accelerator, "always": True},
    }
    if own is not None and config.train.dtype != jnp.dtype(own.dtype).name:
        raise InputError(
            f"train.dtype: expected {jnp.dtype(own.dtype).name}, in which the given "
            f"network computes, got {config.train.dtype}"
        )
    model = create_model(config) if own is None else own
    if model.channels not in (1, 3):
        raise InputError(f"model.channels: expected 1 or 3, got {model.channels}")
    for key, values in choices.items():
        if config.train[key] not in values:
            raise InputError(
                f"train.{key}: expected one of {', '.join(values)}, got "
                f"{config.train[key]!r}"
            )
        off = next(iter(values))
        if config.train[key] != off and not hasattr(model, "block_loop"):
            raise InputError(
                f"train.{key}: {config.model.name} has no chain of equal blocks; "
                f"expected {off!r}, got {config.train[key]!r}"
            )
    remat, roll = (values[config.train[key]] for key, values in choices.items())
    if not (remat or roll):
        return model
    return model.clone(block_loop=BlockLoop(remat=remat, roll=roll))
