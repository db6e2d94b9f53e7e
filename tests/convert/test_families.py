"""Importers: what they read off the weights, and how wrong files are explained.

That outputs equal those of the original PyTorch code is `test_torch_parity.py`'s. The
golden files hold state dicts of that code; their README.md says how they were made.
"""

import re
from pathlib import Path

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxsr.cli import main
from jaxsr.convert import (
    convert,
    from_matconvnet,
    from_torch,
    list_families,
    read_checkpoint,
    recognise,
)
from jaxsr.errors import InputError
from jaxsr.models import create
from jaxsr.weights import read_weights

GOLDEN = Path(__file__).parents[1] / "golden"

# Golden file -> family, the scale if the weights do not show it, fields that they do
# not show, and fields that must be found.
CASES = {
    "srcnn_yjn870": ("yjn870/srcnn", 2, {}, {"kernel_sizes": (9, 5, 5)}),
    "fsrcnn_yjn870_x2": ("yjn870/fsrcnn", 2, {}, {"features": 10, "depth": 2}),
    "fsrcnn_yjn870_x3": ("yjn870/fsrcnn", 3, {}, {"features": 56, "depth": 4}),
    "fsrcnn_yjn870_x4": ("yjn870/fsrcnn", 4, {}, {"features": 10, "shrink": 5}),
    "espcn_yjn870_x2": ("yjn870/espcn", None, {}, {"scale": 2}),
    "espcn_yjn870_x3": ("yjn870/espcn", None, {}, {"scale": 3}),
    "espcn_yjn870_x4": ("yjn870/espcn", None, {}, {"features": (64, 32)}),
    "vdsr_twtygqyy": ("twtygqyy/vdsr", 4, {}, {"depth": 4, "use_bias": False}),
    "vdsr_edsr_pytorch": ("edsr-pytorch/vdsr", 2, {}, {"image_range": 255.0}),
    "vdsr_torchsr_x2": ("torchsr/vdsr", 2, {}, {"image_range": 1.0, "depth": 4}),
    "vdsr_torchsr_x3": ("torchsr/vdsr", 3, {}, {"bicubic": "torch"}),
    "lapsrn_twtygqyy": ("twtygqyy/lapsrn", None, {}, {"scale": 4, "depth": 10}),
    "edsr_edsr_pytorch_x2": ("edsr-pytorch/edsr", None, {}, {"scale": 2}),
    "edsr_edsr_pytorch_x3": ("edsr-pytorch/edsr", None, {}, {"scale": 3}),
    "edsr_edsr_pytorch_x4": ("edsr-pytorch/edsr", None, {}, {"scale": 4}),
    "edsr_torchsr_x2": ("torchsr/edsr", None, {}, {"features": 8, "depth": 3}),
    "edsr_basicsr_x4": ("basicsr/edsr", None, {"res_scale": 0.1}, {"scale": 4}),
    "rcan_edsr_pytorch_x2": ("edsr-pytorch/rcan", None, {}, {"reduction": 4}),
    "rcan_edsr_pytorch_x3": ("edsr-pytorch/rcan", None, {}, {"groups": 2, "depth": 2}),
    "rcan_edsr_pytorch_x4": ("edsr-pytorch/rcan", None, {}, {"features": 12}),
    "rcan_torchsr_x2": ("torchsr/rcan", None, {}, {"scale": 2}),
    "rcan_basicsr_x3": ("basicsr/rcan", None, {}, {"scale": 3, "reduction": 4}),
    "msrresnet_basicsr_x2": ("basicsr/msrresnet", None, {}, {"scale": 2}),
    "msrresnet_basicsr_x3": ("basicsr/msrresnet", None, {}, {"scale": 3}),
    "msrresnet_basicsr_x4": ("basicsr/msrresnet", None, {}, {"scale": 4}),
    "san_daitao_x2": ("daitao/san", None, {}, {"scale": 2}),
    "san_daitao_x3": ("daitao/san", None, {}, {"scale": 3}),
    "san_daitao_x4": ("daitao/san", None, {}, {"scale": 4, "reduction": 4}),
}


