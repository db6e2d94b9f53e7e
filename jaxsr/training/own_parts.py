"""A network, a loss and images of one's own, given to a run beside its config."""

from ml_collections import ConfigDict

from jaxsr import models
from jaxsr.data import Source
from jaxsr.errors import InputError, named
from jaxsr.models import Network
from jaxsr.training.config import Config
from jaxsr.training.losses import Loss, name_of


def with_own_parts(
    config: Config, model: Network | None, loss: Loss | None, source: Source | None
) -> Config:
    """Returns the config with the names of what is given in place of its own.

    So the run's folder tells what it holds, and is not continued with other parts.

    Raises:
        InputError: what is given is of another kind, or a network that could not be
            opened again.
    """
    if not isinstance(config, ConfigDict):
        raise InputError(f"config: expected a ConfigDict, got {config!r}")
    config = config.copy_and_resolve_references()
    config.unlock()
    if model is not None:
        if not isinstance(model, Network):
            raise InputError(
                "model: expected a network, a subclass of jaxsr.models.Network, got "
                f"{type(model).__name__}"
            )
        name = models.name_of(model)
        with named("model: the run's folder could not be opened again"):
            models.find(name)
            config.model = {"name": name, **models.fields_of(model)}
    if loss is not None:
        if not callable(loss):
            raise InputError(
                f"loss: expected a function loss(sr, hr), got {loss!r} (the name of "
                "one is config.train.loss)"
            )
        config.train.loss = name_of(loss)
    if source is not None:
        if not isinstance(source, Source):
            raise InputError(
                f"source: expected a jaxsr.data.Source, got {source!r} (the name of "
                "one is config.data.train)"
            )
        config.data.train = source.name
    return config
