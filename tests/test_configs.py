"""Every file in configs/ makes a run: nothing in it is misspelt or unread."""

import inspect
import itertools
import json
from importlib import import_module
from pathlib import Path

import jax
import numpy as np
import optax
import pytest

from configs import base
from jaxsr.metrics import get_protocol
from jaxsr.models import list_models
from jaxsr.training.losses import get_loss
from jaxsr.training.mesh import create_mesh, replicate, shard_batch
from jaxsr.training.optimizer import create_optimizer, create_schedule
from jaxsr.training.state import create_state
from jaxsr.training.step import make_train_step
from jaxsr.training.workdir import create_model, create_training_model
from tests.test_networks import NETWORKS

_FOLDER = Path(__file__).parents[1] / "configs"
_CONFIGS = sorted(path.stem for path in _FOLDER.glob("*_x[234].py"))
_ZOO = sorted(path.stem for path in (_FOLDER / "zoo").glob("*_x[234].py"))


def _load(name, *recipe):
    return import_module(f"configs.{name}").get_config(*recipe)


def test_configs_of_every_network():
    # rcbam_lite is not of a paper, so there is no paper's recipe for it.
    papers = [name for name in list_models() if name not in ("bicubic", "rcbam_lite")]
    for name, scale in itertools.product(papers, (2, 3, 4)):
        if scale in NETWORKS[name].counts:
            assert f"{name}_x{scale}" in _CONFIGS


@pytest.mark.parametrize("name", _CONFIGS)
@pytest.mark.parametrize("recipe", ["paper", "cpu"])
def test_config_names_network_scale_and_keys_that_exist(name, recipe):
    config = _load(name, recipe)
    network, _, scale = name.rpartition("_x")
    assert config.name == (name if recipe == "paper" else f"{name}_{recipe}")
    assert (config.model.name, config.model.scale) == (network, int(scale))
    _check_keys(config)


@pytest.mark.parametrize("name", _ZOO)
def test_zoo_config_names_network_scale_and_keys_that_exist(name):
    config = _load(f"zoo.{name}")
    network, _, scale = name.rpartition("_x")
    assert (config.model.name, config.model.scale) == (network, int(scale))
    # What is decided on must not be what is learned from, nor a set that is reported.
    assert config.data.train.endswith("+bsds500_test[10:]")
    assert "bsds500_test[:10]" in config.eval.benchmarks
    _check_keys(config)


def _check_keys(config):
    create_training_model(config)
    get_loss(config.train.loss)
    get_protocol(config.eval.protocol)
    schedule = create_schedule(**config.schedule, steps=config.train.steps)
    assert float(schedule(0)) > 0 or config.schedule.warmup_steps
    create_optimizer(schedule, **config.optimizer)
    json.loads(config.to_json())  # what a run's folder keeps


@pytest.mark.parametrize("name", [c for c in _CONFIGS if c.endswith("_x2")])
def test_config_trains_two_steps(name):
    config = _load(name)
    config.model.update(NETWORKS[config.model.name].tiny)
    model = create_model(config)
    mesh = create_mesh(8)
    schedule = create_schedule(**config.schedule, steps=config.train.steps)
    optimizer = create_optimizer(schedule, **config.optimizer)
    state = create_state(
        model, optimizer, seed=0, channels=model.channels, use_ema=True
    )
    step = make_train_step(
        model,
        optimizer,
        get_loss(config.train.loss),
        mesh=mesh,
        ema_decay=config.train.ema_decay,
        supervision_weight=config.train.supervision_weight,
    )
    state = replicate(state, mesh)
    rng = np.random.default_rng(0)
    shape = (8, 6, 6, model.channels)
    lr = rng.integers(0, 256, shape, dtype=np.uint8)
    batch = {"lr": lr, "hr": lr.repeat(2, 1).repeat(2, 2)}
    for _ in range(2):
        state, metrics = step(state, shard_batch(batch, mesh))
    assert np.isfinite(metrics["loss"])
    assert all(np.isfinite(p).all() for p in jax.tree.leaves(state.params))
    # A pattern in layer_rates that matches nothing would silently do nothing.
    paths = [
        jax.tree_util.keystr(path, simple=True, separator="/")
        for path, _ in jax.tree_util.tree_leaves_with_path(state.params)
    ]
    for pattern in config.optimizer.layer_rates:
        scaled = create_optimizer(
            optax.constant_schedule(1.0), name="sgd", layer_rates={pattern: 0.0}
        )
        updates, _ = scaled.update(state.params, scaled.init(state.params))
        assert any(not u.any() for u in jax.tree.leaves(updates)), (pattern, paths)


def test_base_keys_are_arguments_of_the_functions_named():
    config = base.get_config()
    for section, function in (
        (config.schedule, create_schedule),
        (config.optimizer, create_optimizer),
    ):
        assert set(section) <= set(inspect.signature(function).parameters)
