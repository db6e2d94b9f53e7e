"""Exported programs, run without jaxsr, give what the network gives."""

import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import jax
import numpy as np
import pytest

from jaxsr.cli import main
from jaxsr.errors import InputError
from jaxsr.export import any_size, write
from jaxsr.loading import load
from jaxsr.models import create
from jaxsr.weights import Weights

_WITHOUT_JAXSR = """
import sys
import jax, numpy as np
from jax import export
with open(sys.argv[1], "rb") as file:
    program = export.deserialize(bytearray(file.read()))
sr = program.call(np.load(sys.argv[2]))
assert not {"jaxsr", "flax"} & sys.modules.keys()
np.save(sys.argv[3], sr)
"""


def run(*words: str | Path) -> str:
    environment = os.environ | {"JAX_PLATFORMS": "cpu"}
    command = [sys.executable, *map(str, words)]
    result = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    return result.stdout


def test_stablehlo_runs_without_jaxsr(tmp_path):
    out = tmp_path / "lite.stablehlo"
    # By the command: in this process layers are checked for shapes that are numbers.
    said = run("-m", "jaxsr.cli", "export", "rcbam_lite_x2", "-o", out)
    assert "on pictures not traced for" in said
    # 45 pixels are more than a window of the channel gate, 9 are fewer.
    lr = np.random.default_rng(0).random((2, 45, 9, 3), np.float32)
    np.save(tmp_path / "lr.npy", lr.transpose(0, 3, 1, 2))
    run("-c", _WITHOUT_JAXSR, out, tmp_path / "lr.npy", tmp_path / "sr.npy")
    sr = np.load(tmp_path / "sr.npy").transpose(0, 2, 3, 1)
    expected = load("rcbam_lite_x2").run(lr)
    np.testing.assert_allclose(sr, expected, rtol=0, atol=1e-5)


def test_stablehlo_without_flatbuffers_is_one_line(tmp_path):
    code = (
        "import sys; sys.modules['flatbuffers'] = None\n"
        "from jaxsr.cli import main\n"
        f"sys.exit(main(['export', 'rcbam_lite_x2', '-o', '{tmp_path}/a.stablehlo']))"
    )
    command = [sys.executable, "-c", code]
    result = subprocess.run(command, capture_output=True, text=True)
    expected = "error: export: StableHLO needs flatbuffers: pip install 'jaxsr-superres"
    assert result.stderr.startswith(expected)
    assert result.returncode == 2 and len(result.stderr.splitlines()) == 1


def noisy(name: str, scale: int, **fields) -> Weights:
    """Returns a network whose last layers, which start at zero, do something."""
    model = create(name, scale=scale, **fields)
    lr = np.zeros((1, 8, 8, model.channels), np.float32)
    variables = jax.jit(model.init)(jax.random.key(0), lr)
    random = np.random.default_rng(0)
    return Weights.of(
        model,
        jax.tree.map(
            lambda leaf: np.float32(leaf + random.normal(0, 0.03, leaf.shape)),
            variables,
        ),
    )


@pytest.mark.parametrize(
    ("network", "scale", "fields"),
    [
        ("bicubic", 3, {}),
        ("msrresnet", 4, {"features": 8, "depth": 1}),
        ("scn", 2, {"atoms": 16}),
    ],
)
def test_stablehlo_of_any_size(network, scale, fields, tmp_path):
    # Each has a part of its own for sizes that are not known; `write` compares.
    weights = noisy(network, scale, **fields)
    assert "differs by at most" in write(weights, tmp_path / "net.stablehlo")


def test_onnx_is_compared_by_onnxruntime(tmp_path):
    for library in ("jax2onnx", "onnxruntime"):
        if importlib.util.find_spec(library) is None:
            pytest.skip(f"needs {library}: pip install 'jaxsr-superres[export]'")
    noisy("espcn", 2, features=(4, 4)).save(tmp_path / "net.safetensors")
    words = ("export", tmp_path / "net.safetensors", "-o", tmp_path / "net.onnx")
    assert ", by onnxruntime " in run("-m", "jaxsr.cli", *words)
    assert (tmp_path / "net.onnx").stat().st_size > 1000


@pytest.mark.parametrize(
    ("network", "scale", "fields"),
    [
        ("lapsrn", 2, {"features": 4, "depth": 1}),
        ("msrresnet", 4, {"features": 8, "depth": 1}),
    ],
)
def test_onnx_of_slopes(network, scale, fields, tmp_path):
    pytest.importorskip("jax2onnx")
    written = write(noisy(network, scale, **fields), tmp_path / "net.onnx")
    assert "differs by at most" in written


def test_difference_is_refused(tmp_path):
    weights = noisy("espcn", 2, features=(4, 4))
    network = jax.jit(any_size.network_of(weights))
    with pytest.raises(InputError, match=r"differs from espcn by 2.0e-05, more than"):
        any_size.compare(weights, lambda lr: np.asarray(network(lr)) + np.float32(2e-5))


def test_shrinking_scale_is_refused(tmp_path):
    weights = noisy("lapsrn", 3, features=4, depth=1)
    with pytest.raises(InputError, match="whole scale of images whose size is not"):
        write(weights, tmp_path / "net.stablehlo")
    assert not list(tmp_path.iterdir())


def test_wrong_format(tmp_path, capsys):
    for words, message in (
        (["net.tflite"], "export: expected a format among onnx, stablehlo, safe"),
        (["net"], "got a file name without suffix"),
        (["net.pth", "--format", "onnx"], "expected a name in .onnx for onnx"),
        (["net.onnx", "--scale", "3"], "rcbam_lite_x2: expected x3, got x2"),
    ):
        words[0] = str(tmp_path / words[0])
        assert main(["export", "rcbam_lite_x2", "-o", *words]) == 2
        error = capsys.readouterr().err
        assert message in error and error.count("\n") == 1


def test_the_weights_are_not_replaced(tmp_path):
    folder = tmp_path / "mine"
    load("espcn_x2").save_pretrained(folder)
    file = folder / "model.safetensors"
    before = file.read_bytes()
    for spec in (folder, file):
        with pytest.raises(InputError, match="overwrite what it is made from"):
            write(spec, file, "safetensors-torch")
    assert file.read_bytes() == before
