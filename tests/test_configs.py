"""Every file in configs/ makes a run: nothing in it is misspelt or unread."""

import inspect
import itertools
import json
import math
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import jax
import numpy as np
import optax
import pytest
from ml_collections import ConfigDict

from configs import recipes
from jaxsr.errors import InputError
from jaxsr.models import list_models
from jaxsr.protocols import get_protocol
from jaxsr.training.cadence import Cadence
from jaxsr.training.config import (
    KEYS,
    check_config,
    default_config,
    with_defaults,
)
from jaxsr.training.config_input import load_config, override, override_all
from jaxsr.training.losses import get_loss
from jaxsr.training.mesh import create_mesh, replicate, shard_batch
from jaxsr.training.network import create_model, create_training_model
from jaxsr.training.optimizer import create_optimizer
from jaxsr.training.pipelines import open_pipeline
from jaxsr.training.schedule import create_schedule
from jaxsr.training.state import create_state
from jaxsr.training.step import make_step, map_step
from jaxsr.weights import zoo
from tests.test_networks import NETWORKS
from tools.train_zoo import RECIPES

_ROOT = Path(__file__).parents[1]
# rcbam_lite is not of a paper, so there is no paper's recipe for it.
_PAPERS = [name for name in list_models() if name not in ("bicubic", "rcbam_lite")]
_ALL = [
    (name, scale)
    for name, scale in itertools.product(_PAPERS, (2, 3, 4))
    if scale in NETWORKS[name].counts
]


def _load(name, choice):
    return import_module(f"configs.{name}").get_config(choice)


@pytest.mark.parametrize(("name", "scale"), _ALL)
@pytest.mark.parametrize("recipe", ["paper", "cpu", "sample"])
def test_config_names_network_scale_and_keys_that_exist(name, scale, recipe):
    config = _load(name, f"x{scale},{recipe}")
    suffix = "" if recipe == "paper" else f"_{recipe}"
    assert config.name == f"{name}_x{scale}{suffix}"
    assert (config.model.name, config.model.scale) == (name, scale)
    _check_keys(config)


@pytest.mark.parametrize("recipe", RECIPES)
def test_zoo_config_names_network_scale_and_keys_that_exist(recipe):
    name, _, choice = recipe.partition(":")
    config = _load(f"zoo.{name}", choice)
    weights = zoo.name_of(
        {
            "network": config.model.name,
            "training": {"degradation": config.data.degradation},
        }
    )
    assert (weights, f"x{config.model.scale}") == (name, choice)
    # What is decided on must not be what is learned from, nor a set that is reported.
    assert config.data.train.endswith("+bsds500_test[10:]")
    assert "bsds500_test[:10]" in config.eval.benchmarks
    _check_keys(config)


def _check_keys(config):
    check_config(config)
    create_training_model(config)
    get_loss(config.train.loss)
    get_protocol(config.eval.protocol)
    schedule = create_schedule(**config.schedule, steps=config.train.steps)
    assert float(schedule(0)) > 0 or config.schedule.warmup_steps
    create_optimizer(schedule, **config.optimizer)
    json.loads(config.to_json())  # what a run's folder keeps


@pytest.mark.parametrize("name", ["rcbam", "amms"])
@pytest.mark.parametrize("scale", [2, 3, 4])
def test_files_of_the_two_papers_are_those_choices(name, scale):
    for recipe in ("", "paper", "cpu", "sample"):
        file = load_config(f"{_ROOT}/configs/{name}_x{scale}.py:{recipe}")
        choice = load_config(f"{_ROOT}/configs/{name}.py:x{scale},{recipe}")
        assert file.to_json() == choice.to_json()


@pytest.mark.parametrize("name", _PAPERS)
def test_paper_says_its_average_and_its_start(name):
    config = _load(name, "x4")
    file = import_module(
        f"configs.{'edsr' if name == 'edsr_baseline' else name}"
    ).__doc__
    network = import_module(type(create_model(config)).__module__).__doc__
    assert "EMA" in file
    assert ("EMA 0.999" in file) == (config.train.ema_decay == 0.999)
    assert "nitialisation" in file + network


@pytest.mark.parametrize(
    ("choice", "message"),
    [
        ("", "expected x2, x3, x4 behind the colon, as in :x4,cpu, got nothing"),
        ("cpu", "got cpu"),
        ("x5", "got x5"),
        ("x2,laptop", "unknown recipe 'laptop': expected paper or cpu or sample"),
        ("x2,cpu,cpu", "unknown recipe 'cpu,cpu'"),
    ],
)
def test_parse_says_what_there_is(choice, message):
    with pytest.raises(InputError, match=message):
        recipes.parse(choice)


def test_parse_of_a_config_without_recipes():
    assert recipes.parse("x3", recipes=()) == (3, "")
    with pytest.raises(InputError, match="'cpu': expected none"):
        recipes.parse("x3,cpu", recipes=())


