"""The program evaluate.py: which network, which sets, what it writes, how it fails."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import evaluate
import jaxsr
from configs import rcbam
from jaxsr import cli, models
from jaxsr.imaging import imresize, read_image, write_image
from jaxsr.scoring import read_result, weights_hash
from jaxsr.training.checkpoints import Checkpoints
from jaxsr.training.network import create_model
from jaxsr.training.state import create_state
from jaxsr.training.workdir import claim_workdir
from jaxsr.weights import Weights

_REPOSITORY = Path(evaluate.__file__).parent


@pytest.fixture(scope="module")
def photos(tmp_path_factory) -> Path:
    """A folder `mine` of two small textured pictures of one size."""
    folder = tmp_path_factory.mktemp("photos") / "mine"
    folder.mkdir()
    rng = np.random.default_rng(0)
    for name in ("one", "two"):
        coarse = rng.integers(0, 256, (10, 12, 3)).astype(np.uint8)
        write_image(folder / f"{name}.png", imresize(coarse, 4))
    return folder


@pytest.fixture(scope="module")
def run(tmp_path_factory, photos) -> tuple[Path, dict]:
    """A run's folder, with checkpoints of steps 1 and 2, and its last variables."""
    workdir = tmp_path_factory.mktemp("runs") / "rcbam_x2_sample"
    config = rcbam.get_config("x2,sample")
    config.model.features, config.model.depth = 4, 1
    config.train.ema_decay = 0.0
    config.eval.benchmarks = f"folder:{photos}"
    config.eval.protocol = "classic"
    claim_workdir(workdir, config)
    state = create_state(
        create_model(config), optax.sgd(0.1), seed=0, channels=3, use_ema=False
    )
    with Checkpoints(workdir) as checkpoints:
        for step in (1, 2):
            params = jax.tree.map(lambda p, step=step: p + 0.01 * step, state.params)
            saved = state.replace(step=jnp.asarray(step), params=params)
            checkpoints.save(saved, psnr=40.0 - step)
    return workdir, saved.variables()


def test_main_prints_the_table_and_writes_everything(photos, tmp_path, capsys):
    out = tmp_path / "out.json"
    flags = ["--model=bicubic", "--scale=3", f"--benchmarks=folder:{photos}"]
    assert evaluate.main([*flags, f"--json={out}", f"--save_images={tmp_path}/sr"]) == 0
    result = read_result(out)
    psnr = result["benchmarks"]["mine"]["psnr"]
    printed = capsys.readouterr().out
    assert "protocol `rgb`" in printed
    assert f"| bicubic | x3 | {psnr:.2f} / " in printed
    assert result["parameters"] == 0 and result["weights_sha256"] is None
    assert result["command"].startswith("python evaluate.py --model=bicubic --scale=3 ")
    # 40 is cropped to 39 on the way.
    assert read_image(tmp_path / "sr/mine/X3/one.png").shape == (39, 48, 3)


def test_main_of_published_weights(photos, tmp_path):
    flags = ["--model=rcbam_lite", "--scale=2", f"--benchmarks=folder:{photos}"]
    assert evaluate.main([*flags, f"--json={tmp_path}/a.json"]) == 0
    result = read_result(tmp_path / "a.json")
    published = jaxsr.load("rcbam_lite", scale=2)
    assert result["model"] == "rcbam_lite"
    assert result["weights_sha256"] == weights_hash(published.variables)


def test_main_calls_weights_for_photos_by_their_own_name(photos, tmp_path, capsys):
    flags = ["--scale=2", f"--benchmarks=folder:{photos}", f"--json={tmp_path}/a.json"]
    assert evaluate.main(["--model=rcbam_lite_photo", *flags]) == 0
    assert "| rcbam_lite_photo | x2 |" in capsys.readouterr().out
    assert read_result(tmp_path / "a.json")["model"] == "rcbam_lite_photo"


def test_main_finds_sets_in_data_dir(data_dir, capsys, monkeypatch):
    monkeypatch.delenv("JAXSR_DATA_DIR")
    flags = ["--model=bicubic", "--scale=4", "--protocol=classic"]
    flags += ["--benchmarks=set5", f"--data_dir={data_dir}"]
    assert evaluate.main(flags) == 0
    # The cell of every paper's table.
    assert "| bicubic | x4 | 28.42 / 0.8104 |" in capsys.readouterr().out


