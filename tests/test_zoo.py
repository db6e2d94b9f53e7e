"""The zoo: what the manifest says is so, and what is not there is said."""

import json
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxsr
from jaxsr import scoring
from jaxsr.data.source import SliceSource
from jaxsr.errors import InputError
from jaxsr.models import create
from jaxsr.models.complexity import count_parameters
from jaxsr.models.variables import abstract_variables
from jaxsr.scoring.sets import open_sets
from jaxsr.training.initial_weights import load_initial_weights
from jaxsr.weights import Weights, read_weights, zoo
from jaxsr.weights.cards import card_name, list_entries, model_card
from tools.publish import MOST_PACKAGED_BYTES, ROOT

ENTRIES = zoo.read_manifest()
IDS = [f"{zoo.name_of(entry)}_x{entry['scale']}" for entry in ENTRIES]
CARDS = ROOT / "docs" / "models"

of_every_entry = pytest.mark.parametrize("entry", ENTRIES, ids=IDS)


@of_every_entry
def test_entry_describes_its_file(entry):
    path = zoo.weights_file(entry)  # which compares the SHA-256
    weights = read_weights(path)
    name, fields, variables = weights.network, weights.fields, weights.variables
    assert (name, json.loads(json.dumps(fields))) == (entry["network"], entry["fields"])
    assert weights.origin["training"] == entry["training"]
    assert path.stat().st_size == entry["bytes"]
    count = sum(leaf.size for leaf in jax.tree.leaves(variables["params"]))
    assert count == entry["parameters"] == count_parameters(create(name, **fields))
    assert {str(leaf.dtype) for leaf in jax.tree.leaves(variables)} == {"float32"}


@of_every_entry
def test_entry_gives_its_numbers_on_set5(entry, data_dir):
    """The first set's on its two smallest images, another's on all."""

    def measure(sets, dtype):
        return scoring.evaluate(
            jaxsr.load(zoo.name_of(entry), scale=entry["scale"], dtype=dtype),
            sets,
            scale=entry["scale"],
            protocol=entry["protocol"],
        )["benchmarks"]

    first, *others = [name for name in entry["benchmarks"] if name.startswith("Set5")]
    (whole,) = open_sets([first], scale=entry["scale"], data_dir=data_dir).values()
    names = [whole.image_name(i) for i in range(len(whole))]
    parts = {
        name: SliceSource(whole, names.index(name), names.index(name) + 1)
        for name in ("butterfly", "woman")
    }
    sets = measure([*parts.values(), *others], jnp.float32)
    for expected, found in (
        *((entry["images"][name], sets[part.name]) for name, part in parts.items()),
        *((entry["benchmarks"][name], sets[name]) for name in others),
    ):
        assert abs(found["psnr"] - expected["psnr"]) < 0.01
        assert abs(found["ssim"] - expected["ssim"]) < 0.0001
    # Each shape of picture is compiled, so one has to do for the other type.
    butterfly = parts["butterfly"]
    half = measure([butterfly], jnp.bfloat16)[butterfly.name]["psnr"]
    # FSRCNN is narrow; x2 loses 0.054 dB.
    most = 0.08 if (entry["network"], entry["scale"]) == ("fsrcnn", 2) else 0.05
    assert 0 < abs(half - sets[butterfly.name]["psnr"]) < most


@of_every_entry
def test_black_and_white_stay_so(entry):
    """In a gray picture: luma's 16 to 235 is all that luma networks have learned."""
    if entry["fields"]["channels"] == 3:
        pytest.skip("sees gray as it sees colours")
    upscale = jaxsr.load(zoo.name_of(entry), scale=entry["scale"])
    lr = np.zeros((32, 48, 1), np.uint8)
    lr[:, 24:] = 255
    sr, side = upscale(lr)[..., 0], 12 * entry["scale"]
    black, white = sr[:, :side], sr[:, -side:]
    assert black.mean() <= 3 and black.max() <= 20
    assert white.mean() >= 252 and white.min() >= 235


@of_every_entry
def test_means_are_those_of_the_images(entry):
    mean = next(iter(entry["benchmarks"].values()))
    for key, digits in (("psnr", 4), ("ssim", 6)):
        values = [scores[key] for scores in entry["images"].values()]
        assert len(values) == 5
        assert abs(np.mean(values) - mean[key]) < 10.0**-digits


@of_every_entry
def test_card_is_what_the_manifest_makes(entry):
    card = (CARDS / card_name(entry)).read_text(encoding="utf-8")
    assert card == model_card(entry)


def test_nothing_lies_beside_the_manifest():
    packaged = {entry["file"] for entry in ENTRIES if not entry["url"]}
    assert {path.name for path in zoo.FOLDER.glob("*.safetensors")} == packaged
    assert {path.name for path in CARDS.glob("*.md")} == set(map(card_name, ENTRIES))
    assert sum(e["bytes"] for e in ENTRIES if not e["url"]) < MOST_PACKAGED_BYTES


