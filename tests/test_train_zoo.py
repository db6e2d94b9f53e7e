"""The zoo's training: a plan, a budget of hours, going on, publishing."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from jaxsr.errors import InputError
from jaxsr.imaging import read_image, write_image
from jaxsr.loading import load_weights
from jaxsr.weights.zoo import FOLDER, read_manifest
from tools import train_zoo

_ROOT = Path(__file__).parents[1]
# So small that it is better than bicubic, where it starts, after a few steps.
_TINY = {
    "model.features": 8,
    "model.depth": 1,
    "model.pool_size": 16,
    "data.patch_size": 16,
    "data.batch_size": 4,
    "data.pipeline": "device",
    "schedule.learning_rate": 3e-3,
    "schedule.warmup_steps": 0,
    "schedule.decay_steps": 10,
    "eval.benchmarks": "Set5",
    "train.log_every": 1,
    "train.eval_every": 0,
}


_FROM_ITSELF = "--config.train.init_from=srcnn_x2"


@pytest.fixture(scope="module")
def data(tmp_path_factory) -> Path:
    """Parts of a photo in the layout of three benchmark sets, and of a folder."""
    skimage = pytest.importorskip("skimage")
    image = read_image(Path(skimage.__file__).parent / "data" / "coffee.png")
    folder = tmp_path_factory.mktemp("data")
    for name, count in {"Set5": 5, "Set14": 14, "BSD100": 100, "own": 5}.items():
        place = folder / ("own" if name == "own" else f"benchmarks/{name}/HR")
        place.mkdir(parents=True)
        for i in range(count):
            write_image(place / f"{i:03}.png", image[100 + i : 148 + i, 120:168])
    return folder


def _command(data: Path, place: Path, *, steps: int, **options: str) -> list[str]:
    keys = _TINY | {"data.train": f"folder:{data}/own", "train.steps": steps}
    return [
        "rcbam:x2",
        f"--runs={place}/runs",
        f"--folder={place}/zoo",
        *(f"--{name}={value}" for name, value in options.items()),
        *(f"--config.{name}={value}" for name, value in keys.items()),
    ]


def _run(arguments: list[str], data: Path) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "tools/train_zoo.py", *arguments],
        cwd=_ROOT,
        env=os.environ | {"JAXSR_DATA_DIR": str(data), "JAX_NUM_CPU_DEVICES": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def test_stopped_then_gone_on_with_then_published(data, tmp_path):
    long = _command(data, tmp_path, steps=100_000)
    stopped = _run(long, data)
    metrics = tmp_path / "runs" / "zoo_rcbam_x2" / "metrics.jsonl"
    deadline = time.monotonic() + 120
    while not (metrics.is_file() and len(metrics.read_text().splitlines()) > 2):
        assert time.monotonic() < deadline
        assert stopped.poll() is None, stopped.communicate()[0]
        time.sleep(0.1)
    stopped.send_signal(signal.SIGTERM)
    output = stopped.communicate(timeout=60)[0]
    assert stopped.returncode == 0, output
    step = int(re.search(r"\| begun \| (\d[\d,]*) of", output)[1].replace(",", ""))
    assert step > 2
    newest = load_weights(tmp_path / "runs" / "zoo_rcbam_x2" / "newest.safetensors")
    assert (newest.network, newest.origin["step"]) == ("rcbam", step)

    # The same run, which is to end now.
    steps = step + 60  # enough to be better than bicubic, wherever it was stopped
    gone_on = _run(_command(data, tmp_path, steps=steps), data)
    output = gone_on.communicate(timeout=240)[0]
    assert gone_on.returncode == 0, output
    assert f"continuing from step {step}" in output
    (entry,) = read_manifest(tmp_path / "zoo")
    assert entry["training"]["steps"] == steps
    psnr = entry["benchmarks"]["Set5"]["psnr"]
    assert psnr > entry["bicubic"]["Set5"]["psnr"]
    assert f"| rcbam:x2 | published | {steps} | {psnr:.2f} | 0.0 |" in output


def test_what_cannot_be_published_does_not_keep_others_from_being_trained(
    data, tmp_path
):
    # After one step at such a rate they are worse than bicubic.
    options = _command(data, tmp_path, steps=1, **{"config.schedule.decay_steps": "0"})
    words = [w for w in options if "decay_steps=10" not in w and "rate=3e-3" not in w]
    words.insert(1, "rcbam:x3")
    words.append("--config.schedule.learning_rate=0.1")
    process = _run(words, data)
    output = process.communicate(timeout=240)[0]
    assert process.returncode == 1, output
    for name in ("rcbam:x2", "rcbam:x3"):
        assert f"{name} is not published: rcbam_x" in output
        assert f"| {name} | ended |" in output
    assert not (tmp_path / "zoo").exists()


def test_time_that_is_up_ends_what_is_in_progress(data, tmp_path):
    process = _run(_command(data, tmp_path, steps=100_000, hours="0.0005"), data)
    output = process.communicate(timeout=120)[0]
    assert process.returncode == 0, output
    assert "| all |" in output
    assert not (tmp_path / "zoo").exists()


def test_plan_says_what_is_missing(tmp_path, capsys):
    names = ["rcbam:x2", "rcbam:x3", "fsrcnn:x2"]
    places = [f"--runs={tmp_path}", f"--folder={tmp_path}"]
    assert train_zoo.main(["--plan", *places, *names]) == 0
    lines = [line.split("|")[1:-1] for line in capsys.readouterr().out.splitlines()[2:]]
    assert [line[0].strip() for line in lines] == [*names, "all"]
    hours = [float(line[-1]) for line in lines]
    assert hours[0] > hours[1] > 0
    assert abs(hours[-1] - sum(hours[:-1])) < 0.05 * len(hours)


def test_plan_says_what_fewer_steps_have_reached(tmp_path, capsys):
    (entry,) = [e for e in read_manifest() if e["file"] == "srcnn_x2.safetensors"]
    entry["training"] |= {"before": [], "steps": 1_234}
    (tmp_path / "manifest.json").write_text(json.dumps([entry]))
    places = [f"--runs={tmp_path}/runs", f"--folder={tmp_path}"]
    assert train_zoo.main(["--plan", *places, "srcnn:x2"]) == 0
    psnr = entry["benchmarks"]["Set5"]["psnr"]
    row = capsys.readouterr().out.splitlines()[2]
    state = "published: fewer steps"
    assert row.startswith(f"| srcnn:x2 | {state} | 1,234 of 8,000 | {psnr:.2f} | ")
    assert not row.endswith(" 0.0 |")  # it is anew that the recipe trains

    # Training further by fewer steps than they have had.
    further = [_FROM_ITSELF, "--config.train.steps=100"]
    assert train_zoo.main(["--plan", *places, "srcnn:x2", *further]) == 0
    row = capsys.readouterr().out.splitlines()[2]
    assert row.startswith("| srcnn:x2 | - | 0 of 100 | - | ")


def test_what_is_published_can_be_trained_further(tmp_path):
    def published(*overrides: str) -> float | None:
        (recipe,) = train_zoo.open_recipes(["srcnn:x2"], overrides, tmp_path, FOLDER)
        return recipe.published

    assert published()
    assert published("--config.train.steps=1")
    assert not published("--config.train.steps=1000000")
    assert not published("--config.train.steps=1", _FROM_ITSELF)


def test_weights_trained_further_are_published_then(tmp_path):
    (entry,) = [e for e in read_manifest() if e["file"] == "srcnn_x2.safetensors"]
    first = entry["training"]
    run = {key: first[key] for key in ("command", "steps", "minutes", "hardware")}
    entry["training"] = first | {"before": [run], "init_from": "srcnn_x2", "steps": 5}
    (tmp_path / "manifest.json").write_text(json.dumps([entry]))

    def published(*overrides: str) -> float | None:
        (recipe,) = train_zoo.open_recipes(["srcnn:x2"], overrides, tmp_path, tmp_path)
        return recipe.published

    assert published()
    assert published(_FROM_ITSELF, "--config.train.steps=5")
    assert not published(_FROM_ITSELF, "--config.train.steps=6")


def test_unknown_recipe_names_what_there_is(tmp_path):
    with pytest.raises(InputError, match=r"^rcbam:x5: expected one of rcbam:x2, "):
        train_zoo.open_recipes(["rcbam:x5"], [], tmp_path, tmp_path)
