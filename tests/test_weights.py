"""Weights files: what is written comes back, and wrong files are named."""

import json
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import safetensors
import safetensors.numpy

import jaxsr
from jaxsr.errors import InputError
from jaxsr.inference import Upscaler
from jaxsr.models import create
from jaxsr.models.complexity import count_parameters
from jaxsr.weights import Weights, read_weights

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
    Weights("rcbam", FIELDS, variables, METADATA).save(path)
    return path


def test_load_weights_returns_what_was_saved(path, variables):
    weights = read_weights(path)
    assert (weights.network, weights.fields) == ("rcbam", FIELDS)
    assert weights.origin == METADATA
    jax.tree.map(np.testing.assert_array_equal, weights.variables, variables)


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
    Weights("x", {"scale": 2}, variables).save(path)
    loaded = read_weights(path).variables
    np.testing.assert_array_equal(loaded["params"]["a"], matrix)
    assert loaded["params"]["b"].shape == ()


def test_save_weights_under_a_name_that_would_not_be_read_is_refused(tmp_path):
    for name in ("net", "net.npz", "net.pt"):
        with pytest.raises(InputError, match=f"{name}: expected .* in .safetensors"):
            Weights("x", {"scale": 2}, {}).save(tmp_path / name)
    assert not list(tmp_path.iterdir())


def test_save_weights_keeps_statistics_drops_byproducts(tmp_path):
    part = {"block": {"x": np.ones(3, np.float32)}}
    variables = {"params": part, "batch_stats": part, "supervision": part}
    path = tmp_path / "w.safetensors"
    Weights("x", {"scale": 2}, variables).save(path)
    assert set(read_weights(path).variables) == {"params", "batch_stats"}
    Weights("x", {"scale": 2}, variables | {"own": part}).save(path)
    assert set(read_weights(path).variables) == {"params", "batch_stats", "own"}


def test_load_weights_widens_halves(tmp_path):
    """Networks keep parameters in float32."""
    path = tmp_path / "w.safetensors"
    for half in (np.float16, jnp.bfloat16):
        Weights("x", {"scale": 2}, {"params": {"y": np.ones(3, half)}}).save(path)
        assert read_weights(path).variables["params"]["y"].dtype == np.float32


@pytest.mark.parametrize(
    ("keys", "fields"),
    [
        (["params", "params/x"], {"scale": 2}),
        (["params/x"], [["scale", 2]]),
        (["params/x"], {"scale": 2, "dtype": "float32"}),
    ],
)
def test_load_weights_of_a_file_that_somebody_else_wrote(tmp_path, keys, fields):
    path = tmp_path / "w.safetensors"
    about = {"network": json.dumps("x"), "fields": json.dumps(fields)}
    safetensors.numpy.save_file(
        {key: np.ones(3, np.float32) for key in keys}, path, about
    )
    with pytest.raises(InputError, match=r"w\.safetensors: "):
        read_weights(path)


def test_save_weights_failure_leaves_the_old_file(path, variables, monkeypatch):
    before = path.read_bytes()

    def full_disk(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.replace", full_disk)
    with pytest.raises(OSError, match="No space left"):
        Weights("other", FIELDS, variables).save(path)
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
def test_weights_wrong_arguments(fields, metadata):
    with pytest.raises(ValueError, match="expected fields|cannot hold"):
        Weights("rcbam", fields, {}, metadata)


def test_load_weights_finds_every_changed_byte(path):
    content = path.read_bytes()
    header = 8 + int.from_bytes(content[:8], "little")
    random = np.random.default_rng(0)
    for at in random.integers(header, len(content), 50):
        damaged = bytearray(content)
        damaged[at] ^= 1 << int(random.integers(8))
        path.write_bytes(damaged)
        with pytest.raises(InputError, match="damaged, it is not what was saved"):
            read_weights(path)


def test_load_weights_finds_a_changed_field(path):
    content = path.read_bytes()
    scale = b'\\"scale\\": 2'
    assert content.count(scale) == 1
    path.write_bytes(content.replace(scale, scale[:-1] + b"3"))
    with pytest.raises(InputError, match="damaged, it is not what was saved"):
        read_weights(path)


def test_load_weights_lists_become_tuples(tmp_path):
    path, fields = tmp_path / "w.safetensors", {"scale": 2, "kernels": (3, 5)}
    Weights("x", fields, {"params": {}}).save(path)
    assert read_weights(path).fields == fields


def test_load_weights_wrong_files(path, tmp_path):
    with pytest.raises(InputError, match="absent: no such weights file"):
        read_weights(tmp_path / "absent")
    cut = tmp_path / "cut.safetensors"
    cut.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(InputError, match=r"cut\.safetensors: not a readable"):
        read_weights(cut)
    foreign = tmp_path / "foreign.safetensors"
    for metadata in (None, {"format": "pt"}, {"network": '"rcbam"', "fields": "[3]"}):
        safetensors.numpy.save_file({"w": np.ones(3)}, foreign, metadata)
        with pytest.raises(InputError, match=r"foreign\.safetensors: expected meta"):
            read_weights(foreign)


def test_load_upscaler_equals_model(path, variables):
    lr = np.random.default_rng(0).random((9, 8, 3)).astype(np.float32)
    model = create("rcbam", **FIELDS)
    upscaler = jaxsr.load(path, scale=2)
    assert upscaler.parameters == count_parameters(model)
    np.testing.assert_array_equal(upscaler.run(lr), Upscaler(model, variables).run(lr))


def test_load_upscaler_settings(path):
    upscaler = jaxsr.load(
        path, dtype=jnp.bfloat16, tile=64, overlap=8, self_ensemble=True
    )
    assert upscaler.model.dtype == jnp.bfloat16
    assert (upscaler.tile, upscaler.overlap) == (64, 8)
    assert upscaler.self_ensemble


def test_load_upscaler_another_network(path):
    with pytest.raises(InputError, match="expected weights of rcbam x3, got rcbam x2"):
        jaxsr.load(path, scale=3)
    with pytest.raises(InputError, match="weights of edsr x2, got rcbam x2"):
        jaxsr.load_weights(path, network="edsr")


def test_load_upscaler_weights_that_do_not_fit(variables, tmp_path):
    path = tmp_path / "w.safetensors"
    Weights("rcbam", FIELDS | {"depth": 2}, variables).save(path)
    message = r"w\.safetensors: .*block01/\S+ expected \[\S+\], got nothing"
    with pytest.raises(InputError, match=message):
        jaxsr.load(path)
    Weights("nonet", FIELDS, variables).save(path)
    with pytest.raises(InputError, match=r"w\.safetensors: unknown model 'nonet'"):
        jaxsr.load(path)
