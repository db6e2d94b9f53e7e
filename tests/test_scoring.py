"""Networks and folders of pictures over benchmark sets, against published numbers."""

import functools
import itertools
import json
import shutil
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from PIL import Image

from jaxsr import models
from jaxsr.data import open_benchmark, open_source
from jaxsr.errors import InputError
from jaxsr.imaging import imresize, read_image, write_image
from jaxsr.inference import Upscaler
from jaxsr.protocols import get_protocol
from jaxsr.scoring import (
    comparison_picture,
    evaluate,
    markdown_table,
    methods_picture,
    pair_by_name,
    read_result,
    score_folders,
    weights_hash,
    write_result,
)

# PSNR (dB) and SSIM of bicubic interpolation, protocol "classic". The papers' tables
# print the same numbers, e.g. VDSR (arXiv 1511.04587, Table 3).
_CLASSIC_BICUBIC = {
    ("Set5", 2): (33.661, 0.9299),
    ("Set5", 3): (30.392, 0.8682),
    ("Set5", 4): (28.421, 0.8104),
    ("Set14", 3): (27.541, 0.7736),
    ("BSD100", 4): (25.961, 0.6674),
}

# PSNR (dB) under protocol "rgb", by an independent implementation.
_RGB_BICUBIC = {2: 33.673, 3: 30.403, 4: 28.429}


def _bicubic(scale, **fields):
    return Upscaler(models.create("bicubic", scale=scale), {}, **fields)


def _network(name="rcbam", **options):
    return Upscaler(*_model_and_variables(name), **options)


@functools.cache
def _model_and_variables(name):
    """Returns a small x2 network and its random parameters."""
    fields = {"features": 4, "depth": 1} if name == "rcbam" else {}
    model = models.create(name, scale=2, **fields)
    channels = getattr(model, "channels")  # noqa: B009 (no field of nn.Module)
    return model, model.init(jax.random.key(0), jnp.zeros((1, 16, 16, channels)))