def golden(name: str) -> tuple[dict[str, np.ndarray], np.ndarray, np.ndarray]:
    """Returns the state dict, and input and output as `[N, H, W, C]`."""
    with np.load(GOLDEN / f"{name}.npz") as file:
        arrays = dict(file)
    state = {
        key.removeprefix("state/"): value
        for key, value in arrays.items()
        if key.startswith("state/")
    }
    images = (arrays[key].transpose(0, 2, 3, 1) for key in ("input", "output"))
    return state, *images


def run(network: nn.Module, variables, images) -> np.ndarray:
    return np.asarray(jax.jit(network.apply)(variables, images))


@pytest.mark.parametrize("name", CASES)
def test_from_torch_fields(name):
    family, scale, unseen, expected = CASES[name]
    _, fields, _ = from_torch(golden(name)[0], family, scale, unseen)
    assert fields.items() >= {**expected, **unseen}.items()
    assert fields["scale"] == scale or scale is None


def test_from_torch_families_all_tested():
    with_golden = {family for family, *_ in CASES.values()}
    by_hand = {"matconvnet/vdsr", "matconvnet/lapsrn", "matconvnet/scn"}
    assert set(list_families()) == with_golden | by_hand


def test_families_all_in_the_docs():
    docs = Path(__file__).parents[2] / "docs" / "imported_weights.md"
    rows = re.findall(r"^\| (`\S+/\S+`.*?) \|", docs.read_text("utf-8"), re.MULTILINE)
    listed = [family for row in rows for family in re.findall("`(.+?)`", row)]
    assert sorted(listed) == list_families()


def test_from_torch_published_sizes():
    """Names and residual scales of the networks that EDSR's authors published."""
    state, *_ = golden("edsr_edsr_pytorch_x2")

    def widened(features: int, depth: int) -> dict[str, np.ndarray]:
        wide = {}
        for key, value in state.items():
            shape = [
                {8: features, 32: 4 * features}.get(length, length)
                for length in value.shape
            ]
            wide[key] = value if "mean" in key else np.zeros(shape, np.float32)
        blocks = {key: wide.pop(key) for key in list(wide) if key.startswith("body.")}
        for key, value in blocks.items():
            end = key.startswith("body.3.")
            for i in range(depth) if key.startswith("body.0.") else ():
                wide[key.replace("body.0.", f"body.{i}.", 1)] = value
            if end:
                wide[key.replace("body.3.", f"body.{depth}.")] = value
        return wide

    name, fields, _ = from_torch(widened(64, 16), "edsr-pytorch/edsr")
    assert (name, fields["scale"]) == ("edsr_baseline", 2)
    name, fields, _ = from_torch(widened(256, 2), "edsr-pytorch/edsr")
    assert (name, fields["res_scale"]) == ("edsr", 0.1)


@pytest.mark.parametrize("image_range", [255.0, 1.0])
def test_from_torch_trained_mean_shifts(image_range):
    """Mean shifts that training has moved are folded in exactly, borders included."""
    state, images, _ = golden("rcan_edsr_pytorch_x2")
    random = np.random.default_rng(0)
    for key in ("sub_mean", "add_mean"):
        shift = state[f"{key}.weight"]
        state[f"{key}.weight"] = shift + random.normal(0, 0.1, shift.shape)
        offset = np.float32(image_range / 255) * state[f"{key}.bias"]
        state[f"{key}.bias"] = offset + random.normal(0, 0.01 * image_range, 3)

    # The original's arithmetic around a network without mean and range.
    plain = {key: value for key, value in state.items() if "mean" not in key}
    identity = {
        f"{key}_mean.{part}": value
        for key in ("sub", "add")
        for part, value in (
            ("weight", np.eye(3)[:, :, None, None]),
            ("bias", np.zeros(3)),
        )
    }
    name, fields, variables = from_torch(plain | identity, "edsr-pytorch/rcan")
    assert fields["mean"] == (0, 0, 0)
    wide = from_torch(plain | identity, "edsr-pytorch", fields={"image_range": 255.0})
    assert wide[1] == fields | {"image_range": 255.0}
    core = create(name, **fields | {"image_range": 1.0})

    def shifted(key, x):
        return x @ state[f"{key}.weight"][:, :, 0, 0].T + state[f"{key}.bias"]

    x = shifted("sub_mean", images * image_range).astype(np.float32)
    expected = shifted("add_mean", run(core, variables, x)) / image_range

    name, fields, variables = from_torch(state, "edsr-pytorch/rcan")
    assert fields["image_range"] == image_range
    result = run(create(name, **fields), variables, images)
    assert np.abs(result - expected).max() < 1e-4 * np.abs(expected).max()


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        (
            {"depth": 5},
            r"^holds another network than edsr \(.*, which differs in block0",
        ),
        (
            {"depth": 1},
            r"^holds another network than edsr \(.*, which differs in block0",
        ),
        ({"block_loop": 1}, "block_loop is no field to choose here"),
    ],
)
def test_from_torch_fields_of_another_network(fields, message):
    state, *_ = golden("edsr_edsr_pytorch_x2")
    with pytest.raises(InputError, match=message):
        from_torch(state, "edsr-pytorch/edsr", fields=fields)