@pytest.mark.parametrize("name", _PAPERS)
def test_config_trains_two_steps(name):
    config = _load(name, "x2")
    config.model.update(NETWORKS[config.model.name].tiny)
    model = create_model(config)
    mesh = create_mesh(8)
    schedule = create_schedule(**config.schedule, steps=config.train.steps)
    optimizer = create_optimizer(schedule, **config.optimizer)
    state = create_state(
        model, optimizer, seed=0, channels=model.channels, use_ema=True
    )
    step = make_step(
        model,
        optimizer,
        get_loss(config.train.loss),
        ema_decay=config.train.ema_decay,
        supervision_weight=config.train.supervision_weight,
    )
    step = map_step(step, mesh=mesh)
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


@pytest.mark.parametrize(
    ("section", "function"),
    [
        ("data", open_pipeline),
        ("schedule", create_schedule),
        ("optimizer", create_optimizer),
        ("train", make_step),
        ("train", Cadence),
    ],
)
def test_defaults_of_functions_are_those_of_the_config(section, function):
    own = inspect.signature(function).parameters
    keys = {
        name.partition(".")[2]: key.default
        for name, key in KEYS.items()
        if name.startswith(f"{section}.")
    }
    if section in ("schedule", "optimizer"):  # all of it is given to the function
        assert set(keys) <= set(own)
    shared = {
        name: parameter.default
        for name, parameter in own.items()
        if name in keys and parameter.default is not inspect.Parameter.empty
    }
    # 0 is "chosen" in a config; mappings are not written as defaults of functions.
    shared.pop("steps_per_dispatch", None), shared.pop("layer_rates", None)
    assert shared == {name: keys[name] for name in shared}


_OF_TYPE = {
    int: [-1, 1.5, True, "1", None, math.nan, 2**32],
    float: [-1.0, math.nan, math.inf, -math.inf, "1", True],
    bool: [0, 1, "yes", None],
    str: [1, True, ("a",), None],
    dict: [{"(": 1.0}, {"a": -1.0}, {"a": math.nan}, {"a": "b"}, [1], None],
}
# Wrong beside what is wrong for every key of the type.
_OF_KEY = {
    "name": ["../../x", "a/b", "a\\b", ".."],
    "model.name": [""],
    "model.scale": [0],
    "data.train": ["", "t91+", "+t91", "t91++bsd200"],
    "data.patch_size": [0],
    "data.batch_size": [0, 10**9],
    "data.pipeline": ["gpu", ""],
    "data.memory_limit_gb": [0.0],
    "schedule.schedule": ["step"],
    "schedule.learning_rate": [0.0],
    "schedule.halve_every": [0],
    "schedule.decay_factor": [0.0, 1.5],
    "schedule.final_learning_rate": [1.0],
    "schedule.decay_steps": [1_000_001],
    "optimizer.name": ["lion"],
    "optimizer.b1": [1.0],
    "optimizer.b2": [1.0],
    "optimizer.eps": [0.0],
    "optimizer.momentum": [1.0],
    "optimizer.muon_layers": ["("],
    "optimizer.muon_scale": [0.0],
    "train.init_from": [""],
    "train.loss": [""],
    "train.ema_decay": [1.0, 1.5],
    "train.dtype": ["float8"],
    "train.remat": ["all"],
    "train.roll_blocks": ["sometimes"],
    "train.steps": [0],
    "train.max_minutes": [0.0],
    "train.keep_checkpoints": [0],
    "train.wandb": ["a/b", "a" * 129],
    "eval.protocol": [""],
}
_WRONG = [
    (name, value)
    for name, key in KEYS.items()
    for value in [*_OF_TYPE[key.kind], *_OF_KEY.get(name, [])]
    if not (value is None and key.default is None)
]


def _valid():
    config = default_config()
    config.model.name = "rcbam"
    return config


@pytest.mark.parametrize(("name", "value"), _WRONG)
def test_check_config_names_the_key_of_a_wrong_value(name, value):
    values = _valid().to_dict()
    section, _, last = name.rpartition(".")
    (values[section] if section else values)[last] = value
    with pytest.raises(InputError) as error:
        check_config(ConfigDict(values))
    (line,) = str(error.value).splitlines()
    assert line.startswith(f"{name}")
    assert "expected" in line


@pytest.mark.parametrize("name", [n for n in KEYS if n != "model.name"])
def test_check_config_names_a_key_that_is_missing(name):
    values = _valid().to_dict()
    section, _, last = name.rpartition(".")
    del (values[section] if section else values)[last]
    with pytest.raises(InputError, match=f"^{name}: .* found no such key"):
        check_config(ConfigDict(values))
    # A run of an older version has not had it; it is not refused.
    check_config(ConfigDict(with_defaults(values)))


