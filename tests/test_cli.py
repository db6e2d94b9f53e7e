"""The command line, run in this process: exit codes, messages, files."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import jaxsr
from configs import base
from jaxsr.cli import main
from jaxsr.imaging import imresize, read_image, write_image
from jaxsr.inference import Upscaler
from jaxsr.models import create, list_models
from jaxsr.training.checkpoints import Checkpoints
from jaxsr.training.network import create_model
from jaxsr.training.state import create_state
from jaxsr.training.workdir import claim_workdir
from jaxsr.weights import Weights, zoo


def picture(*shape: int) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, shape).astype(np.uint8)


_BICUBIC = ["--model", "bicubic"]


@pytest.fixture
def photos(tmp_path):
    folder = tmp_path / "photos"
    folder.mkdir()
    for name in ("a.png", "b.png"):
        write_image(folder / name, picture(6, 7, 3))
    return folder


@pytest.fixture
def error_line(capsys):
    """Returns the one line on stderr, but for what names the network, and results."""

    def read() -> str:
        lines = capsys.readouterr().err.splitlines()
        (line,) = [e for e in lines if re.match("(error|skipped|.* skipped): ", e)]
        return line

    return read


def test_upscale_folder_bicubic(photos, tmp_path):
    out = tmp_path / "deep" / "out"
    assert (
        main(["upscale", str(photos), "-o", str(out), *_BICUBIC, "--scale", "3"]) == 0
    )
    assert sorted(path.name for path in out.iterdir()) == ["a.png", "b.png"]
    upscaler = Upscaler(create("bicubic", scale=3, channels=3), {})
    expected = upscaler(read_image(photos / "a.png"))
    np.testing.assert_array_equal(read_image(out / "a.png"), expected)


def test_upscale_takes_the_best_published_network(photos, tmp_path):
    command = ["upscale", str(photos / "a.png"), "--scale", "2", "-o"]
    best = zoo.best_entry(2, zoo.read_manifest())
    assert best is not None
    expected = jaxsr.load(best["network"], scale=2)(read_image(photos / "a.png"))
    for out, model in (("a", []), ("b", ["--model", best["network"]])):
        assert main([*command, str(tmp_path / out), *model]) == 0
        np.testing.assert_array_equal(read_image(tmp_path / out / "a.png"), expected)


def test_upscale_for_photos(photos, tmp_path, error_line):
    command = ["upscale", str(photos / "a.png"), "-o", str(tmp_path / "out"), "-s", "2"]
    assert main([*command, "--for", "photo"]) == 0
    expected = jaxsr.load("rcbam_lite_photo_x2")(read_image(photos / "a.png"))
    np.testing.assert_array_equal(read_image(tmp_path / "out" / "a.png"), expected)
    command.append("--overwrite")
    assert main([*command, "--for", "photo", "--model", "bicubic"]) == 2
    assert "--for photo: expected no network beside it, got bicubic" in error_line()


def test_upscale_file_to_file(photos, tmp_path):
    target = tmp_path / "big.bmp"
    command = ["upscale", str(photos / "a.png"), "-o", str(target), "--scale", "2"]
    assert main([*command, *_BICUBIC]) == 0
    assert read_image(target).shape == (12, 14, 3)


def test_upscale_existing_result(photos, tmp_path, error_line):
    target = tmp_path / "a.png"
    target.write_bytes(b"precious")
    command = ["upscale", str(photos / "a.png"), "-o", str(tmp_path), "--scale", "2"]
    assert main(command) == 2
    assert error_line() == f"error: {target} exists already: pass --overwrite to " + (
        "replace it or --skip-existing to leave it"
    )
    assert target.read_bytes() == b"precious"
    assert main([*command, *_BICUBIC, "--overwrite"]) == 0
    assert read_image(target).shape == (12, 14, 3)


def test_upscale_onto_itself(photos, error_line):
    before = (photos / "a.png").read_bytes()
    command = ["upscale", str(photos), "-o", str(photos), "--scale", "2", "--overwrite"]
    assert main(command) == 2
    assert "would overwrite an input picture" in error_line()
    assert (photos / "a.png").read_bytes() == before


def test_upscale_unreadable_in_folder(photos, tmp_path, error_line):
    broken = photos / "a.png"
    broken.write_bytes(broken.read_bytes()[:60])
    out = tmp_path / "out"
    command = ["upscale", str(photos), "-o", str(out), "--scale", "2", *_BICUBIC]
    assert main(command) == 1
    assert error_line().startswith(f"skipped: {broken}: ")
    assert [path.name for path in out.iterdir()] == ["b.png"]


def test_messages_do_nothing_to_a_terminal(photos, tmp_path, capsys):
    name = "line\nbreak \x1b[31mred"
    (photos / f"{name}.png").write_bytes(b"no picture")
    command = ["upscale", str(photos), "-o", str(tmp_path), "--scale", "2", *_BICUBIC]
    assert main(command) == 1
    assert main([*command[:1], str(photos / f"{name}.png"), *command[2:]]) == 2
    said = capsys.readouterr().err
    assert "\x1b" not in said
    assert said.count(r"/line\nbreak \x1b[31mred.png: ") == 2


def test_upscale_goes_on_and_says_what_it_left(photos, tmp_path, capsys):
    write_image(photos / "deep" / "c.png", picture(6, 7, 4))
    (photos / "deep" / "notes.txt").write_text("no picture")
    (photos / "b.png").write_bytes(b"")
    out = tmp_path / "v1.5"
    command = ["upscale", str(photos), "-o", f"{out}/", "--scale", "2", *_BICUBIC]
    assert main([*command, "--recursive", "--format", "jpg"]) == 1
    lines = capsys.readouterr().err.splitlines()
    assert lines == [
        "bicubic x2, weights none, 0 parameters, on 8 cpu devices",
        f"passed over: {photos / 'deep'}: 1 file is no image",
        f"1 of 3: {out / 'a.jpg'}",
        f"skipped: {photos / 'b.png'}: expected a whole image file: empty",
        f"skipped: {out / 'deep' / 'c.jpg'}: JPEG cannot hold transparency: write .png",
    ]
    assert [path.name for path in out.rglob("*")] == ["a.jpg"]

    assert main([*command, "--skip-existing", "--format", "JPG"]) == 1
    passed, skipped = capsys.readouterr().err.splitlines()[2:]
    assert passed == "passed over: 1 picture with a result already"
    assert skipped.startswith(f"skipped: {photos / 'b.png'}: ")
    assert main([*command, "--format", "gif"]) == 2
    assert "--format: expected one of" in capsys.readouterr().err


def test_upscale_megapixels(photos, tmp_path, error_line):
    command = ["upscale", str(photos / "a.png"), "-o", str(tmp_path / "out")]
    options = ["--scale", "2", *_BICUBIC, "--max-megapixels", "0.00001"]
    assert main([*command, *options]) == 2
    assert "raise --max-megapixels" in error_line()


def test_upscale_unreadable_file(tmp_path, error_line):
    fake = tmp_path / "fake.png"
    fake.write_text("no picture")
    out = tmp_path / "out"
    command = ["upscale", str(fake), "-o", str(out), "--scale", "2", *_BICUBIC]
    assert main(command) == 2
    assert error_line().startswith(f"error: {fake}: ")
    assert not out.exists()


@pytest.mark.parametrize(
    "options, message",
    [
        ([], "pass --scale"),
        (["--scale", "0"], "scale: expected a number of at least 1, at most 64, got 0"),
        (["--scale", "x2"], "at most 64, got x2"),
        (["--scale", "2", "--quality", "0"], "--quality: expected 1 to 100, got 0"),
        (["--scale", "2.5", "-n", "rcbam_lite_x2"], "expected at most x2, that of the"),
        (["--scale", "2", "--require-accelerator"], "JAX finds none here"),
        (["--scale", "2", "--model", "edsr"], "no weights of edsr x2 are published"),
        (["--scale", "2", "--model", "nonet"], "unknown model 'nonet': expected one"),
        (
            ["--scale", "2", *_BICUBIC, "--tile", "5"],
            "tile must be 0 (never) or at least 64",
        ),
        (["--weights", "absent.st"], "absent.st: no such weights file"),
        (["--workdir", "absent"], "absent: no run of jaxsr here"),
    ],
)
def test_upscale_wrong_options(photos, tmp_path, error_line, options, message):
    out = tmp_path / "out"
    assert main(["upscale", str(photos), "-o", str(out), *options]) == 2
    line = error_line()
    assert line.startswith("error: ") and message in line
    assert not out.exists()


def test_upscale_missing_and_empty_inputs(tmp_path, error_line):
    (tmp_path / "empty").mkdir()
    for name in ("absent", "empty"):
        path = str(tmp_path / name)
        assert main(["upscale", path, "-o", str(tmp_path), "--scale", "2"]) == 2
        assert path in error_line()


@pytest.fixture(scope="module")
def network():
    """A small network with parameters, in the layout of `model.init`."""
    model = create("espcn", scale=2)
    return model, jax.jit(model.init)(jax.random.key(0), jnp.zeros((1, 8, 8, 1)))


@pytest.fixture
def weights(network, tmp_path):
    path = tmp_path / "w.safetensors"
    Weights("espcn", {"scale": 2}, network[1]).save(path)
    return path


def test_upscale_weights(network, weights, photos, tmp_path, error_line):
    command = ["upscale", str(photos), "--weights", str(weights), "-o"]
    assert main([*command, str(tmp_path / "out"), "--model", "espcn"]) == 0
    expected = Upscaler(*network)(read_image(photos / "b.png"))
    np.testing.assert_array_equal(read_image(tmp_path / "out" / "b.png"), expected)

    assert main([*command, str(tmp_path / "more"), "--scale", "4"]) == 2
    assert "expected weights of espcn x4, got espcn x2" in error_line()


def test_convert_and_export_keep_what_they_read(weights, tmp_path, error_line):
    foreign, link = tmp_path / "torch.safetensors", tmp_path / "link.safetensors"
    export = ["export", str(weights), "--format", "safetensors-torch", "-o"]
    assert main([*export, str(foreign)]) == 0
    link.symlink_to(foreign)
    before = {path: path.read_bytes() for path in (weights, foreign)}
    for out in (foreign, link):
        assert main(["convert", str(foreign), "-o", str(out)]) == 2
        assert "the result would overwrite what it is made from" in error_line()
    assert main([*export, str(weights)]) == 2
    assert "the result would overwrite what it is made from" in error_line()
    assert {path: path.read_bytes() for path in before} == before


def test_upscale_tile_and_self_ensemble(network, weights, tmp_path):
    source, target = tmp_path / "in.png", tmp_path / "out.png"
    write_image(source, picture(30, 20, 3))
    options = ["--tile", "16", "--overlap", "4", "--self-ensemble"]
    command = ["upscale", str(source), "-o", str(target), *options]
    assert main([*command, "--weights", str(weights)]) == 0
    upscaler = Upscaler(*network, tile=16, overlap=4, self_ensemble=True)
    np.testing.assert_array_equal(read_image(target), upscaler(read_image(source)))


def test_upscale_short_options(photos, tmp_path, capsys):
    out = tmp_path / "out"
    command = ["upscale", "-i", str(photos), "-o", str(out), "-s", "2", "-n", "bicubic"]
    assert main([*command, "-t", "64", "-f", "webp", "--quality", "50"]) == 0
    assert sorted(path.name for path in out.iterdir()) == ["a.webp", "b.webp"]
    whole = read_image(photos / "a.png").repeat(2, axis=0).repeat(2, axis=1)
    assert not np.array_equal(read_image(out / "a.webp"), whole)
    capsys.readouterr()
    assert main(["upscale", "-o", str(out), "-s", "2"]) == 2
    assert "expected a picture, a folder or -" in capsys.readouterr().err


def test_upscale_inputs_anywhere(photos, tmp_path, capsys):
    a, b = str(photos / "a.png"), str(photos / "b.png")
    options = ["-o", str(tmp_path / "out"), "-s", "2", *_BICUBIC]
    for words in ([*options, a, b], [a, *options, b], ["-i", a, *options, b]):
        assert main(["upscale", "--dry-run", *words]) == 0
        lines = capsys.readouterr().out.splitlines()
        assert sorted(line.split()[0] for line in lines) == [a, b]
    with pytest.raises(SystemExit):
        main(["upscale", *options, a, "--tle", "3"])
    assert "unrecognized arguments: --tle 3" in capsys.readouterr().err


def test_upscale_dry_run(photos, tmp_path, capsys):
    (photos / "b.png").write_bytes(b"no picture")
    out = tmp_path / "out"
    command = ["upscale", str(photos), "-o", str(out), "-s", "2.5", *_BICUBIC]
    assert main([*command, "--dry-run"]) == 1
    printed = capsys.readouterr()
    assert printed.out == f"{photos}/a.png (7x6) -> {out}/a.png (18x15)\n"
    first, second = printed.err.splitlines()
    assert first.startswith("x2.5: bicubic x3, weights none, ")
    assert first.endswith(", then bicubic down")
    assert second.startswith(f"would be skipped: {photos}/b.png: ")
    assert not out.exists()


def test_upscale_standard_input_and_output(photos, tmp_path):
    command = [sys.executable, "-m", "jaxsr.cli", "upscale", "-", "-s", "2", *_BICUBIC]

    def run(*options, content, cwd=None):
        return subprocess.run(
            [*command, *options],
            input=content,
            capture_output=True,
            cwd=cwd,
            env=os.environ | {"PYTHONPATH": str(Path(jaxsr.__file__).parents[1])},
        )

    picture = (photos / "a.png").read_bytes()
    result = run("-o", "-", "--format", "bmp", content=picture)
    assert result.returncode == 0
    assert result.stderr.count(b"\n") == 1 and result.stderr.startswith(b"bicubic x2, ")
    (tmp_path / "piped.bmp").write_bytes(result.stdout)
    expected = Upscaler(create("bicubic", scale=2, channels=3), {})
    sr = expected(read_image(photos / "a.png"))
    np.testing.assert_array_equal(read_image(tmp_path / "piped.bmp"), sr)

    (tmp_path / "-").write_bytes(b"a file of that name")
    file = tmp_path / "new.png"
    result = run("-o", str(file), content=picture, cwd=tmp_path)
    assert result.returncode == 0, result.stderr
    np.testing.assert_array_equal(read_image(file), sr)
    result = run("-o", "-", content=picture, cwd=tmp_path)
    assert result.stdout == file.read_bytes()

    result = run("-o", "-", content=b"no picture")
    assert (result.returncode, result.stdout) == (2, b"")
    assert b"error: standard input: expected a whole image file" in result.stderr


def test_upscale_standard_input_beside_files(photos, tmp_path, error_line):
    command = ["upscale", "-", "-s", "2", *_BICUBIC, "-o"]
    for arguments, message in (
        (["-", str(photos)], "-: expected one picture"),
        (["-", "--dry-run"], "-: expected files"),
        ([str(tmp_path)], "expected a file name"),
        ([str(photos / "a.png")], "a.png exists already: pass --overwrite"),
        (["new.png", "--format", "webp"], "new.png: expected a name in .webp"),
        (["new.doc"], "new.doc: expected a suffix among"),
    ):
        assert main([*command, *arguments]) == 2
        assert message in error_line()
    before = (photos / "a.png").read_bytes()
    assert main([*command, str(photos / "a.png"), "--skip-existing"]) == 0
    assert (photos / "a.png").read_bytes() == before


def test_upscale_workdir(photos, tmp_path, error_line):
    config = base.get_config()
    config.update({"name": "run", "model": {"name": "espcn", "scale": 2}})
    model = create_model(config)
    state = create_state(model, optax.sgd(0.1), seed=0, channels=1, use_ema=False)
    workdir = tmp_path / "run"
    claim_workdir(workdir, config)
    with Checkpoints(workdir) as checkpoints:
        checkpoints.save(state)

    command = ["upscale", str(photos), "--workdir", str(workdir), "-o"]
    assert main([*command, str(tmp_path / "out")]) == 0
    expected = Upscaler(model, state.variables())(read_image(photos / "a.png"))
    np.testing.assert_array_equal(read_image(tmp_path / "out" / "a.png"), expected)

    assert main([*command, str(tmp_path / "more"), "--scale", "3"]) == 2
    assert "run: expected weights of espcn x3, got espcn x2" in error_line()


def test_score_published(data_dir, tmp_path, capsys):
    sr, hr = data_dir / "published/RCAN_Set5/X2", data_dir / "benchmarks/Set5/HR"
    path = tmp_path / "score.json"
    command = ["score", str(sr), str(hr), "--scale", "2", "--json", str(path)]
    assert main(command) == 0
    assert "| 38.27 / 0.9614 |" in capsys.readouterr().out
    assert len(json.loads(path.read_text())["benchmarks"]["Set5"]["images"]) == 5


def test_score_wrong_options(photos, tmp_path, error_line):
    command = ["score", str(photos), str(photos), "--scale", "2", "--protocol", "best"]
    assert main(command) == 2
    assert "best" in error_line()
    assert main(["score", str(photos), str(tmp_path / "absent"), "--scale", "2"]) == 2
    assert "absent" in error_line()


@pytest.fixture
def pairs(tmp_path):
    """A folder in DIV2K's layout with one exact pair, as a source's name."""
    hr = picture(8, 12, 3)
    for folder, suffix, image in [("HR", "", hr), ("LR_bicubic/X2", "x2", None)]:
        (tmp_path / "my" / folder).mkdir(parents=True)
        image = imresize(hr, 1 / 2) if image is None else image
        write_image(tmp_path / "my" / folder / f"a{suffix}.png", image)
    return f"folder:{tmp_path / 'my' / 'HR'}"


def test_data_check_exact_pairs(pairs, capsys):
    assert main(["data", "check", pairs, "--scale", "2"]) == 0
    assert "all equal the exact bicubic" in capsys.readouterr().out


def test_data_check_wrong_sizes(pairs, tmp_path, capsys):
    write_image(tmp_path / "my" / "LR_bicubic" / "X2" / "ax2.png", picture(4, 5, 3))
    assert main(["data", "check", pairs, "--scale", "2"]) == 1
    assert "HR is 12x8, LR is 5x4" in capsys.readouterr().out


def test_data_check_unknown_source(error_line):
    assert main(["data", "check", "holiday"]) == 2
    assert "holiday" in error_line()


def listed_models(scale: int) -> dict[str, list[str]]:
    """Returns what `jaxsr models` prints, cells by network.

    From a process of its own, whose calls are not checked by jaxtyping: tracing the
    deep networks is four times faster so.
    """
    command = [sys.executable, "-m", "jaxsr.cli", "models", "--scale", str(scale)]
    run = subprocess.run(command, check=True, capture_output=True, text=True)
    lines = [line.split() for line in run.stdout.splitlines()]
    return {name: cells for name, *cells in lines[2:]}


@pytest.mark.parametrize("scale", [2, 3, 4])
def test_models_prints_the_table_of_the_docs(scale):
    docs = Path(__file__).parents[1] / "docs" / "networks.md"
    table = {}
    for line in docs.read_text("utf-8").splitlines():
        if line.startswith("| [`"):
            name, works_on, _, *numbers = (c.strip() for c in line.split("|")[1:-1])
            parameters, products = numbers[scale - 2], numbers[scale + 1]
            table[name.split("`")[1]] = [works_on, parameters, *products.split()]
    assert sorted(table) == list_models()
    assert listed_models(scale) == table


def test_models_without_the_scale():
    rows = listed_models(7)
    assert list(rows) == list_models()
    # ESPCN's last convolution has 32 inputs and an output for each of 7 x 7 pixels.
    count = f"{21_284 + (7 * 7 - 2 * 2) * (32 * 9 + 1):,}"
    assert rows["espcn"][:2] == ["luma", count]
    assert rows["edsr"] == ["-"]


def test_models_explains_one(capsys):
    assert main(["models", "edsr_baseline"]) == 0
    output = capsys.readouterr().out
    assert re.search(r"x3 +RGB +1,554,499 +160\.3 G\n", output)
    assert "    res_scale = 1.0\n" in output
    # 64 + 64 x 64 x 9 twice for each of the blocks.
    assert re.search(r"16 x block00 +1,181,696\n", output)
    assert "arxiv.org/abs/1707.02921" in output
    assert "16 blocks of 64 features" in output


def test_models_explains_one_whose_module_says_nothing(tmp_path, monkeypatch, capsys):
    (tmp_path / "plain_networks.py").write_text(
        "from jaxsr.models.espcn import ESPCN\nclass Plain(ESPCN):\n    'Ours.'\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    assert main(["models", "plain_networks:Plain"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[-1] == "Ours." and "None" not in lines


def test_output_that_nobody_reads_is_no_error():
    code = """
