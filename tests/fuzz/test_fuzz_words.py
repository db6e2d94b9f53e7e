"""Odd values of every key of a config, and odd command lines."""

import math
import os

import numpy as np
import pytest
from hypothesis import assume, given, reject
from hypothesis import strategies as st

from configs import espcn
from jaxsr.cli import main
from jaxsr.errors import InputError
from jaxsr.imaging import write_image
from jaxsr.training import train
from jaxsr.training.config import KEYS, check_config
from jaxsr.training.config_input import override
from tests.fuzz.fuzzing import COUNTS, bounded, fuzzed

_ODD = [
    *("", " ", "0", "-1", "1", "2", "3", "0.5", "1.5", "-0.0", "1e-9", "1e9", "1e309"),
    *("nan", "inf", "-inf", "None", "True", "false", "x", "\0", "\u7d75", "a b", "1_0"),
    *("()", "(1,)", "(1, 2, 3)", "[]", "{}", "{'a': 1}", "{'(': 1}", "{'a': -1}"),
    *("99999999999999999999", "2147483648", "0x10", "1j", "'text'", "b'bytes'", "+"),
    *("../../x", "a/b", ".", "..", "sample", "sample+", "sample[1:]", "sample[9:]"),
    *(
        "folder:",
        "folder:.",
        "folder:/nowhere",
        "t91[",
        "[:1]",
        "sample[1:1]",
        "div2k[",
    ),
    *(
        "l1",
        "mse",
        "adam",
        "sgd",
        "muon",
        "cosine",
        "wsd",
        "tfdata",
        "device",
        "bfloat16",
    ),
    *("os:system", "a:b", "math:sqrt", "espcn", "srcnn", "always", "blocks", "classic"),
    *("Set5,", ",", "sample-eval", "folder:x,folder:y", "(" * 300, "a" * 300),
]
_VALUES = st.one_of(
    st.sampled_from(_ODD),
    st.integers(-(2**70), 64).map(str),
    st.floats().map(str),
    st.text(max_size=20),
)
# Those that say how long a run is or how much it does: whatever is right is tried.
_WORK = {"data.batch_size": 64, "data.patch_size": 64, "model.scale": 8}


def _config(folder):
    config = espcn.get_config("x2")
    config.name = "run"
    config.data.update(train=f"folder:{folder}", pipeline="device")
    config.data.update(patch_size=8, batch_size=8)
    config.train.update(steps=2, max_minutes=1e-4, log_every=1, eval_every=0)
    config.eval.benchmarks = ""
    return config


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    folder = tmp_path_factory.mktemp("photos")
    random = np.random.default_rng(0)
    for k in range(2):
        photo = random.integers(0, 256, (32, 40, 3), np.uint8)
        write_image(folder / f"{k}.png", photo)
    return folder


@fuzzed(examples=2000, share=0.05)
@given(name=st.sampled_from(sorted(KEYS)), text=_VALUES)
def test_odd_value_of_a_key(photos, name, text):
    config = _config(photos)
    try:
        override(config, name, text)
        check_config(config)
    except InputError as error:
        COUNTS["config values: refused"] += 1
        # Two keys may not fit each other: either is named.
        assert name.rpartition(".")[2].partition("_")[0] in str(error)
        assert "\n" not in str(error)
    else:
        COUNTS["config values: taken"] += 1


@fuzzed(examples=6, share=0.1)
@given(name=st.sampled_from(sorted(KEYS)), text=_VALUES)
def test_odd_value_that_is_taken_can_be_trained_with(
    photos, tmp_path_factory, monkeypatch, capfd, name, text
):
    config = _config(photos)
    try:
        override(config, name, text)
        check_config(config)
    except InputError:
        reject()
    section, _, key = name.rpartition(".")
    value = (config[section] if section else config)[key]
    assume(name not in _WORK or value <= _WORK[name])
    # Seconds to start, and a network.
    assume(value not in ("div2k", "tfdata"))
    folder = tmp_path_factory.mktemp("run")
    monkeypatch.chdir(folder)
    config.train.max_minutes = 1e-4
    with bounded("config values, trained with", megabytes=2000):
        ended = train(config, folder / "run")
        leaves = [np.asarray(leaf) for leaf in _leaves(ended.variables)]
        assert all(np.isfinite(leaf).all() for leaf in leaves)
    assert "Traceback" not in capfd.readouterr().err


