"""Networks compute what public PyTorch implementations compute with the same weights.

The golden files hold random weights, an input and what the implementation made of it;
`golden/README.md` tells how they were made. The weights come through `jaxsr.convert`,
so its key tables are tested here as well.
"""

from pathlib import Path
from typing import Any

import jax
import numpy as np
import pytest

from jaxsr.convert import from_torch
from jaxsr.models import create

GOLDEN = Path(__file__).parent / "golden"

# file -> family, scale, fields that the weights do not show. SRCNN and VDSR (not
# torchSR's) were run on the input as it is, without enlarging it: x1.
FAMILIES: dict[str, tuple[str, int, dict[str, Any]]] = {
    "srcnn_yjn870": ("yjn870/srcnn", 1, {}),
    "fsrcnn_yjn870_x2": ("yjn870/fsrcnn", 2, {}),
    "fsrcnn_yjn870_x3": ("yjn870/fsrcnn", 3, {}),
    "fsrcnn_yjn870_x4": ("yjn870/fsrcnn", 4, {}),
    "espcn_yjn870_x2": ("yjn870/espcn", 2, {}),
    "espcn_yjn870_x3": ("yjn870/espcn", 3, {}),
    "espcn_yjn870_x4": ("yjn870/espcn", 4, {}),
    "vdsr_twtygqyy": ("twtygqyy/vdsr", 1, {}),
    "vdsr_edsr_pytorch": ("edsr-pytorch/vdsr", 1, {}),
    "vdsr_torchsr_x2": ("torchsr/vdsr", 2, {}),
    "vdsr_torchsr_x3": ("torchsr/vdsr", 3, {}),
    "lapsrn_twtygqyy": ("twtygqyy/lapsrn", 4, {}),
    "edsr_edsr_pytorch_x2": ("edsr-pytorch/edsr", 2, {}),
    "edsr_edsr_pytorch_x3": ("edsr-pytorch/edsr", 3, {}),
    "edsr_edsr_pytorch_x4": ("edsr-pytorch/edsr", 4, {}),
    "rcan_edsr_pytorch_x2": ("edsr-pytorch/rcan", 2, {}),
    "rcan_edsr_pytorch_x3": ("edsr-pytorch/rcan", 3, {}),
    "rcan_edsr_pytorch_x4": ("edsr-pytorch/rcan", 4, {}),
    "edsr_torchsr_x2": ("torchsr/edsr", 2, {}),
    "rcan_torchsr_x2": ("torchsr/rcan", 2, {}),
    "edsr_basicsr_x4": ("basicsr/edsr", 4, {"res_scale": 0.1}),
    "rcan_basicsr_x3": ("basicsr/rcan", 3, {}),
    "msrresnet_basicsr_x2": ("basicsr/msrresnet", 2, {}),
    "msrresnet_basicsr_x3": ("basicsr/msrresnet", 3, {}),
    "msrresnet_basicsr_x4": ("basicsr/msrresnet", 4, {}),
    "san_daitao_x2": ("daitao/san", 2, {}),
    "san_daitao_x3": ("daitao/san", 3, {}),
    "san_daitao_x4": ("daitao/san", 4, {}),
}
# No importer has this network; the test below maps its few keys.
SRRESNET = {"srresnet_lornatang_x2": 2, "srresnet_lornatang_x4": 4}


def read(name: str) -> tuple[dict[str, np.ndarray], np.ndarray, np.ndarray]:
    """Returns (state dict, input, output); images as [N, H, W, C]."""
    with np.load(GOLDEN / f"{name}.npz") as file:
        state = {
            key.removeprefix("state/"): file[key]
            for key in file
            if key.startswith("state/")
        }
        lr, sr = (file[key].transpose(0, 2, 3, 1) for key in ("input", "output"))
    return state, lr, sr


def assert_same(output: jax.Array, golden: np.ndarray) -> None:
    assert np.std(golden) > 0.05  # else the bound would say little
    np.testing.assert_allclose(output, golden, rtol=0, atol=1e-5 * np.abs(golden).max())


def test_golden_files_all_compared():
    files = {path.stem for path in GOLDEN.glob("*.npz")}
    assert files == {*FAMILIES, *SRRESNET}


@pytest.mark.parametrize("name", FAMILIES)
def test_output_equals_pytorch(name):
    family, scale, extra = FAMILIES[name]
    state, lr, sr = read(name)
    network, fields, variables = from_torch(state, family, scale, extra)
    assert_same(jax.jit(create(network, **fields).apply)(variables, lr), sr)


def conv(state: dict[str, np.ndarray], key: str) -> dict[str, np.ndarray]:
    kernel = state[f"{key}.weight"].transpose(2, 3, 1, 0)
    # The repository has no biases in front of batch normalisations.
    bias = state.get(f"{key}.bias", np.zeros(kernel.shape[-1], np.float32))
    return {"kernel": kernel, "bias": bias}


@pytest.mark.parametrize("name", SRRESNET)
def test_srresnet_output_equals_pytorch(name):
    state, lr, sr = read(name)
    depth, features, scale = 3, 8, SRRESNET[name]
    params: dict[str, Any] = {}
    statistics: dict[str, Any] = {}

    def slope(key):  # one for all channels there
        return {"slope": np.repeat(state[f"{key}.weight"], features)}

    def conv_norm(key, norm_key):
        norm = {"scale": state[f"{norm_key}.weight"], "bias": state[f"{norm_key}.bias"]}
        running = {
            "mean": state[f"{norm_key}.running_mean"],
            "var": state[f"{norm_key}.running_var"],
        }
        return {"conv": conv(state, key), "norm": norm}, {"norm": running}

    params["head"] = conv(state, "conv1.0")
    params["head_prelu"] = slope("conv1.1")
    for i in range(depth):
        block = f"trunk.{i}.rcb"
        part1, statistics1 = conv_norm(f"{block}.0", f"{block}.1")
        part2, statistics2 = conv_norm(f"{block}.3", f"{block}.4")
        params[f"block{i:02d}"] = {
            "part1": part1,
            "prelu": slope(f"{block}.2"),
            "part2": part2,
        }
        statistics[f"block{i:02d}"] = {"part1": statistics1, "part2": statistics2}
    params["body_end"], statistics["body_end"] = conv_norm("conv2.0", "conv2.1")
    for i in range(scale // 2):
        params[f"up{i}"] = conv(state, f"upsampling.{i}.upsample_block.0")
        params[f"up{i}_prelu"] = slope(f"upsampling.{i}.upsample_block.2")
    # Its last layer yields [0, 1], ours and the paper's [-1, 1].
    tail = conv(state, "conv3")
    params["tail"] = {"kernel": 2 * tail["kernel"], "bias": 2 * tail["bias"] - 1}

    model = create("srresnet", scale=scale, features=features, depth=depth)
    variables = {"params": params, "batch_stats": statistics}
    assert_same(jax.jit(model.apply)(variables, lr), sr)