import sys
from jaxsr.errors import reports_input_errors
def main():
    sys.stdin.read()  # until the reader has gone
    print("x" * 100_000)
sys.exit(reports_input_errors(main)())
"""
    command = [sys.executable, "-c", code]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=pipe) as run:
        assert run.stdin and run.stdout and run.stderr
        run.stdout.close()
        run.stdin.close()
        assert run.stderr.read() == b""
    assert run.returncode == 141


@pytest.mark.skipif(sys.platform == "win32", reason="a shell that closes streams")
@pytest.mark.parametrize(
    "closed, code, said",
    [
        ("<&-", 1, "error: [Errno 9] Bad file descriptor\n"),
        (">&-", 1, "error: [Errno 9] Bad file descriptor: 'standard output'\n"),
        (">/dev/full", 1, "error: [Errno 28] No space left on device"),
        ("2>&-", 0, ""),
    ],
)
def test_standard_streams_that_cannot_be_used(closed, code, said, tmp_path):
    """No traceback; and no file that the program opens becomes such a stream."""
    program = """
import sys
from jaxsr.errors import reports_input_errors
def main():
    with open("result", "w") as file:
        print("to be read", file=sys.stderr) if sys.argv[1] == "2>&-" else None
        sys.stdin.read()
        print("a result")
    return 0