def _leaves(tree):
    import jax

    return jax.tree.leaves(tree)


_WORDS = st.sampled_from(
    [
        *("upscale", "score", "data", "check", "convert", "evaluate", "models", "sr"),
        *("hr", "hr/0.png", "hr/bad.png", "weights.safetensors", "bad.npz", "nowhere"),
        *(
            "--scale",
            "2",
            "3",
            "0",
            "-1",
            "nan",
            "2.5",
            "99999999999999999999",
            "--json",
        ),
        # No "\0": no program can be given it.
        *("-", "out", "out/a.png", "out.xyz", ".", "..", "", "a" * 300, "-o"),
        *("--model", "bicubic", "bicubic_x2", "bicubic_x0", "espcn", "rcbam_lite_x2"),
        *(
            "--overwrite",
            "--skip-existing",
            "--recursive",
            "--strip",
            "--format",
            "png",
        ),
        *(
            "--tile",
            "8",
            "--overlap",
            "--max-megapixels",
            "--protocol",
            "classic",
            "rgb",
        ),
        *(
            "--benchmarks",
            "folder:hr",
            "folder:nowhere",
            "Set5",
            "--data_dir",
            "--step",
        ),
        *("--workdir", "--config", "--weights", "--from", "edsr-pytorch", "--field"),
        *(
            "scale=3",
            "a",
            "=",
            "features=(",
            "--against",
            "--luma",
            "--help",
            "--version",
        ),
        *(
            "--self_ensemble",
            "--save_images",
            "\u7d75",
            "--self-ensemble",
            "--no-cache",
        ),
    ]
)
_COMMANDS = st.sampled_from(
    [
        [
            "upscale",
            "hr/0.png",
            "-o",
            "out/0.png",
            "--scale",
            "2",
            "--model",
            "bicubic",
        ],
        ["upscale", "hr", "-o", "out", "--scale", "2", "--model", "bicubic"],
        ["score", "sr", "hr", "--scale", "2"],
        ["evaluate", "--model", "bicubic_x2", "--benchmarks", "folder:hr"],
        ["data", "check", "folder:hr"],
        ["convert", "bad.npz", "-o", "x.safetensors"],
        ["models", "espcn"],
        [],
    ]
)


@fuzzed(examples=200, share=0.1)
@given(
    command=_COMMANDS,
    changes=st.lists(st.tuples(st.integers(0, 9), _WORDS), max_size=4),
)
def test_odd_command_line(
    tmp_path_factory, monkeypatch, capfd, photos, command, changes
):
    words = list(command)
    for place, word in changes:
        if place % 2 and words:
            words[place % len(words)] = word
        else:
            words.insert(place % (len(words) + 1), word)
    folder = tmp_path_factory.mktemp("here") / "in"  # "-o .." may write beside it
    for name in ("hr", "sr"):
        for k in range(2):
            write_image(
                folder / name / f"{k}.png", np.full((16, 18, 3), 9 * k, np.uint8)
            )
    (folder / "hr/bad.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    (folder / "bad.npz").write_bytes(b"PK\x03\x04")
    (folder / "weights.safetensors").write_bytes(b"\x10\0\0\0\0\0\0\0{")
    monkeypatch.chdir(folder)
    before = set(os.listdir("../.."))
    with bounded("command lines", megabytes=2000):
        try:
            code = main(words)
        except SystemExit as end:  # argparse's
            code = end.code or 0
    printed, said = capfd.readouterr()
    assert code in (0, 1, 2), (words, code)
    assert "Traceback" not in said + printed
    assert code == 0 or (said + printed).strip(), words
    errors = [line for line in said.splitlines() if line.startswith("error: ")]
    assert len(errors) <= 1
    assert not list(folder.rglob("*.tmp")) and set(os.listdir("../..")) == before
    COUNTS[f"command lines: exit {code}"] += 1
    assert math.isfinite(code)