def test_from_torch_singular_mean_shift():
    state, *_ = golden("edsr_edsr_pytorch_x2")
    state["sub_mean.weight"] = np.zeros((3, 3, 1, 1), np.float32)
    with pytest.raises(InputError, match="sub_mean.weight mixes the colours"):
        from_torch(state, "edsr-pytorch/edsr")


def test_from_torch_trained_mean_shifts_of_vdsr():
    """Its skip leads past the convolutions into which they could be folded."""
    state, *_ = golden("vdsr_edsr_pytorch")
    for key in state:
        if "mean" in key:
            moved = {**state, key: state[key] * np.float32(1.01)}
            with pytest.raises(InputError, match="were trained, expected opposite"):
                from_torch(moved, "edsr-pytorch/vdsr", 2)


@pytest.mark.parametrize("prefix", ["module.", "model.", "module.model."])
def test_from_torch_wrapper_prefix(prefix):
    state, *_ = golden("espcn_yjn870_x2")
    wrapped = {f"{prefix}{key}": value for key, value in state.items()}
    _, _, variables = from_torch(wrapped, "yjn870/espcn")
    _, _, expected = from_torch(state, "yjn870/espcn")
    jax.tree.map(np.testing.assert_array_equal, variables, expected)


def test_from_torch_scaled_pyramid():
    """LapSRN's x4 weights serve x3 as well, and no other scale."""
    state, images, _ = golden("lapsrn_twtygqyy")
    name, fields, variables = from_torch(state, "twtygqyy/lapsrn", 3)
    sr = run(create(name, **fields), variables, images)
    assert sr.shape == (2, 3 * images.shape[1], 3 * images.shape[2], 1)
    with pytest.raises(InputError, match="expected weights for x2, got weights for x4"):
        from_torch(state, "twtygqyy/lapsrn", 2)


@pytest.mark.parametrize(
    ("name", "asked", "held"),
    [
        ("edsr_edsr_pytorch_x3", 2, 3),
        ("rcan_basicsr_x3", 4, 3),
        ("msrresnet_basicsr_x4", 2, 4),
        ("espcn_yjn870_x3", 4, 3),
        ("san_daitao_x2", 3, 2),
    ],
)
def test_from_torch_another_scale(name, asked, held):
    state, *_ = golden(name)
    message = f"expected weights for x{asked}, got weights for x{held}"
    with pytest.raises(InputError, match=message):
        from_torch(state, CASES[name][0], asked)


@pytest.mark.parametrize("name", ["srcnn_yjn870", "vdsr_twtygqyy", "fsrcnn_yjn870_x3"])
def test_from_torch_scale_needed(name):
    state, *_ = golden(name)
    with pytest.raises(InputError, match="serve any scale"):
        from_torch(state, CASES[name][0])