def test_a_damaged_picture_of_a_set_is_named(data_dir, tmp_path, capsys):
    shutil.copytree(data_dir / "benchmarks/Set5/HR", tmp_path / "Set5")
    woman = tmp_path / "Set5/woman.png"
    woman.write_bytes(woman.read_bytes()[:20_000])
    flags = ["--model=bicubic", "--scale=2", "--benchmarks=Set5"]
    place, out = f"--data_dir={tmp_path}", tmp_path / "a.json"
    assert evaluate.main([*flags, place, f"--json={out}"]) == 2
    assert f"error: {woman}: " in capsys.readouterr().err
    assert not out.exists()
    assert cli.main(["data", "check", "Set5", place]) == 1
    assert f"problem: {woman}: " in capsys.readouterr().out


def test_main_of_a_run_evaluates_as_its_config_says(run, tmp_path):
    workdir, variables = run
    assert evaluate.main([f"--workdir={workdir}", f"--json={tmp_path}/a.json"]) == 0
    result = read_result(tmp_path / "a.json")
    assert (result["model"], result["scale"], result["step"]) == ("rcbam", 2, 2)
    assert result["config"] == "rcbam_x2_sample"
    assert result["protocol"] == "classic"
    assert result["weights_sha256"] == weights_hash(variables)
    assert list(result["benchmarks"]) == ["mine"]


def test_main_of_a_run_prefers_the_command_line(run, tmp_path):
    workdir, variables = run
    flags = [f"--workdir={workdir}", "--protocol=rgb", "--step=best", "--self_ensemble"]
    assert evaluate.main([*flags, f"--json={tmp_path}/a.json"]) == 0
    result = read_result(tmp_path / "a.json")
    assert (result["protocol"], result["self_ensemble"]) == ("rgb", True)
    assert result["step"] == 1
    assert result["weights_sha256"] != weights_hash(variables)


def test_main_finds_the_run_of_a_config(run, tmp_path, monkeypatch, capsys):
    workdir, _ = run
    shutil.copytree(workdir, tmp_path / "runs/rcbam_x2_sample")
    monkeypatch.chdir(tmp_path)
    config = _REPOSITORY / "configs/rcbam_x2.py"
    assert evaluate.main([f"--config={config}:sample"]) == 0
    assert "| rcbam | x2 |" in capsys.readouterr().out
    assert evaluate.main([f"--config={config}"]) == 2
    assert "runs/rcbam_x2: no run" in capsys.readouterr().err


def test_main_of_a_weights_file(photos, tmp_path):
    fields = {"scale": 2, "features": 4, "depth": 1}
    model = models.create("rcbam", **fields)
    variables = model.init(jax.random.key(0), jnp.zeros((1, 16, 16, 3)))
    path = tmp_path / "tiny.safetensors"
    Weights("rcbam", fields, variables).save(path)
    flags = [f"--weights={path}", f"--benchmarks=folder:{photos}"]
    assert evaluate.main([*flags, f"--json={tmp_path}/a.json"]) == 0
    result = read_result(tmp_path / "a.json")
    assert (result["model"], result["scale"]) == ("rcbam", 2)
    assert result["weights_sha256"] == weights_hash(variables)


def test_bicubic_has_neither_tiles_nor_an_ensemble(photos, tmp_path, capsys):
    path = tmp_path / "result.json"
    flags = ["--model=bicubic_x2", f"--benchmarks=folder:{photos}", f"--json={path}"]
    assert evaluate.main([*flags, "--self_ensemble", "--tile=64"]) == 0
    result = read_result(path)
    assert result["self_ensemble"] is False and result["tile"] is None
    assert "bicubic+" not in capsys.readouterr().out


