"""Exported ONNX in OpenCV's own dnn module: the numbers are the network's."""

import os
import subprocess
import sys

import jax
import numpy as np
import pytest

from jaxsr.inference import Upscaler
from jaxsr.models import create

cv2 = pytest.importorskip("cv2")
pytest.importorskip("jax2onnx")
pytest.importorskip("onnxruntime")
pytestmark = pytest.mark.skipif(
    int(cv2.__version__.partition(".")[0]) < 5, reason="OpenCV 4 wants fixed shapes"
)


def difference(net, upscale: Upscaler, height: int, width: int) -> float:
    """Returns the largest one between OpenCV's output and the network's."""
    random = np.random.default_rng(height)
    lr = random.random((1, height, width, upscale.channels), np.float32)
    net.setInput(lr.transpose(0, 3, 1, 2).copy())
    sr = net.forward().transpose(0, 2, 3, 1)
    expected = upscale.model.apply(upscale.variables, lr)
    assert np.std(expected) > 0.01
    return float(np.abs(sr - expected).max())


def export(spec, path) -> None:
    """By the command: in this process layers are checked for numbers as shapes."""
    command = [sys.executable, "-m", "jaxsr.cli", "export", str(spec), "-o", str(path)]
    subprocess.run(command, check=True, env=os.environ | {"JAX_PLATFORMS": "cpu"})


@pytest.mark.parametrize(
    ("network", "fields"),
    [
        ("espcn", {"features": (8, 4)}),
        ("fsrcnn", {}),
    ],
)
def test_any_size(tmp_path, network, fields):
    model = create(network, scale=2, **fields)
    lr = np.zeros((1, 8, 8, model.channels), np.float32)
    random = np.random.default_rng(0)
    variables = jax.tree.map(
        lambda leaf: np.float32(leaf + random.normal(0, 0.1, leaf.shape)),
        jax.jit(model.init)(jax.random.key(0), lr),
    )
    upscale = Upscaler(model, variables)
    upscale.save(tmp_path / "net.safetensors")
    export(tmp_path / "net.safetensors", tmp_path / "net.onnx")
    net = cv2.dnn.readNetFromONNX(str(tmp_path / "net.onnx"))
    assert difference(net, upscale, 17, 24) < 1e-5
    assert difference(net, upscale, 30, 11) < 1e-5