def test_from_torch_all_wrong_keys_listed():
    state, *_ = golden("edsr_edsr_pytorch_x2")
    del state["body.1.body.0.weight"], state["tail.1.bias"], state["add_mean.bias"]
    state["body.1.norm.weight"] = state["extra"] = np.zeros(3)
    state["body.2.body.2.bias"] = np.zeros(9)
    state["body.3.weight"] = np.zeros((8, 8, 1, 1))
    with pytest.raises(InputError) as error:
        from_torch(state, "edsr-pytorch/edsr")
    message = str(error.value)
    assert "\n" not in message
    assert (
        "3 missing: add_mean.bias, body.1.body.0.weight, tail.1.bias; "
        "2 unknown: body.1.norm.weight, extra; "
        "2 misshapen: body.2.body.2.bias 9 instead of 8, "
        "body.3.weight 8x8x1x1 instead of 8x8x3x3"
    ) in message


def test_from_torch_long_list_of_keys():
    state, *_ = golden("espcn_yjn870_x2")
    state |= {f"other.{i:03d}": np.zeros(1) for i in range(60)}
    with pytest.raises(InputError, match=r"60 unknown: .*other.049 and 10 more"):
        from_torch(state, "yjn870/espcn")


@pytest.mark.parametrize(
    ("name", "tried"),
    [
        ("edsr_basicsr_x4", "edsr-pytorch/edsr"),
        ("san_daitao_x2", "edsr-pytorch/rcan"),
        ("srcnn_yjn870", "twtygqyy/vdsr"),
    ],
)
def test_from_torch_family_of_another(name, tried):
    state, *_ = golden(name)
    family, *_ = CASES[name]
    with pytest.raises(InputError, match=f"its keys are those of {family}$"):
        from_torch(state, tried, 2 if "vdsr" in tried else None)


@pytest.mark.parametrize(
    ("name", "network"),
    [
        ("rcan_edsr_pytorch_x2", "rcan"),
        ("edsr_torchsr_x2", "edsr"),
        ("msrresnet_basicsr_x2", "msrresnet"),
        ("lapsrn_twtygqyy", "lapsrn"),
        ("san_daitao_x2", "san"),
    ],
)
def test_from_torch_repository_alone(name, network):
    state, *_ = golden(name)
    repository = CASES[name][0].partition("/")[0]
    assert from_torch(state, repository)[0] == network


def test_from_torch_repository_without_such_network():
    state, *_ = golden("srcnn_yjn870")
    message = (
        r"no network of torchsr \(torchsr/edsr.*its keys are those of yjn870/srcnn"
    )
    with pytest.raises(InputError, match=message):
        from_torch(state, "torchsr")
    message = (
        "which network of torchsr.*torchsr/edsr, torchsr/rcan, torchsr/vdsr; say which"
    )
    with pytest.raises(InputError, match=message):
        from_torch({"a": np.zeros(3)}, "torchsr")


def test_from_torch_another_family_without_a_scale():
    state, *_ = golden("edsr_basicsr_x4")
    with pytest.raises(InputError, match="not twtygqyy/vdsr: .* missing: input.weight"):
        from_torch(state, "twtygqyy/vdsr")
    state, *_ = golden("vdsr_twtygqyy")
    with pytest.raises(InputError, match="^twtygqyy/vdsr: these weights serve any"):
        from_torch(state, "twtygqyy/vdsr")


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("prefix", ["", "state_dict.module.net."])
def test_recognise_by_names_and_shapes(name, prefix):
    state, *_ = golden(name)
    # torchSR's EDSR and RCAN are read as EDSR-PyTorch's.
    twins = {f"torchsr/{n}": f"edsr-pytorch/{n}" for n in ("edsr", "rcan")}
    family = CASES[name][0]
    arrays = {f"{prefix}{key}": np.shape(value) for key, value in state.items()}
    # What lies beside the weights in a training checkpoint.
    arrays |= {"loss": (), "optimizer.state.0.exp_avg": (3,)} if prefix else {}
    assert recognise(arrays) == [twins.get(family, family)]