@pytest.fixture
def photos(tmp_path) -> Path:
    """A folder `mine/HR` of two textured colour pictures and a gray one.

    Cropped to even sizes they have one shape, so networks are compiled once.
    """
    folder = tmp_path / "mine" / "HR"
    folder.mkdir(parents=True)
    rng = np.random.default_rng(0)
    for name, shape in (
        ("one", (45, 46, 3)),
        ("two", (44, 46, 3)),
        ("gray", (44, 46, 1)),
    ):
        coarse = rng.integers(0, 256, (shape[0] // 4, shape[1] // 4, shape[2]))
        image = imresize(coarse.astype(np.uint8), output_size=shape[:2])
        write_image(folder / f"{name}.png", image)
    return folder


def _numbers(result):
    return {name: entry["images"] for name, entry in result["benchmarks"].items()}


@pytest.mark.parametrize("name, scale", _CLASSIC_BICUBIC)
def test_evaluate_bicubic_under_classic_equals_the_papers(data_dir, name, scale):
    result = evaluate(
        _bicubic(scale), [name], scale=scale, protocol="classic", data_dir=data_dir
    )
    psnr, ssim = _CLASSIC_BICUBIC[name, scale]
    entry = result["benchmarks"][name]
    assert entry["psnr"] == pytest.approx(psnr, abs=0.001)
    assert entry["ssim"] == pytest.approx(ssim, abs=0.0001)


@pytest.mark.parametrize("scale", _RGB_BICUBIC)
def test_evaluate_bicubic_under_rgb_rounds_as_matlab(data_dir, scale):
    result = evaluate(_bicubic(scale), ["Set5"], scale=scale, data_dir=data_dir)
    psnr = result["benchmarks"]["Set5"]["psnr"]
    assert psnr == pytest.approx(_RGB_BICUBIC[scale], abs=0.001)


def test_evaluate_says_how_the_numbers_were_made(photos):
    upscaler = _network(self_ensemble=True)
    result = evaluate(upscaler, [f"folder:{photos}"], scale=2, name="mine")
    assert {key: result[key] for key in ("model", "scale", "protocol")} == {
        "model": "mine",
        "scale": 2,
        "protocol": "rgb",
    }
    leaves = jax.tree.leaves(upscaler.variables["params"])
    assert result["parameters"] == sum(leaf.size for leaf in leaves) > 0
    assert result["weights_sha256"] == weights_hash(upscaler.variables)
    assert result["self_ensemble"] is True and result["tiled"] is False
    assert set(result["versions"]) == {"jaxsr", "jax", "flax", "numpy", "python"}
    assert result["hardware"]["device"] == jax.devices()[0].device_kind
    entry = result["benchmarks"]["mine"]
    assert list(entry["images"]) == ["gray", "one", "two"]
    mean = np.mean([scores["psnr"] for scores in entry["images"].values()])
    assert entry["psnr"] == pytest.approx(mean, abs=1e-12)


def test_evaluate_says_whether_images_were_tiled(photos):
    upscaler = _network(tile=8, overlap=4)
    result = evaluate(upscaler, [f"folder:{photos}"], scale=2)
    assert (result["tile"], result["tiled"]) == (8, True)


def test_evaluate_on_several_devices_equals_one(tmp_path):
    rng = np.random.default_rng(1)
    for k, shape in enumerate([(40, 48, 3), (44, 40, 1), (40, 40, 3), (52, 40, 3)]):
        write_image(tmp_path / f"{k}.png", rng.integers(0, 256, shape, np.uint8))
    numbers = [
        _numbers(
            evaluate(_network("espcn"), [f"folder:{tmp_path}"], scale=2, **options)
        )
        for options in ({}, {"devices": jax.devices()[:3]})
    ]
    assert numbers[0] == numbers[1]


def test_upscaler_on_another_device_runs_there():
    upscaler = _network("espcn").on(jax.devices()[5])
    assert upscaler.devices == (jax.devices()[5],)
    lr = np.random.default_rng(0).random((12, 10, 1), np.float32)
    np.testing.assert_array_equal(upscaler.run(lr), _network("espcn").run(lr))


@pytest.mark.parametrize(
    "model, protocol", [("rcbam", "rgb"), ("espcn", "rgb"), ("espcn", "classic")]
)
def test_evaluate_saves_the_images_it_scored(photos, tmp_path, model, protocol):
    result = evaluate(
        _network(model),
        [f"folder:{photos}"],
        scale=2,
        protocol=protocol,
        save_images=tmp_path / "out",
    )
    saved = tmp_path / "out/mine/X2"
    is_luma_alone = protocol == "classic"
    assert read_image(saved / "one.png").shape == (44, 46, 1 if is_luma_alone else 3)
    again = score_folders(saved, photos, scale=2, protocol=protocol, luma=is_luma_alone)
    assert _numbers(again) == _numbers(result)


def test_evaluate_gives_classic_colour_networks_an_unrounded_lr(photos, tmp_path):
    scores = {
        protocol: _numbers(
            evaluate(_network(), [f"folder:{photos}"], scale=2, protocol=protocol)
        )["mine"]
        for protocol in ("rgb", "classic")
    }
    for image in ("one", "two"):
        classic, rgb = scores["classic"][image]["psnr"], scores["rgb"][image]["psnr"]
        assert classic != rgb
        assert classic == pytest.approx(rgb, abs=0.5)


@pytest.mark.parametrize(
    "benchmarks, message",
    [
        (["Set6"], "unknown benchmark 'Set6': .*Set5, Set14, BSD100, Urban100"),
        ([], "no benchmark"),
        (["sample", "sample"], "two benchmarks are called 'sample'"),
    ],
)
def test_evaluate_refuses_benchmarks(benchmarks, message):
    with pytest.raises(InputError, match=message):
        evaluate(_bicubic(2), benchmarks, scale=2)


def test_evaluate_refuses_another_scale_and_protocol(photos):
    with pytest.raises(InputError, match="enlarges x2, expected x3"):
        evaluate(_bicubic(2), [f"folder:{photos}"], scale=3)
    with pytest.raises(InputError, match="unknown protocol 'ycbcr': .* rgb, classic"):
        evaluate(_bicubic(2), [f"folder:{photos}"], scale=2, protocol="ycbcr")


def test_evaluate_names_an_image_that_is_too_small(photos):
    write_image(photos / "tiny.png", np.zeros((14, 30, 3), np.uint8))
    with pytest.raises(
        InputError, match="mine tiny: .* 30x14, expected at least 15x15"
    ):
        evaluate(_bicubic(2), [f"folder:{photos}"], scale=2)


def test_weights_hash_depends_on_names_and_values():
    weights = {"params": {"a": np.ones((2, 3), np.float32)}}
    same = {"params": {"a": jnp.ones((2, 3))}}
    others = [
        {"params": {"b": np.ones((2, 3), np.float32)}},
        {"params": {"a": np.ones((3, 2), np.float32)}},
        {"params": {"a": np.full((2, 3), 1.0000001, np.float32)}},
    ]
    assert weights_hash(weights) == weights_hash(same)
    assert len({weights_hash(each) for each in [weights, *others]}) == 4
    assert weights_hash({}) is None


@pytest.mark.parametrize("scale", [2, 3, 4])
def test_score_folders_equals_the_published_matlab_numbers(data_dir, scale):
    published = data_dir / "published/RCAN_Set5"
    matlab = json.loads((published / "matlab_psnr_ssim.json").read_text())
    result = score_folders(
        published / f"X{scale}", data_dir / "benchmarks/Set5/HR", scale=scale
    )
    assert result["model"] == "RCAN_Set5"
    images = result["benchmarks"]["Set5"]["images"]
    assert list(images) == sorted(matlab[f"X{scale}"])
    for name, numbers in matlab[f"X{scale}"].items():
        assert images[name] == pytest.approx(numbers, abs=2e-6)


def test_score_folders_names_the_picture_whose_size_does_not_fit(photos, tmp_path):
    sr = tmp_path / "sr"
    sr.mkdir()
    for hr in photos.iterdir():
        write_image(sr / hr.name, read_image(hr))
    with pytest.raises(InputError, match=r"sr/one\.png: .* 46x45, expected 46x44"):
        score_folders(sr, photos, scale=2)


@pytest.mark.parametrize(
    ("sr", "hr", "method", "set_name"),
    [
        ("RCAN/Set5/x2", "Set5/HR", "RCAN", "Set5"),
        ("RCAN/x2/Set5", "Set5", "RCAN", "Set5"),
        ("RCAN/Set5", "data/Set5/HR/X2", "RCAN", "Set5"),
        ("out/X2", "Set5/GTmod12", "out", "Set5"),
        ("RCAN_Set5/2x", "set5/image_SRF_2", "RCAN_Set5", "set5"),
    ],
)
def test_score_folders_finds_the_names_of_method_and_set(
    photos, tmp_path, sr, hr, method, set_name
):
    for root, folder in (("a", sr), ("b", hr)):
        (tmp_path / root / folder).parent.mkdir(parents=True, exist_ok=True)
        shutil.copytree(photos, tmp_path / root / folder)
    result = score_folders(tmp_path / "a" / sr, tmp_path / "b" / hr, scale=1)
    assert (result["model"], *result["benchmarks"]) == (method, set_name)


@pytest.mark.parametrize("modes", [*itertools.product(("L", "RGB"), repeat=2)])
def test_score_folders_of_gray_in_one_and_three_channels(tmp_path, modes):
    gray = Image.effect_noise((40, 30), 60)
    for folder, mode in zip(("sr", "hr"), modes, strict=True):
        (tmp_path / folder).mkdir()
        gray.convert(mode).save(tmp_path / folder / "a.png")
    result = score_folders(tmp_path / "sr", tmp_path / "hr", scale=2)
    assert result["benchmarks"][tmp_path.name]["psnr"] == np.inf


@pytest.mark.parametrize("protocol", ["rgb", "classic"])
def test_evaluate_refuses_a_parameter_that_is_not_finite(photos, protocol):
    upscaler = _network("espcn")
    bias = np.array(upscaler.variables["params"]["conv2"]["bias"])
    bias[3] = np.nan
    upscaler.variables["params"]["conv2"]["bias"] = bias
    message = "params/conv2/bias: expected finite numbers, got 1 of"
    with pytest.raises(InputError, match=message):
        evaluate(upscaler, [f"folder:{photos}"], scale=2, protocol=protocol)
    with pytest.raises(InputError, match=message):
        Upscaler(upscaler.model, upscaler.variables)


@pytest.mark.parametrize("broken", ["sr", "hr"])
def test_score_folders_names_a_broken_file_once(tmp_path, broken):
    for folder in ("sr", "hr"):
        write_image(tmp_path / folder / "a.png", np.zeros((8, 8, 3), np.uint8))
    file = tmp_path / broken / "a.png"
    file.write_bytes(b"broken")
    with pytest.raises(InputError) as error:
        score_folders(tmp_path / "sr", tmp_path / "hr", scale=2)
    assert str(error.value).startswith(f"{file}: expected a whole image")
    assert str(error.value).count("a.png") == 1


def test_evaluate_from_a_folders_own_lr(tmp_path):
    """As training takes them: another degradation than bicubic is what it is about."""
    rng = np.random.default_rng(0)
    for name in ("a", "b"):
        hr = imresize(rng.integers(0, 256, (8, 9, 3)).astype(np.uint8), 4)
        write_image(tmp_path / "mine/HR" / f"{name}.png", hr)
        write_image(tmp_path / "mine/LR" / f"{name}.png", hr[::2, ::2])
        write_image(tmp_path / "alone" / f"{name}.png", hr)
    names = [f"folder:{tmp_path}/mine", f"folder:{tmp_path}/alone"]
    result = evaluate(_bicubic(2), names, scale=2)
    own, made = result["benchmarks"]["mine"], result["benchmarks"]["alone"]
    sr = imresize(read_image(tmp_path / "mine/LR/a.png"), 2)
    hr = read_image(tmp_path / "alone/a.png")
    assert own["images"]["a"] == get_protocol("rgb").score(sr, hr, 2)
    assert made["psnr"] > own["psnr"] + 1
    assert own["lr"] == f"{tmp_path}/mine/LR" and "lr" not in made
    below = f"\nLR images of mine: {tmp_path}/mine/LR."
    assert markdown_table(result).endswith(below)
    with pytest.raises(InputError, match="mine: expected protocol rgb"):
        evaluate(_bicubic(2), names[:1], scale=2, protocol="classic")
    # At another scale there are none, and a part of the folder has its own.
    assert "lr" not in evaluate(_bicubic(3), names[:1], scale=3)["benchmarks"]["mine"]
    (part,) = evaluate(_bicubic(2), [f"{names[0]}[:1]"], scale=2)["benchmarks"].values()
    assert part["psnr"] == own["images"]["a"]["psnr"]
    (photo,) = evaluate(_bicubic(2), [f"{names[1]}-photo"], scale=2)[
        "benchmarks"
    ].values()
    assert photo["lr"].startswith("blurred and compressed")
    # Several folders in one, and a source that was opened for no scale.
    write_image(tmp_path / "other/HR/c.png", hr)
    write_image(tmp_path / "other/LR/c.png", hr[::2, ::2])
    joined = evaluate(_bicubic(2), [f"{names[0]}+folder:{tmp_path}/other"], scale=2)
    both = joined["benchmarks"]["mine+other"]
    assert both["lr"] == f"{tmp_path}/mine/LR, {tmp_path}/other/LR"
    assert len(both["images"]) == 3 and both["psnr"] < made["psnr"] - 1
    assert set(both["images"]) == {"mine/a", "mine/b", "other/c"}
    with pytest.raises(InputError, match="mine.alone: .*in each part or in none, .*al"):
        evaluate(_bicubic(2), ["+".join(names)], scale=2)
    opened = evaluate(_bicubic(2), [open_benchmark(names[0])], scale=2)
    assert opened["benchmarks"]["mine"]["psnr"] == own["psnr"]


def test_evaluate_a_folder_that_is_called_as_a_known_set(tmp_path):
    hr = np.random.default_rng(0).integers(0, 256, (32, 36, 3)).astype(np.uint8)
    write_image(tmp_path / "Set5/HR/baby.png", hr)
    result = evaluate(_bicubic(2), [f"folder:{tmp_path}/Set5"], scale=2)
    folders = score_folders(tmp_path / "Set5/HR", tmp_path / "Set5/HR", scale=2)
    for each in (result, folders):
        last = markdown_table(each).splitlines()[-2:]
        assert last[0] == "Not the usual copy of Set5: baby."
        assert last[1] == "Set5 has 5 images, of which 1 were scored."


def test_score_folders_names_a_missing_folder(photos, tmp_path):
    with pytest.raises(InputError, match="nowhere: expected a folder of images"):
        score_folders(tmp_path / "nowhere", photos, scale=2)


def _pair(sr_names, hr_names, scale=2):
    pairs = pair_by_name(
        [Path("sr", name) for name in sr_names],
        [Path("hr", name) for name in hr_names],
        scale,
    )
    return [(image, sr.name, hr.name) for image, sr, hr in pairs]


@pytest.mark.parametrize(
    "sr_name",
    ["baby.png", "baby_x2.png", "babyx2.bmp", "baby_SR.png", "baby_RCAN_x2.png"]
    + ["baby-X2.png", "baby.x2.png", "babyx2_SR.png", "baby_x2_SR.png"],
)
@pytest.mark.parametrize("hr_name", ["baby.png", "baby_HR.png", "baby_GT.jpg"])
def test_pair_by_name_allows_suffixes(sr_name, hr_name):
    assert _pair([sr_name], [hr_name]) == [("baby", sr_name, hr_name)]


def test_pair_by_name_of_one_name_in_two_spellings():
    """One system writes an umlaut as one character, another as two."""
    sr, hr = Path("gru\u0308n_x2.png"), Path("gr\u00fcn.png")
    assert pair_by_name([sr], [hr], 2) == [("gr\u00fcn", sr, hr)]


def test_pair_by_name_prefers_the_longest_name():
    names = ["img.png", "img_1.png", "img_10.png"]
    sr = ["img_1_x2.png", "img_10_x2.png", "img_x2.png"]
    assert [pair[1] for pair in _pair(sr, names)] == [sr[2], sr[0], sr[1]]


def test_pair_by_name_of_selfexsr_files():
    hr = "img_001_SRF_2_HR.png"
    assert _pair(["img_001_SRF_2_RCAN.png"], [hr])[0][0] == "img_001_SRF_2"


def test_pair_by_name_takes_one_scale_of_several():
    sr = ["a_x2.png", "a_x3.png", "a_x4.png"]
    assert _pair(sr, ["a.png"], scale=3) == [("a", "a_x3.png", "a.png")]
    sr = ["a_RCANx2.png", "a_RCANx4.png", "a_4x.png", "a_12x3.png", "a_x3y.png"]
    assert _pair(sr[:2], ["a.png"]) == [("a", "a_RCANx2.png", "a.png")]
    for of_another in sr[1:4]:
        with pytest.raises(InputError, match="no x2 picture for 'a'"):
            _pair([of_another], ["a.png"])
    assert _pair(sr[4:], ["a.png"]) == [("a", "a_x3y.png", "a.png")]


@pytest.mark.parametrize(
    "sr, hr, message",
    [
        (["a_x2.png", "a_SR.png"], ["a.png"], "both a_x2.png and a_SR.png .* x2 .*'a'"),
        (["a.png"], ["a.png", "a.bmp"], "both a.png and a.bmp are the original"),
        (["a.png", "c.png"], ["a.png"], "sr/c.png: no picture of hr"),
        (["babyface.png"], ["baby.png"], "sr/babyface.png: no picture of hr"),
        (["a.png"], ["a.png", "b.png", "c.png"], "no x2 picture for 'b' and 1 more"),
        (["a_x3.png"], ["a.png"], "no x2 picture for 'a'"),
    ],
)
def test_pair_by_name_refuses(sr, hr, message):
    with pytest.raises(InputError, match=message):
        _pair(sr, hr)


def test_write_result_keeps_infinity_readable(photos, tmp_path):
    result = score_folders(photos, photos, scale=1)
    assert result["benchmarks"]["mine"]["psnr"] == float("inf")
    path = tmp_path / "new" / "result.json"
    write_result(path, result)

    def refuse(constant):
        raise AssertionError(f"{constant} is not JSON")

    text = json.loads(path.read_text(), parse_constant=refuse)
    assert text["benchmarks"]["mine"]["images"]["one"]["psnr"] == "Infinity"
    assert read_result(path) == result


def test_write_result_leaves_nothing_half_written(photos, tmp_path):
    result = score_folders(photos, photos, scale=1)
    target = tmp_path / "results"
    (target / "taken").mkdir(parents=True)
    with pytest.raises(OSError):
        write_result(target / "taken", result)
    assert [path.name for path in target.iterdir()] == ["taken"]


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"benchmarks": {"Set5": {}}}'])
def test_read_result_refuses_other_files(tmp_path, text):
    path = tmp_path / "other.json"
    path.write_text(text)
    with pytest.raises(InputError, match="other.json: not a result"):
        read_result(path)
    with pytest.raises(InputError, match="absent.json: no such file"):
        read_result(tmp_path / "absent.json")


def _result(model, protocol="rgb", self_ensemble=False, **psnrs):
    sets = {name: {"psnr": value, "ssim": 0.95} for name, value in psnrs.items()}
    return {
        "model": model,
        "scale": 2,
        "protocol": protocol,
        "self_ensemble": self_ensemble,
        "benchmarks": sets,
    }


def test_markdown_table_is_the_fields():
    table = markdown_table(
        [
            _result("bicubic", BSD100=29.5599, Set5=33.6734, mine=31.0),
            _result("rcbam", self_ensemble=True, Set5=float("inf"), Set14=30.0),
        ]
    )
    caption, _, *rows = table.splitlines()
    assert caption.startswith("PSNR (dB) / SSIM, protocol `rgb`: luma of uint8 RGB")
    assert rows == [
        "| Method | Scale | Set5 | Set14 | BSD100 | mine |",
        "| --- | --- | --- | --- | --- | --- |",
        "| bicubic | x2 | 33.67 / 0.9500 | - | 29.56 / 0.9500 | 31.00 / 0.9500 |",
        "| rcbam+ | x2 | inf / 0.9500 | 30.00 / 0.9500 | - | - |",
    ]


def test_another_copy_of_a_set_is_named(data_dir, tmp_path):
    shutil.copytree(data_dir / "benchmarks/Set5/HR", tmp_path / "Set5")
    usual = evaluate(_bicubic(2), ["Set5"], scale=2, data_dir=tmp_path)
    assert "unusual" not in usual["benchmarks"]["Set5"]
    assert "usual" not in markdown_table(usual)

    baby = read_image(tmp_path / "Set5/baby.png").copy()
    baby[0, 0, 0] += 1
    write_image(tmp_path / "Set5/baby.png", baby)
    result = evaluate(_bicubic(2), ["Set5"], scale=2, data_dir=tmp_path)
    folders = score_folders(tmp_path / "Set5", tmp_path / "Set5", scale=2)
    for each in (result, folders):
        assert each["benchmarks"]["Set5"]["unusual"] == ["baby"]
        last = markdown_table(each).splitlines()[-1]
        assert last == "Not the usual copy of Set5: baby."


def test_markdown_table_keeps_protocols_apart():
    table = markdown_table([_result("a", Set5=1.0), _result("b", "classic", Set5=2.0)])
    rgb, classic = table.split("PSNR (dB)")[1:]
    assert "`rgb`" in rgb and "| a |" in rgb and "| b |" not in rgb
    assert "`classic`" in classic and "| b |" in classic and "| a |" not in classic


def test_comparison_picture_shows_where_there_is_detail(tmp_path):
    folder = tmp_path / "spot"
    folder.mkdir()
    hr = np.full((120, 160, 3), 90, np.uint8)
    hr[80:100, 120:140] = np.random.default_rng(0).integers(0, 256, (20, 20, 3))
    write_image(folder / "photo.png", hr)
    picture = comparison_picture(_network(), f"folder:{folder}", crop=32, zoom=2)

    gap, side = 6, 64
    assert picture.shape[1] == 4 * (side + gap) + gap
    panels = [
        picture[gap : gap + side, left : left + side]
        for left in range(gap, picture.shape[1] - gap, side + gap)
    ]
    lr, bicubic, sr, shown = panels
    whole_spot = hr[80:100, 120:140].std()
    assert shown[::2, ::2].std() > 0.5 * whole_spot
    # Crops are aligned with the LR grid, so each LR pixel is a square of 4 x 4.
    np.testing.assert_array_equal(lr[::4, ::4].repeat(4, 0).repeat(4, 1), lr)
    assert not np.array_equal(bicubic, sr)


def test_comparison_picture_of_images_smaller_than_the_crop(photos):
    picture = comparison_picture(_bicubic(3), f"folder:{photos}", crop=96, zoom=1)
    assert picture.shape == (3 * (96 + 6 + 26), 4 * (96 + 6) + 6, 3)


def test_methods_picture_shows_hr_bicubic_and_each_method(photos):
    source = open_source(f"folder:{photos}")
    hr, image = source.hr(0), source.image_name(0)
    methods = {"ours": _network(), "ours again": _network()}
    picture = methods_picture(methods, source, image, crop=24, side=24)
    gap, cell, height, width = 6, 24 + 6, 2 * (24 + 6 + 24) - 24 - 6, hr.shape[1]
    left = round(width * height / hr.shape[0]) + 2 * gap
    top = gap + 24 + gap + 24
    shown, bicubic = (
        picture[gap : gap + 24, left + x : left + x + 24] for x in (0, 30)
    )
    ours, again = (picture[top : top + 24, left + x : left + x + 24] for x in (0, 30))
    assert picture.shape == (2 * (cell + 24) + gap, left + 2 * cell, 3)
    # HR's panel is a part of the picture, and both methods are one network.
    parts = np.lib.stride_tricks.sliding_window_view(hr, (24, 24), axis=(0, 1))
    assert (parts == shown.transpose(2, 0, 1)).all(axis=(2, 3, 4)).any()
    np.testing.assert_array_equal(ours, again)
    assert not np.array_equal(bicubic, ours)


def test_methods_picture_refuses(photos):
    folder = f"folder:{photos}"
    with pytest.raises(InputError, match="no picture absent, expected one of "):
        methods_picture({"a": _bicubic(2)}, folder, "absent")
    with pytest.raises(InputError, match="expected networks of one scale, got"):
        methods_picture({"a": _bicubic(2), "b": _bicubic(3)}, folder, "absent")