sys.exit(reports_input_errors(main)())
"""
    command = [sys.executable, "-c", program, closed]
    end = subprocess.run(
        ["sh", "-c", f'exec "$@" {closed}', "sh", *command],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(Path(jaxsr.__file__).parents[1])},
        input=None if closed == "<&-" else "",
        capture_output=True,
        text=True,
    )
    assert end.returncode == code
    assert end.stderr.startswith(said) and end.stderr.count("\n") == (code > 0)
    assert (tmp_path / "result").read_text() == ""


def test_models_unknown_network(error_line):
    assert main(["models", "edsir"]) == 2
    assert "unknown model 'edsir': expected one of amms" in error_line()


def test_models_weights_lists_what_is_published(capsys):
    assert main(["models", "--weights", "--scale", "2"]) == 0
    rows = [line.split() for line in capsys.readouterr().out.splitlines()[2:]]
    published = [e for e in zoo.read_manifest() if e["scale"] == 2]
    assert [row[:2] for row in rows] == [[zoo.name_of(e), "x2"] for e in published]


@pytest.mark.parametrize("network", [[], ["rcbam"]])
def test_models_wrong_scale(network, error_line):
    assert main(["models", *network, "--scale", "0"]) == 2
    assert "scale: expected a whole number of at least 1, got 0" in error_line()


def test_models_explains_one_at_a_scale(capsys):
    assert main(["models", "espcn", "--scale", "7"]) == 0
    output = capsys.readouterr().out
    # An output for each of 7 x 7 pixels: 32 inputs, 3 x 3, and a bias.
    assert re.search(rf"part \(x7\)(.*\n)+.* {7 * 7 * (32 * 9 + 1):,}\n", output)
    assert re.search(r"\nx4 .*\nx7 ", output)


def test_models_weights_of_one_network(capsys):
    assert main(["models", "--weights", "rcbam_lite", "--scale", "3"]) == 0
    rows = capsys.readouterr().out.splitlines()[2:]
    assert [row.split()[:2] for row in rows] == [["rcbam_lite", "x3"]]


@pytest.mark.parametrize(
    "words, wanted",
    [
        (["rcbamm"], "rcbamm"),
        (["--scale", "0"], "a network x0"),
        (["rcbam_lite", "--scale", "9"], "rcbam_lite x9"),
    ],
)
def test_models_weights_that_are_not_there(words, wanted, error_line):
    assert main(["models", "--weights", *words]) == 2
    assert error_line().startswith(f"error: no weights of {wanted}: there are amms x2")


@pytest.mark.parametrize("limit", ["0", "-3", "nan"])
@pytest.mark.parametrize("command", [["demo"], ["upscale", "a.png", "-o", "b.png"]])
def test_a_limit_that_is_none(command, limit, error_line):
    assert main([*command, "--max-megapixels", limit]) == 2
    said = f"error: --max-megapixels: expected a number above 0, got {limit}\n"
    assert error_line() == said.strip()


def test_demo_port_that_is_none(error_line):
    assert main(["demo", "--port", "70000"]) == 2
    assert error_line() == "error: --port: expected 1 to 65535, got 70000"


def test_data_check_wrong_scale(error_line):
    assert main(["data", "check", "sample-eval", "--scale", "0"]) == 2
    assert "scale must be a whole number of at least 1, got 0" in error_line()


def test_layers_can_be_looked_into(tmp_path):
    """JAX_DISABLE_JIT runs one operation after the other."""
    write_image(tmp_path / "a.png", np.zeros((6, 5, 3), np.uint8))
    words = ["upscale", "a.png", "-o", "b.png", "--model", "fsrcnn_x2"]
    end = subprocess.run(
        [sys.executable, "-m", "jaxsr.cli", *words],
        cwd=tmp_path,
        env=os.environ
        | {"PYTHONPATH": str(Path(jaxsr.__file__).parents[1]), "JAX_DISABLE_JIT": "1"},
        capture_output=True,
        text=True,
    )
    assert end.returncode == 0, end.stderr
    assert read_image(tmp_path / "b.png").shape == (12, 10, 3)


def test_version(capsys):
    with pytest.raises(SystemExit) as stop:
        main(["--version"])
    assert stop.value.code == 0
    assert capsys.readouterr().out == f"jaxsr {jaxsr.__version__}\n"


def test_score_writes_json_to_standard_output_alone(tmp_path, capsys):
    for folder in ("sr", "Set"):
        (tmp_path / folder).mkdir()
        write_image(tmp_path / folder / "a.png", np.zeros((32, 32, 3), np.uint8))
    folders = [str(tmp_path / "sr"), str(tmp_path / "Set")]
    assert main(["score", *folders, "--scale", "2", "--json", "-"]) == 0
    printed = capsys.readouterr()
    assert json.loads(printed.out)["benchmarks"]["Set"]["psnr"] == "Infinity"
    assert "| sr | x2 |" in printed.err