def test_recognise_nothing():
    state, *_ = golden("edsr_basicsr_x4")
    assert recognise({}) == recognise({"a.weight": (3, 3)}) == []
    shapes = {key: np.shape(value) for key, value in state.items()}
    assert recognise(shapes | {"conv_last.bias": (4,)}) == []
    assert recognise(shapes | {"extra.weight": (4,)}) == []


def test_from_torch_takes_the_average_of_two():
    state, *_ = golden("espcn_yjn870_x2")
    doubled = {key: 2 * value for key, value in state.items()}
    both = {f"params.{key}": value for key, value in state.items()}
    both |= {f"params_ema.{key}": value for key, value in doubled.items()}
    expected = from_torch(doubled, "yjn870/espcn")
    jax.tree.map(np.testing.assert_array_equal, from_torch(both, "yjn870"), expected)
    both |= {f"other.{key}": value for key, value in state.items()}
    del both["params_ema.last_part.0.bias"]
    with pytest.raises(InputError, match="one set of weights, got other, params$"):
        from_torch(both, "yjn870/espcn")


def test_from_torch_takes_no_name_for_an_average_that_only_has_its_letters():
    state, *_ = golden("espcn_yjn870_x2")
    both = {f"net.{key}": value for key, value in state.items()}
    both |= {f"schema.net.{key}": 2 * value for key, value in state.items()}
    with pytest.raises(InputError, match="one set of weights, got net, schema.net$"):
        from_torch(both, "yjn870/espcn")


def test_from_torch_not_finite():
    state, *_ = golden("espcn_yjn870_x2")
    state["last_part.0.bias"][1] = np.nan
    with pytest.raises(InputError, match="1 not finite: conv3/bias"):
        from_torch(state, "yjn870/espcn")


def test_from_torch_unknown_family():
    with pytest.raises(InputError, match="unknown family 'edsr'.*basicsr/edsr, basics"):
        from_torch({}, "edsr")  # a network, no repository
    with pytest.raises(InputError, match="unknown family 'twtygqyy/vdsr'.*one of matc"):
        from_matconvnet({}, "twtygqyy/vdsr")


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"res_scal": 0.1}, "has no field 'res_scal'"),
        ({"scale": 3}, "scale is no field to choose"),
        ({"dtype": jnp.bfloat16}, "dtype is no field to choose"),
    ],
)
def test_from_torch_wrong_field(fields, message):
    state, *_ = golden("edsr_basicsr_x4")
    with pytest.raises(InputError, match=message):
        from_torch(state, "basicsr/edsr", fields=fields)


def as_matlab_file(path: Path, content: dict) -> Path:
    """Writes arrays and lists of arrays the way MATLAB keeps them."""
    scipy_io = pytest.importorskip("scipy.io")
    scipy_io.savemat(path, content)
    return path


def squeezed(kernel) -> np.ndarray:
    """Drops trailing axes of length 1, as MATLAB does."""
    kernel = np.asarray(kernel)
    while kernel.ndim > 2 and kernel.shape[-1] == 1:
        kernel = kernel[..., 0]
    return kernel


def initialised(name: str, channels: int = 1, **fields):
    """Returns a network and variables without zeros."""
    network = create(name, **fields)
    variables = network.init(jax.random.key(0), jnp.zeros((1, 8, 8, channels)))
    random = np.random.default_rng(0)
    return network, jax.tree.map(
        lambda leaf: np.float32(leaf + random.normal(0, 0.05, leaf.shape)), variables
    )


def test_convert_file_matconvnet_vdsr(tmp_path):
    network, variables = initialised("vdsr", scale=3, features=6, depth=4)
    layers = [variables["params"][f"conv{i:02d}"] for i in range(4)]
    cells = {"weight": np.empty((1, 4), object), "bias": np.empty((1, 4), object)}
    for i, layer in enumerate(layers):
        cells["weight"][0, i] = squeezed(layer["kernel"])
        cells["bias"][0, i] = layer["bias"][:, None]
    path = as_matlab_file(tmp_path / "vdsr.mat", {"model": cells})
    weights = convert([path], "matconvnet/vdsr", 3)
    assert weights.create() == network
    jax.tree.map(np.testing.assert_array_equal, weights.variables, variables)