@pytest.mark.parametrize("name", ["nokey", "train.stepz", "modl.name", "name.x"])
def test_unknown_key_is_an_error_wherever_it_stands(name):
    with pytest.raises(InputError, match=f"^{name}: no such key"):
        override(_valid(), name, "1")
    section, _, last = name.rpartition(".")
    values = _valid().to_dict()
    if section:
        values[section] = {"steps": 1, last: 1} if section == "train" else {last: 1}
    else:
        values[last] = 1
    with pytest.raises(InputError, match=f"^{name}: no such key"):
        check_config(ConfigDict(values))


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (
            "config.train.eval_evry = 5",
            "line 6: eval_evry: no such key, did you mean train.ev",
        ),
        ("config.trian = 5", "line 6: trian: no such key, did you mean train.$"),
        ("config.trian.steps = 5", "line 6: trian: no such key, did you mean train.$"),
        (
            "config.train.update(stepz=5)",
            "line 6: stepz: no such key, did you mean train.steps",
        ),
        ("config.train.steps = 0.5", "line 6: .*field 'steps'.* 0.5 is of"),
        ("config.model.depth = 1 // 0", "line 6: integer division"),
        ("import nonesuch", "line 6: No module named 'nonesuch'"),
        ("return +", r"invalid syntax \(mine.py, line 6\)"),
        ("return", "expected get_config to return a ConfigDict, got None"),
        ("return {'name': 'a'}", "expected get_config to return a ConfigDict, got {"),
    ],
)
def test_load_config_says_what_is_wrong_in_a_file_and_where(body, message, tmp_path):
    path = tmp_path / "mine.py"
    path.write_text(
        "from jaxsr.training import default_config\n\n\ndef get_config(choice=''):\n"
        f"    config = default_config()\n    {body}\n    return config\n"
    )
    with pytest.raises(InputError, match=rf"mine.py.*{message}") as error:
        load_config(str(path))
    assert len(str(error.value).splitlines()) == 1


@pytest.mark.parametrize(
    ("name", "text", "value"),
    [
        ("train.steps", "300", 300),
        ("train.max_minutes", "3", 3.0),
        ("train.max_minutes", "None", None),
        ("schedule.learning_rate", "1e-3", 1e-3),
        ("data.augment", "false", False),
        ("data.augment", "True", True),
        ("data.data_dir", "7", "7"),
        ("data.data_dir", "None", None),
        ("eval.benchmarks", "", ""),
        ("optimizer.layer_rates", "{'tail/bias': 0.1}", {"tail/bias": 0.1}),
        ("model.features", "(4, 5)", (4, 5)),
        ("model.bicubic", "torch", "torch"),
        ("model.pool_size", "None", None),
    ],
)
def test_override_reads_a_value_as_its_key_has_it(name, text, value):
    config = _valid()
    override(config, name, text)
    section, _, last = name.rpartition(".")
    found = config.to_dict()[section][last]
    assert (found, type(found)) == (value, type(value))


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("train.steps", "1e5"),
        ("train.steps", "many"),
        ("data.augment", "1"),
        ("optimizer.clip_norm", "nan"),
        ("optimizer.layer_rates", "0.1"),
        ("seed", "None"),
    ],
)
def test_override_names_the_key_of_a_wrong_text(name, text):
    with pytest.raises(InputError, match=f"^{name}: expected .*, got '{text}'"):
        override(_valid(), name, text)


@pytest.mark.parametrize("values", [{"name": "a"}, {"name": "a", "train": 1}])
def test_override_of_a_section_that_is_not_there(values):
    with pytest.raises(InputError, match="train.steps: expected a section train"):
        override(ConfigDict(values), "train.steps", "1")


def test_override_all_takes_a_flag_alone():
    config = _valid()
    words = "--config.train.profile --config.train.steps 7 --config.data.augment False"
    override_all(config, [*words.split(), "--config.data.skip_small"])
    assert config.train.profile is True and config.data.skip_small is True
    assert config.train.steps == 7 and config.data.augment is False
    with pytest.raises(InputError, match="train.steps: expected .*, got ''"):
        override_all(config, ["--config.train.steps"])


def test_override_says_how_to_name_layers_without_a_dot():
    message = r"optimizer.layer_rates: expected .* without a dot \(\[\\w/\]\* for"
    with pytest.raises(InputError, match=message):
        override(_valid(), "optimizer.layer_rates", "{'.*bias': 0.1}")


def test_default_config_without_a_checkout(tmp_path):
    # A checkout's configs can be read from elsewhere all the same.
    code = (
        "from jaxsr.training import default_config, train\n"
        "from jaxsr.training.config_input import load_config\n"
        "import importlib.util\n"
        "assert importlib.util.find_spec('configs') is None\n"
        f"assert load_config('{_ROOT}/configs/rcbam_x2.py:cpu').model.scale == 2\n"
        "print(default_config().train.steps)"
    )
    (tmp_path / "jaxsr").symlink_to(_ROOT / "jaxsr")
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=tmp_path,
        env={"PATH": "/usr/bin:/bin", "HOME": str(tmp_path)},
        capture_output=True,
        text=True,
    )
    assert done.stdout == "1000000\n", done.stderr
