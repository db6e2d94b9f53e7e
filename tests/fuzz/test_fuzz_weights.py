"""Damaged files of weights: weights of the right shapes, or refused in one line."""

import io
from pathlib import Path

import jax
import numpy as np
import pytest
import safetensors.numpy
import scipy.io
from hypothesis import given
from hypothesis import strategies as st

from jaxsr import models
from jaxsr.convert import read_checkpoint
from jaxsr.loading import load_weights
from jaxsr.models.variables import abstract_variables
from jaxsr.weights import Weights
from tests.convert.test_checkpoint_file import legacy_container, zip_archive
from tests.fuzz.fuzzing import bounded, damage, damages, fuzzed

_TESTS = Path(__file__).parents[1]
_PICKLES = sorted((_TESTS / "convert/files").glob("*.pth"))
_WRITTEN = ["ours.safetensors", "packed.npz", "plain.npz", "theirs.safetensors"]


@pytest.fixture(scope="module")
def whole(tmp_path_factory) -> dict[str, bytes]:
    """A whole file of each kind, by its name."""
    folder = tmp_path_factory.mktemp("whole")
    model = models.create("espcn", scale=2)
    shapes = abstract_variables(model)
    random = np.random.default_rng(0)
    variables = jax.tree.map(
        lambda leaf: random.normal(size=leaf.shape).astype(leaf.dtype), shapes
    )
    Weights.of(model, variables).save(folder / "ours.safetensors")
    with np.load(_TESTS / "golden/edsr_edsr_pytorch_x2.npz") as golden:
        state = {
            key.removeprefix("state/"): golden[key]
            for key in golden
            if key.startswith("state/")
        }
    safetensors.numpy.save_file(state, folder / "theirs.safetensors")
    np.savez(folder / "plain.npz", **state)
    np.savez_compressed(folder / "packed.npz", **state)
    files = {path.name: path.read_bytes() for path in folder.iterdir()}
    assert sorted(files) == _WRITTEN
    assert all(_load(folder / name) for name in files)
    return files | {path.name: path.read_bytes() for path in _PICKLES}


def _load(path: Path):
    if path.suffix == ".pth":
        return read_checkpoint(path)
    weights = load_weights(path)
    model = weights.create()
    expected = jax.tree.map(lambda leaf: leaf.shape, abstract_variables(model))
    assert jax.tree.map(np.shape, dict(weights.variables)) == expected
    return weights


@fuzzed(examples=500, share=0.15)
@given(
    name=st.sampled_from([*_WRITTEN, *(path.name for path in _PICKLES)]), what=damages()
)
def test_damaged_weights(tmp_path, capfd, whole, name, what):
    path = tmp_path / name
    path.write_bytes(damage(whole[name], what))
    with bounded(f"weights, {path.suffix}", megabytes=1200):
        found = _load(path)
        if name == "ours.safetensors":
            path.write_bytes(whole[name])
            saved = _load(path)
            assert (found.network, found.fields) == (saved.network, saved.fields)
            jax.tree.map(
                np.testing.assert_array_equal, found.variables, saved.variables
            )
    assert capfd.readouterr() == ("", "")


@fuzzed(examples=300, share=0.05)
@given(
    path=st.sampled_from([p for p in _PICKLES if "zip" in p.name]),
    container=st.sampled_from([zip_archive, legacy_container]),
    what=damages(),
)
def test_damaged_pickles_in_whole_archives(tmp_path, capfd, path, container, what):
    import zipfile

    with zipfile.ZipFile(path) as archive:
        pickled = next(n for n in archive.namelist() if n.endswith("data.pkl"))
        content = damage(archive.read(pickled), what)
        inside = {
            n.rpartition("/")[2]: archive.read(n)
            for n in archive.namelist()
            if "/data/" in n
        }
    packed = (
        container(content, inside) if container is zip_archive else container(content)
    )
    (tmp_path / "a.pth").write_bytes(packed)
    with bounded("weights, pickles", megabytes=1200):
        read_checkpoint(tmp_path / "a.pth")
    assert capfd.readouterr() == ("", "")


# Each is read by a process of its own.
@fuzzed(examples=8, share=0.05)
@given(packed=st.booleans(), what=damages())
def test_damaged_matlab_files(tmp_path, capfd, packed, what):
    buffer = io.BytesIO()
    values = {"w": np.ones((3, 3), np.float32), "s": {"a": np.arange(4), "b": "text"}}
    scipy.io.savemat(buffer, values, do_compression=packed)
    (tmp_path / "a.mat").write_bytes(damage(buffer.getvalue(), what))
    with bounded("weights, .mat", megabytes=1200):
        read_checkpoint(tmp_path / "a.mat")
    assert capfd.readouterr() == ("", "")