def test_convert_file_matconvnet_lapsrn(tmp_path):
    network, variables = initialised("lapsrn", scale=4, features=6, depth=2)
    params = {}

    def add(key, layer, axes=(0, 1, 2, 3)):
        params[f"{key}_f"] = squeezed(np.transpose(layer["kernel"], axes))
        if "bias" in layer:
            params[f"{key}_b"] = layer["bias"][None]

    add("input_conv", variables["params"]["head"])
    for i, number in ((0, 2), (1, 1)):  # their levels count down
        level = variables["params"][f"level{i}"]
        for j in range(2):
            add(f"level{number}_conv{j + 1}", level[f"conv{j:02d}"])
        add(f"level{number}_upconv", level["upsample"], (0, 1, 3, 2))
        add(f"level{number}_residual_conv", level["residual"])
        add(f"level{number}_img_up", level["image_upsample"], (0, 1, 3, 2))
    entries = np.array(list(params.items()), [("name", object), ("value", object)])
    path = as_matlab_file(tmp_path / "lapsrn.mat", {"net": {"params": entries}})
    weights = convert([path])  # recognised by its names
    assert weights.origin["family"] == "matconvnet/lapsrn"
    assert weights.create() == network
    jax.tree.map(np.testing.assert_array_equal, weights.variables, variables)


def scn_arrays(params) -> dict[str, np.ndarray]:
    """Returns a stage of SCN as the authors' file has it."""
    conv = np.zeros((9, 9, 100))
    for feature in range(100):
        filter_, dy, dx = feature // 25, feature // 5 % 5, feature % 5
        kernel = params["filters"][:, :, 0, filter_]
        conv[dy : dy + 5, dx : dx + 5, feature] = kernel
    return {
        "conv": conv.reshape(81, 100, order="F"),
        "wd": np.transpose(params["encode"], (2, 0, 1, 3)).reshape(100, -1),
        "usd1": params["feedback"],
        "ud": params["decode"],
        "addp": params["combine"][:, None],
        "mean2": np.ones((169, 1)),
        "diffms": np.ones((81, 25)),
    }


def test_convert_file_matconvnet_scn(tmp_path):
    _, variables = initialised("scn", scale=2, atoms=12)
    params = variables["params"]["stage0"]
    path = as_matlab_file(tmp_path / "scn.mat", {"model": scn_arrays(params)})
    weights = convert([path], "matconvnet/scn", 3)
    assert (weights.network, weights.fields) == ("scn", {"scale": 3, "atoms": 12})
    cascade = weights.variables["params"]
    assert set(cascade) == {"stage0", "stage1"}
    for stage in cascade.values():
        jax.tree.map(np.testing.assert_array_equal, stage, params)


def test_convert_command_scn_cascade_of_two_files(tmp_path, capsys):
    network, variables = initialised("scn", scale=3, atoms=12)
    stages = [variables["params"][name] for name in ("stage0", "stage1")]
    first, second = (
        str(as_matlab_file(tmp_path / f"{i}.mat", {"model": scn_arrays(stages[i])}))
        for i in range(2)
    )
    out = str(tmp_path / "scn.safetensors")
    words = ["--from", "matconvnet/scn", "-o", out]
    assert main(["convert", first, second, *words, "--scale", "3"]) == 0
    weights = read_weights(out)
    assert weights.create() == network
    jax.tree.map(np.testing.assert_array_equal, weights.variables, variables)
    assert weights.origin["source"] == "0.mat 1.mat"

    files = [read_checkpoint(path) for path in (first, second)]
    assert from_matconvnet(files, "matconvnet/scn")[1]["scale"] == 4
    for arguments, message in (
        ([first, second, *words, "--scale", "2"], "for each stage (1), got 2"),
        ([first, *words, "--scale", "1"], "expected a scale of at least 2, got 1"),
        ([first, first, "--from", "matconvnet/vdsr", "-o", out], "is one file, got 2"),
        ([first, second, "--from", "basicsr", "-o", out], "is one file, got 2"),
    ):
        assert main(["convert", *arguments]) == 2
        assert message in capsys.readouterr().err
    del files[1]["model.ud"]
    with pytest.raises(InputError, match="1 missing: stage1.model.ud$"):
        from_matconvnet(files, "matconvnet/scn")