def test_numbers_replace_nothing_that_they_are_made_from(photos, tmp_path, capsys):
    photo = next(photos.iterdir())
    model = models.create("bicubic", scale=2)
    Weights.of(model, {}).save(tmp_path / "w.safetensors")
    kept = {path: path.read_bytes() for path in (photo, tmp_path / "w.safetensors")}
    flags = [f"--weights={tmp_path}/w.safetensors", f"--benchmarks=folder:{photos}"]
    for path in kept:
        assert evaluate.main([*flags, f"--json={path}"]) == 2
        assert "would overwrite what it is made from" in capsys.readouterr().err
    assert {path: path.read_bytes() for path in kept} == kept


_BICUBIC = ["--model=bicubic", "--scale=2"]


@pytest.mark.parametrize(
    "flags, message",
    [
        ([], r"which network\?"),
        (["--model=bicubic"], r"bicubic: which scale\? e\.g\. bicubic_x2"),
        (
            ["--model=bycubic", "--scale=2"],
            "unknown model 'bycubic': .* bicubic, .*rcbam",
        ),
        (["--model=edsr", "--scale=2"], "no weights of edsr x2 are published"),
        ([*_BICUBIC, "--benchmarks=Set6"], "unknown benchmark 'Set6': .* Set5, Set14"),
        ([*_BICUBIC, "--benchmarks=,"], "no benchmark"),
        ([*_BICUBIC, "--protocol=y"], "unknown protocol 'y': .* rgb, classic"),
        ([*_BICUBIC, "--benchmarks=folder:/no/where"], "/no/where"),
        (["--weights=absent.safetensors"], "absent.safetensors: no such weights file"),
        (["--workdir=absent"], "absent: no run"),
        (["--config=absent.py"], "absent.py: no such config file"),
        (["--config=evaluate.py"], "evaluate.py: expected a function get_config"),
        (["--config=configs/rcbam_x2.py:huge"], "unknown recipe 'huge'.* paper"),
        (["--workdir=a", "--weights=b"], "either weights or a run"),
    ],
)
def test_main_refuses_in_one_line(flags, message, capsys, monkeypatch):
    monkeypatch.chdir(_REPOSITORY)
    assert evaluate.main(flags) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    (line,) = captured.err.splitlines()
    assert line.startswith("error: ")
    assert re.search(message, line)


def test_main_refuses_a_run_of_another_network_or_scale(run, capsys):
    workdir, _ = run
    for flag, message in (
        ("--model=edsr", "expected weights of edsr x2, got rcbam x2"),
        ("--scale=3", "expected weights of rcbam x3, got rcbam x2"),
        (
            f"--config={_REPOSITORY}/configs/rcbam_x4.py",
            "expected weights of rcbam x4, got rcbam x2",
        ),
        ("--step=7", "no checkpoint of step 7"),
    ):
        assert evaluate.main([f"--workdir={workdir}", flag]) == 2
        assert message in capsys.readouterr().err


@pytest.mark.parametrize("flag", ["--json", "--save_images"])
def test_main_refuses_where_nothing_can_be_written_before_it_measures(
    flag, photos, tmp_path, capsys
):
    (tmp_path / "file").write_bytes(b"")
    flags = ["--model=bicubic_x2", f"--benchmarks=folder:{photos}"]
    assert evaluate.main([*flags, f"{flag}={tmp_path}/file/a.json"]) == 1
    printed = capsys.readouterr()
    assert printed.out == "" and "Not a directory" in printed.err


def test_program_ends_with_code_2_and_one_line():
    done = subprocess.run(
        [sys.executable, "evaluate.py", "--model=nonesuch", "--scale=2"],
        cwd=_REPOSITORY,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 2
    assert done.stdout == ""
    assert done.stderr.startswith("error: unknown model 'nonesuch'")
    assert done.stderr.count("\n") == 1


def test_main_save_images_over_the_originals_is_refused(photos, tmp_path, capsys):
    folder = tmp_path / "own" / "X2"
    folder.mkdir(parents=True)
    image = read_image(photos / "one.png")
    write_image(folder / "one.png", image)
    flags = ["--model=bicubic_x2", f"--benchmarks=folder:{folder}"]
    assert evaluate.main([*flags, f"--save_images={tmp_path}"]) == 2
    assert (
        "one.png: the SR image would overwrite the original" in capsys.readouterr().err
    )
    np.testing.assert_array_equal(read_image(folder / "one.png"), image)
