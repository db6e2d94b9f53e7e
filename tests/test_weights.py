"""Weights files: what is written comes back, and wrong files are named."""

import json
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import safetensors
import safetensors.numpy

from jaxsr.errors import InputError
from jaxsr.inference import Upscaler
from jaxsr.models import create
from jaxsr.models.complexity import count_parameters
from jaxsr.weights import load_upscaler, load_weights, save_weights

FIELDS: dict[str, Any] = {"scale": 2, "features": 8, "depth": 1, "reduction": 4}
METADATA = {"source": "trained by a test", "psnr": {"Set5": 33.5}}


@pytest.fixture(scope="module")
def variables():
    """Random parameters everywhere, the last convolution's zeros included."""
    model = create("rcbam", **FIELDS)
    shapes = jax.eval_shape(model.init, jax.random.key(0), jnp.zeros((1, 8, 8, 3)))
    random = np.random.default_rng(0)
    return jax.tree.map(
        lambda x: random.normal(0, 0.1, x.shape).astype(np.float32), shapes
    )


@pytest.fixture
def path(variables, tmp_path):
    path = tmp_path / "rcbam_x2.safetensors"
    save_weights(path, variables, model="rcbam", fields=FIELDS, metadata=METADATA)
    return path


def test_load_weights_returns_what_was_saved(path, variables):
    model, fields, loaded, metadata = load_weights(path)
    assert (model, fields, metadata) == ("rcbam", FIELDS, METADATA)
    jax.tree.map(np.testing.assert_array_equal, loaded, variables)


def test_save_weights_layout(path, variables):
    # What other programs rely on: keys are paths, metadata are JSON strings.
    with safetensors.safe_open(path, framework="numpy") as file:
        kernel = file.get_tensor("params/head/kernel")
        strings = file.metadata()
    np.testing.assert_array_equal(kernel, variables["params"]["head"]["kernel"])
    assert json.loads(strings["network"]) == "rcbam"
    assert json.loads(strings["fields"]) == FIELDS


def test_save_weights_transposed_and_scalar_arrays(tmp_path):
    matrix = np.arange(6, dtype=np.float32).reshape(2, 3).T
    variables = {"params": {"a": matrix, "b": np.float32(3.0)}}
    path = tmp_path / "folder" / "w.safetensors"
    save_weights(path, variables, model="x", fields={"scale": 2}, metadata={})
    _, _, loaded, _ = load_weights(path)
    np.testing.assert_array_equal(loaded["params"]["a"], matrix)
    assert loaded["params"]["b"].shape == ()


def test_save_weights_keeps_statistics_drops_byproducts(tmp_path):
    part = {"block": {"x": np.ones(3, np.float32)}}
    variables = {"params": part, "batch_stats": part, "supervision": part}
    path = tmp_path / "w.safetensors"
    save_weights(path, variables, model="x", fields={"scale": 2}, metadata={})
    assert set(load_weights(path)[2]) == {"params", "batch_stats"}


def test_save_weights_failure_leaves_the_old_file(path, variables, monkeypatch):
    before = path.read_bytes()

    def full_disk(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.replace", full_disk)
    with pytest.raises(OSError, match="No space left"):
        save_weights(path, variables, model="other", fields=FIELDS, metadata={})
    assert path.read_bytes() == before
    assert list(path.parent.iterdir()) == [path]


@pytest.mark.parametrize(
    "fields, metadata",
    [
        ({"features": 8}, {}),
        ({"scale": 2, "dtype": "bfloat16"}, {}),
        ({"scale": 2}, {"network": "mine"}),
    ],
)
def test_save_weights_wrong_arguments(variables, tmp_path, fields, metadata):
    with pytest.raises(ValueError, match="expected fields|cannot hold"):
        save_weights(
            tmp_path / "w", variables, model="rcbam", fields=fields, metadata=metadata
        )
    assert not list(tmp_path.iterdir())


def test_load_weights_lists_become_tuples(tmp_path):
    path, fields = tmp_path / "w.safetensors", {"scale": 2, "kernels": (3, 5)}
    save_weights(path, {"params": {}}, model="x", fields=fields, metadata={})
    assert load_weights(path)[1] == fields


def test_load_weights_wrong_files(path, tmp_path):
    with pytest.raises(InputError, match="absent: no such weights file"):
        load_weights(tmp_path / "absent")
    cut = tmp_path / "cut.safetensors"
    cut.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(InputError, match=r"cut\.safetensors: not a readable"):
        load_weights(cut)
    foreign = tmp_path / "foreign.safetensors"
    for metadata in (None, {"format": "pt"}, {"network": '"rcbam"', "fields": "[3]"}):
        safetensors.numpy.save_file({"w": np.ones(3)}, foreign, metadata)
        with pytest.raises(InputError, match=r"foreign\.safetensors: expected meta"):
            load_weights(foreign)


def test_load_upscaler_equals_model(path, variables):
    lr = np.random.default_rng(0).random((9, 8, 3)).astype(np.float32)
    model = create("rcbam", **FIELDS)
    upscaler = load_upscaler(path, model="rcbam", scale=2)
    assert upscaler.parameters == count_parameters(model)
    np.testing.assert_array_equal(upscaler.run(lr), Upscaler(model, variables).run(lr))


def test_load_upscaler_settings(path):
    upscaler = load_upscaler(
        path, dtype=jnp.bfloat16, tile=64, overlap=8, self_ensemble=True
    )
    assert getattr(upscaler.model, "dtype") == jnp.bfloat16  # noqa: B009
    assert (upscaler.tile, upscaler.overlap) == (64, 8)
    assert upscaler.self_ensemble


def test_load_upscaler_another_network(path):
    with pytest.raises(InputError, match="expected weights of rcbam x3, got rcbam x2"):
        load_upscaler(path, scale=3)
    with pytest.raises(InputError, match="weights of edsr x2, got rcbam x2"):
        load_upscaler(path, model="edsr")


def test_load_upscaler_weights_that_do_not_fit(variables, tmp_path):
    path = tmp_path / "w.safetensors"
    save_weights(
        path, variables, model="rcbam", fields=FIELDS | {"depth": 2}, metadata={}
    )
    message = r"w\.safetensors: .*block01/\S+ expected \[\S+\], got nothing"
    with pytest.raises(InputError, match=message):
        load_upscaler(path)
    save_weights(path, variables, model="nonet", fields=FIELDS, metadata={})
    with pytest.raises(InputError, match=r"w\.safetensors: unknown model 'nonet'"):
        load_upscaler(path)