def test_from_matconvnet_scn_other_features():
    _, variables = initialised("scn", scale=2, atoms=12)
    arrays = scn_arrays(variables["params"]["stage0"])
    arrays = {f"model.{key}": value for key, value in arrays.items()}
    with pytest.raises(InputError, match="model.conv 81x100 and model.wd 100xN, got"):
        from_matconvnet(
            arrays | {"model.conv": arrays["model.conv"][:, 1:]}, "matconvnet/scn"
        )
    arrays["model.conv"][3, 30] += 1
    with pytest.raises(InputError, match="four filters at 5x5 shifts"):
        from_matconvnet(arrays, "matconvnet/scn")


@pytest.mark.parametrize("family", [["--from", "basicsr"], []])
def test_convert_command(family, tmp_path, capsys):
    state, images, output = golden("edsr_basicsr_x4")
    np.savez(tmp_path / "edsr.npz", **state)
    out = tmp_path / "edsr.safetensors"
    words = ["convert", str(tmp_path / "edsr.npz"), *family]
    assert main([*words, "-o", str(out), "--field", "res_scale=0.1"]) == 0
    assert (
        "edsr (features=8, depth=3, res_scale=0.1, scale=4)" in capsys.readouterr().out
    )
    weights = read_weights(out)
    difference = run(weights.create(), weights.variables, images) - output
    metadata = weights.origin
    assert np.abs(difference).max() < 1e-5
    assert metadata["source"] == "edsr.npz"
    assert re.fullmatch("[0-9a-f]{64}", metadata["source_sha256"])
    assert (metadata["family"], metadata["protocol"]) == ("basicsr/edsr", "rgb")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--from", "edsr"], "unknown family 'edsr': expected one of basicsr/edsr"),
        (["--from", "basicsr/edsr", "--field", "res_scale"], "expected NAME=VALUE"),
        (["--from", "basicsr/edsr", "--field", "res_scale=x"], "expected NAME=VALUE"),
        (["--from", "basicsr/edsr", "--field", "a={[]:1}"], "expected NAME=VALUE"),
        (["--field", "depth=5"], "edsr.npz: holds another network"),
        (["--from", "basicsr/edsr", "--scale", "2"], "got weights for x4"),
        (["--from", "basicsr/rcan"], "its keys are those of basicsr/edsr"),
    ],
)
def test_convert_command_wrong_options(options, message, tmp_path, capsys):
    state, *_ = golden("edsr_basicsr_x4")
    np.savez(tmp_path / "edsr.npz", **state)
    out = tmp_path / "edsr.safetensors"
    words = ["convert", str(tmp_path / "edsr.npz"), "-o", str(out), *options]
    assert main(words) == 2
    error = capsys.readouterr().err
    assert message in error and error.count("\n") == 1
    assert not out.exists()


def test_fields_that_the_weights_show_are_not_chosen():
    state, *_ = golden("edsr_edsr_pytorch_x2")
    shown = from_torch(state, "edsr-pytorch/edsr")[1]["mean"]
    with pytest.raises(InputError, match="mean: the file says .*, got .1.0, 2.0, 3.0."):
        from_torch(state, "edsr-pytorch/edsr", fields={"mean": (1.0, 2.0, 3.0)})
    from_torch(state, "edsr-pytorch/edsr", fields={"mean": list(shown)})


def test_convert_file_read_again(tmp_path):
    """What jaxsr writes is a checkpoint that `read_checkpoint` reads."""
    state, *_ = golden("espcn_yjn870_x2")
    np.savez(tmp_path / "espcn.npz", **state)
    convert([tmp_path / "espcn.npz"]).save(tmp_path / "espcn.safetensors")
    arrays = read_checkpoint(tmp_path / "espcn.safetensors")
    assert arrays["params/conv1/kernel"].shape == (5, 5, 1, 64)
