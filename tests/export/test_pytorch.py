"""State dicts for PyTorch: what comes of a repository's file goes back into it."""

from pathlib import Path

import jax
import numpy as np
import pytest
import safetensors.numpy

from jaxsr.convert import convert, from_torch
from jaxsr.errors import InputError
from jaxsr.export import write
from jaxsr.export.pytorch import to_state_dict
from jaxsr.models import create
from jaxsr.weights import Weights

GOLDEN = Path(__file__).parents[1] / "golden"


def golden(name: str) -> dict[str, np.ndarray]:
    """Returns the state dict of a reference implementation; see tests/golden."""
    with np.load(GOLDEN / f"{name}.npz") as file:
        return {
            key.removeprefix("state/"): file[key]
            for key in file
            if key.startswith("state/")
        }


@pytest.mark.parametrize(
    ("name", "family", "scale"),
    [
        ("srcnn_yjn870", "yjn870/srcnn", 2),
        ("fsrcnn_yjn870_x3", "yjn870/fsrcnn", 3),
        ("espcn_yjn870_x2", "yjn870/espcn", 2),
        ("vdsr_twtygqyy", "twtygqyy/vdsr", 2),
        ("vdsr_edsr_pytorch", "edsr-pytorch/vdsr", 2),
        ("vdsr_torchsr_x2", "torchsr/vdsr", 2),
        ("lapsrn_twtygqyy", "twtygqyy/lapsrn", 4),
        ("edsr_edsr_pytorch_x4", "edsr-pytorch/edsr", 4),
        ("rcan_edsr_pytorch_x3", "edsr-pytorch/rcan", 3),
        ("msrresnet_basicsr_x4", "basicsr/msrresnet", 4),
        ("san_daitao_x4", "daitao/san", 4),
    ],
)
def test_goes_back_as_it_came(name, family, scale):
    state = golden(name)
    found, back = to_state_dict(Weights(*from_torch(state, family, scale)))
    assert found == family
    # SAN's file holds arrays that its network does not use.
    assert set(back) == set(state) or (
        family == "daitao/san" and set(back) < set(state)
    )
    for key, value in back.items():
        if "mean" in key:  # constants, which went through float32
            np.testing.assert_allclose(value, state[key], rtol=0, atol=1e-4)
        else:
            np.testing.assert_array_equal(value, state[key])


def initialised(name: str, **fields) -> Weights:
    model = create(name, scale=2, **fields)
    lr = np.zeros((1, 8, 8, model.channels), np.float32)
    return Weights.of(model, jax.jit(model.init)(jax.random.key(0), lr))


def test_file_is_converted_back_bit_for_bit(tmp_path):
    weights = initialised("rcan", features=8, groups=2, depth=3, reduction=4)
    path = tmp_path / "rcan.safetensors"
    said = write(weights, path, "safetensors-torch")
    assert said.endswith("as edsr-pytorch/rcan names them, the same read back")
    back = convert([path])
    assert back.fields["groups"] == 2 and back.fields["depth"] == 3
    jax.tree.map(np.testing.assert_array_equal, back.variables, weights.variables)


@pytest.mark.parametrize(
    ("network", "fields", "reason"),
    [
        ("rcbam_lite", {}, "no repository that jaxsr reads has this network"),
        ("bicubic", {}, "no repository that jaxsr reads has this network"),
        (
            "edsr",
            {"features": 8, "depth": 2},
            "as edsr-pytorch/edsr: res_scale is 1.0 there, 0.1 here",
        ),
    ],
)
def test_says_why_not(network, fields, reason, tmp_path):
    with pytest.raises(InputError, match=reason):
        write(initialised(network, **fields), tmp_path / "a.safetensors")
    assert not list(tmp_path.iterdir())


def test_spandrel_gives_our_numbers(tmp_path):
    spandrel = pytest.importorskip("spandrel", reason="needs spandrel and PyTorch")
    torch = pytest.importorskip("torch")
    weights = initialised("rcan", features=16, groups=2, depth=2, reduction=4)
    path = tmp_path / "rcan.safetensors"
    write(weights, path, "safetensors-torch")
    lr = np.random.default_rng(0).random((1, 20, 13, 3), np.float32)
    state = {
        k: torch.from_numpy(v) for k, v in safetensors.numpy.load_file(path).items()
    }
    described = spandrel.ModelLoader().load_from_state_dict(state)
    assert (described.architecture.id, described.scale) == ("RCAN", 2)
    with torch.no_grad():
        sr = described.model.eval()(torch.from_numpy(lr.transpose(0, 3, 1, 2).copy()))
    expected = weights.create().apply(weights.variables, lr)
    difference = sr.numpy().transpose(0, 2, 3, 1) - np.asarray(expected)
    assert np.abs(difference).max() < 1e-5