def test_wheel_holds_manifest_and_files(tmp_path):
    for name in ("pyproject.toml", "setup.cfg", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, tmp_path)
    shutil.copytree(ROOT / "jaxsr", tmp_path / "jaxsr")
    script = "from setuptools.build_meta import build_wheel; build_wheel('.')"
    subprocess.run([sys.executable, "-c", script], cwd=tmp_path, check=True)
    (wheel,) = tmp_path.glob("*.whl")
    held = set(zipfile.ZipFile(wheel).namelist())
    files = {entry["file"] for entry in ENTRIES if not entry["url"]}
    assert {f"jaxsr/weights/{name}" for name in files | {"manifest.json"}} <= held


def test_load_gives_a_network_for_photos():
    photo = np.random.default_rng(0).integers(0, 256, (9, 8, 3)).astype(np.uint8)
    for entry in ENTRIES[:1]:
        scale = entry["scale"]
        sr = jaxsr.load(zoo.name_of(entry), scale=scale)(photo)
        assert (sr.shape, sr.dtype) == ((9 * scale, 8 * scale, 3), np.uint8)
    assert jaxsr.load("bicubic", scale=5, tile=0)(photo).shape == (45, 40, 3)


@of_every_entry
def test_entry_can_start_a_run_at_another_scale(entry):
    # Not every network has x5.
    model = create(entry["network"], scale={2: 3, 3: 4, 4: 2}[entry["scale"]])
    source = f"{zoo.name_of(entry)}_x{entry['scale']}"
    shapes = jax.tree.map(np.shape, load_initial_weights(source, model))
    expected = jax.tree.map(
        np.shape, abstract_variables(create(entry["network"], **entry["fields"]))
    )
    assert shapes == expected


def test_load_of_what_is_not_there():
    with pytest.raises(InputError, match="unknown model 'rcbm': expected .*rcbam_lite"):
        jaxsr.load("rcbm", scale=2)
    there = ", ".join(f"{zoo.name_of(e)} x{e['scale']}" for e in ENTRIES)
    for name, scale in (("edsr", 2), ("rcbam_lite", 7)):
        with pytest.raises(InputError) as error:
            jaxsr.load(name, scale=scale)
        assert f"no weights of {name} x{scale} are published" in str(error.value)
        assert f"published are: {there}. Train it and give" in str(error.value)


@pytest.fixture
def folder(tmp_path) -> tuple[Path, zoo.Entry]:
    """A zoo of one tiny file, and its entry as far as loading needs one."""
    fields = {"scale": 2, "features": 4, "depth": 1}
    shapes = abstract_variables(create("rcbam", **fields))
    variables = jax.tree.map(lambda x: np.ones(x.shape, np.float32), shapes)
    path = tmp_path / "rcbam_x2.safetensors"
    Weights("rcbam", fields, variables).save(path)
    return tmp_path, {"file": path.name, "sha256": zoo.sha256(path), "url": None}


def test_weights_file_damaged_or_missing(folder):
    where, entry = folder
    path = zoo.weights_file(entry, where)
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    with pytest.raises(InputError, match=r"x2\.safetensors: damaged: expected SHA-256"):
        zoo.weights_file(entry, where)
    path.unlink()
    with pytest.raises(InputError, match=r"x2\.safetensors: missing"):
        zoo.weights_file(entry, where)


def _entry(name, scale, psnr, degradation=None):
    training = {"degradation": degradation} if degradation else {}
    set_name = "Set5-photo" if degradation == "photo" else "Set5"
    scores = {set_name: {"psnr": psnr, "ssim": 0.9}}
    sizes = {"parameters": 1234, "bytes": 56789}
    return {
        **{"network": name, "scale": scale, "training": training},
        **{"benchmarks": scores, **sizes},
    }


def test_best_entry_is_the_one_with_the_highest_psnr():
    entries = [
        _entry("a", 2, 37.0),
        _entry("b", 2, 38.0, "bicubic"),
        _entry("c", 3, 39.0),
        _entry("d", 2, 40.0, "photo"),
    ]
    assert zoo.best_entry(2, entries) == entries[1]
    assert zoo.best_entry(4, entries) is None
    assert zoo.best_entry(2, entries, "photo") == entries[3]
    assert zoo.best_entry(3, entries, "photo") is None


def test_weights_for_photos_have_a_name_of_their_own():
    entries = [_entry("net", 2, 37.0), _entry("net", 2, 31.0, "photo")]
    assert [zoo.name_of(entry) for entry in entries] == ["net", "net_photo"]
    assert zoo.find_entry("net", 2, entries) == entries[0]
    assert zoo.find_entry("net_photo", 2, entries) == entries[1]


def test_list_entries_shows_psnr():
    entries = [_entry("net", 3, 37.123), _entry("net", 3, 31.0, "photo")]
    head, clean, photo = list_entries(entries).splitlines()
    assert head.split() == [
        "weights",
        "scale",
        "parameters",
        "kB",
        "Set5",
        "Set5-photo",
    ]
    assert clean.split() == ["net", "x3", "1,234", "57", "37.12", "-"]
    assert photo.split() == ["net_photo", "x3", "1,234", "57", "-", "31.00"]
