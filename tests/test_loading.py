"""The one door: whatever names a network with its weights comes out the same."""

import re
import shutil

import jax
import numpy as np
import pytest

import jaxsr
from jaxsr.convert import from_torch
from jaxsr.errors import InputError
from jaxsr.loading import best_published, load, load_scaled, load_weights
from jaxsr.models import create
from jaxsr.weights import Weights, zoo

FIELDS = {"scale": 2, "features": 6, "depth": 1, "reduction": 2}


@pytest.fixture(scope="module")
def weights() -> Weights:
    model = create("rcbam", **FIELDS)
    variables = model.init(jax.random.key(0), np.zeros((1, 8, 8, 3), np.float32))
    return Weights.of(model, jax.device_get(variables), source="a test")


def assert_same(one: Weights, other: Weights) -> None:
    assert (one.network, one.fields) == (other.network, other.fields)
    jax.tree.map(np.testing.assert_array_equal, one.variables, other.variables)


def test_published_weights_by_either_spelling():
    one = load_weights("rcbam_lite_x3")
    assert_same(one, load_weights("rcbam_lite", scale=3))
    assert_same(one, load_weights(zoo.FOLDER / "rcbam_lite_x3.safetensors"))
    assert (one.network, one.scale, one.parameters) == ("rcbam_lite", 3, 130_675)
    assert one.origin["training"]["seed"] == 0
    assert repr(one).startswith("Weights(rcbam_lite: scale=3, ")


def test_network_without_parameters():
    photo = np.random.default_rng(0).integers(0, 256, (5, 4, 3)).astype(np.uint8)
    assert load("bicubic_x3")(photo).shape == (15, 12, 3)
    assert load_weights("bicubic", scale=3).parameters == 0


def test_home_folder(weights, tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    weights.save(tmp_path / "w.safetensors")
    assert jaxsr.load("~/w.safetensors").scale == weights.scale


def test_upscaler_saves_what_load_reads(weights, tmp_path):
    path = tmp_path / "w.safetensors"
    upscaler = load(weights)
    upscaler.save(path)
    assert_same(load_weights(path), weights)
    photo = np.random.default_rng(0).integers(0, 256, (9, 8, 3)).astype(np.uint8)
    np.testing.assert_array_equal(jaxsr.load(path)(photo), upscaler(photo))


def test_file_of_another_project_is_recognised(tmp_path):
    state = {
        key: value
        for key, value in np.load("tests/golden/edsr_basicsr_x4.npz").items()
        if key.startswith("state/")
    }
    state = {key.removeprefix("state/"): value for key, value in state.items()}
    path = tmp_path / "edsr.npz"
    np.savez(path, **state)
    found = load_weights(path)
    name, fields, variables = from_torch(state, "basicsr/edsr")
    assert_same(found, Weights(name, fields, variables))
    assert found.origin["family"] == "basicsr/edsr"
    with pytest.raises(InputError, match=r"edsr\.npz: .*got weights for x4"):
        load_weights(path, scale=2)


def test_what_nothing_can_be_done_with_is_refused(weights, tmp_path):
    weights.save(tmp_path / "w.safetensors")
    for spec in ("rcbam_lite_x2", str(tmp_path / "w.safetensors"), "bicubic_x2"):
        with pytest.raises(InputError, match="expected a run for step best"):
            load_weights(spec, step="best")
    with pytest.raises(InputError, match="expected another project's file for family"):
        load_weights("rcbam_lite_x2", family="edsr-pytorch")
    with pytest.raises(InputError, match="degradation: expected no spec"):
        load_scaled(2, "bicubic", degradation="photo")


def test_what_was_expected_is_compared(weights, tmp_path):
    path = tmp_path / "w.safetensors"
    weights.save(path)
    with pytest.raises(InputError, match="expected weights of rcbam x3, got rcbam x2"):
        load_weights(path, scale=3)
    with pytest.raises(InputError, match="weights of edsr x2, got rcbam x2"):
        load_weights(path, network="edsr")
    with pytest.raises(InputError, match="rcbam_lite_x2: expected x3, got x2"):
        load_weights("rcbam_lite_x2", scale=3)
    for asked, message in (
        ({"scale": 3}, "weights: expected weights of rcbam x3, got rcbam x2"),
        ({"network": "edsr"}, "weights: expected weights of edsr x2, got rcbam x2"),
        ({"step": "best"}, "weights: expected a run for step best"),
        ({"family": "basicsr"}, "weights: expected another project's file"),
    ):
        with pytest.raises(InputError, match=message):
            load(weights, **asked)


def test_another_name_of_a_network():
    weights = load_weights("mlrn_x2")
    assert weights.network == load_weights("mlrn", scale=2).network == "amms"
    assert load_weights("amms_x2", network="mlrn").network == "amms"


WRONG = [
    ("rcbm_x2", "rcbm_x2: expected published weights (amms_x2, "),
    ("rcbam_lite", "rcbam_lite: which scale? e.g. rcbam_lite_x2"),
    ("edsr_x2", "no weights of edsr x2 are published"),
    ("edsr_x7", "scale: expected 3 or a power of two, got 7"),
    ("runs/absent", "runs/absent: no run of jaxsr here"),
    ("absent/", "absent: no run of jaxsr here"),
    ("absent.pth", "absent.pth: no such weights file"),
    ("README.md", "README.md: expected a file of weights (.pth, "),
    ("setup.cfg/x.safetensors", "setup.cfg/x.safetensors: no such weights file"),
]


@pytest.mark.parametrize(("spec", "message"), WRONG)
def test_what_is_not_there_is_said(spec, message):
    with pytest.raises(InputError, match="^" + re.escape(message)):
        load_weights(spec)


def test_safetensors_of_no_family(tmp_path):
    foreign = tmp_path / "foreign.safetensors"
    shutil.copy(zoo.FOLDER / "rcbam_lite_x2.safetensors", foreign)
    with pytest.raises(InputError, match=r"foreign\.safetensors: .*not basicsr/rcan"):
        load_weights(foreign, family="basicsr/rcan")


def test_best_published():
    assert best_published(2) in {
        f"{entry['network']}_x2" for entry in zoo.read_manifest()
    }
    with pytest.raises(InputError, match=r"for x7: name one \(bicubic_x7\)"):
        best_published(7)
