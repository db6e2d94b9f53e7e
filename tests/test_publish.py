"""Publishing: from a run that train.py made to a file, an entry and a card."""

import functools
import json
from pathlib import Path

import jax
import numpy as np
import pytest

import jaxsr
from configs import amms, rcbam
from jaxsr import scoring
from jaxsr.errors import InputError
from jaxsr.imaging import read_image, write_image
from jaxsr.training import train
from jaxsr.training.checkpoints import Checkpoints
from jaxsr.training.saved_run import load_run
from jaxsr.weights import zoo
from jaxsr.weights.cards import model_card
from tools import publish as tool

# Two steps need not be better than bicubic.
publish = functools.partial(tool.publish, allow_worse=True)


@pytest.fixture(scope="module")
def photos(tmp_path_factory) -> str:
    """Two photos of scikit-image, cut small, as a folder source."""
    skimage = pytest.importorskip("skimage")
    folder = tmp_path_factory.mktemp("photos") / "mine"
    folder.mkdir()
    for name in ("chelsea", "coffee"):
        image = read_image(Path(skimage.__file__).parent / "data" / f"{name}.png")
        write_image(folder / f"{name}.png", image[100:164, 120:184])
    return f"folder:{folder}"


@pytest.fixture(scope="module")
def run(photos, tmp_path_factory) -> Path:
    """A run of two steps, on the way of which it was stopped and started again."""
    workdir = tmp_path_factory.mktemp("runs") / "tiny"
    for steps in (1, 2):
        _train(workdir, photos, steps)
    return workdir


def _train(workdir, photos, steps, family=rcbam, further=None):
    config = family.get_config("x2,cpu")
    config.model.features, config.model.depth = 4, 1
    config.data.train = photos
    config.data.patch_size, config.data.batch_size = 12, 8
    config.data.pipeline = "device"
    config.eval.benchmarks = photos
    config.train.max_minutes = None
    config.train.log_every = 1
    config.train.steps = steps
    command = "python train.py --workdir=/at/home --config=a"
    if further:
        config.train.init_from = further
        command += " --config.train.init_from=rcbam_x2"
    train(config, workdir, command=command)


@pytest.fixture
def checkout(tmp_path) -> Path:
    """An empty zoo."""
    (tmp_path / "jaxsr" / "weights").mkdir(parents=True)
    (tmp_path / "jaxsr" / "weights" / "manifest.json").write_text("[]")
    return tmp_path


def test_publish_writes_file_entry_and_card(run, checkout, photos):
    entry = publish(run, root=checkout, benchmarks=[photos], note="A test.")
    folder = checkout / "jaxsr" / "weights"
    assert zoo.read_manifest(folder) == [entry]
    assert (checkout / "docs/models/rcbam_x2.md").read_text() == model_card(entry)
    assert entry["fields"]["depth"] == 1 and "dtype" not in entry["fields"]
    assert (entry["precision"], entry["bytes"] < 20_000) == ("float16", True)

    # What the entry says is what whoever loads the file measures.
    upscaler = jaxsr.load(zoo.weights_file(entry, folder))
    again = scoring.evaluate(upscaler, [photos], scale=2)["benchmarks"]["mine"]
    assert round(again["psnr"], 4) == entry["benchmarks"]["mine"]["psnr"]
    for name, scores in again["images"].items():
        assert round(scores["psnr"], 4) == entry["images"][name]["psnr"]
    bicubic = scoring.evaluate(jaxsr.load("bicubic", scale=2), [photos], scale=2)
    expected = bicubic["benchmarks"]["mine"]["psnr"]
    assert abs(entry["bicubic"]["mine"]["psnr"] - expected) < 0.01


def test_card_of_fields_that_are_tuples(checkout, photos, tmp_path):
    _train(tmp_path / "run", photos, 1, amms)
    entry = publish(tmp_path / "run", root=checkout, benchmarks=[photos])
    (read,) = zoo.read_manifest(checkout / "jaxsr" / "weights")
    assert entry["fields"] == read["fields"] and "mean" in read["fields"]
    assert (checkout / "docs/models/amms_x2.md").read_text() == model_card(read)


def test_publish_tells_how_the_run_was_made(run, checkout, photos):
    training = publish(run, root=checkout, benchmarks=[photos])["training"]
    assert training["command"] == "python train.py --config=a"
    assert (training["data"], training["images"]) == (photos, 2)
    assert (training["steps"], training["patch_size"]) == (2, 12)
    assert training["hardware"]["devices"] == jax.device_count()
    lines = (run / "metrics.jsonl").read_text().splitlines()
    minutes = [json.loads(line)["minutes"] for line in lines]
    assert training["minutes"] == round(minutes[-1], 2)
    assert minutes[-1] > minutes[0]  # both starts count
    assert training["curve"] == []  # nothing was scored on the way


def test_card_shows_the_way_in_few_rows(run, checkout, photos):
    entry = publish(run, root=checkout, benchmarks=[photos])
    curve = [[step, step / 10, 30 + step / 100] for step in range(1, 26)]
    entry["training"] |= {"curve": curve, "curve_of": "Set5"}
    lines = model_card(entry).splitlines()
    rows = lines[lines.index("| step | minutes | Set5, dB |") + 2 :]
    assert rows[: rows.index("")][-1] == "| 25 | 2.5 | 30.25 |"
    assert 5 <= rows.index("") <= 10


def test_publish_a_run_of_an_older_train(run, checkout, photos):
    result = json.loads((run / "results.json").read_text())
    del result["command"], result["training_images"]
    scoring.write_result(run / "results.json", result)
    with pytest.raises(InputError, match="give the same command again"):
        publish(run, root=checkout, benchmarks=[photos])
    _train(run, photos, 2)
    training = publish(run, root=checkout, benchmarks=[photos])["training"]
    assert (training["command"], training["images"]) == (
        "python train.py --config=a",
        2,
    )


def test_weights_trained_further_tell_all_their_runs(run, checkout, photos, tmp_path):
    publish(run, root=checkout, benchmarks=[photos])
    further = tmp_path / "further"
    _train(further, photos, 3, further=str(run))
    # As if it had been given the name, which here is not a published one.
    config = json.loads((further / "config.json").read_text())
    config["train"]["init_from"] = "rcbam_x2"
    (further / "config.json").write_text(json.dumps(config))
    entry = publish(further, root=checkout, benchmarks=[photos])
    (before,) = entry["training"]["before"]
    assert (before["steps"], before["init_from"]) == (2, None)
    assert zoo.total_of(entry["training"], "steps") == 5
    card = model_card(entry)
    assert "| started from | random, then each run from the one before it |" in card
    assert "| steps | 2 + 3 |" in card
    assert (
        "python train.py --config=a --workdir=runs/rcbam_x2_1\n"
        "python train.py --config=a --config.train.init_from=runs/rcbam_x2_1\n"
    ) in card
    # Published anew, it is not a run more.
    again = publish(further, root=checkout, benchmarks=[photos], note="Anew.")
    assert again["training"] == entry["training"] and again["note"] == "Anew."


def test_publish_leaves_what_is_there_when_it_refuses(
    run, checkout, photos, tmp_path, monkeypatch
):
    entry = publish(run, root=checkout, benchmarks=[photos])
    folder = checkout / "jaxsr" / "weights"
    before = zoo.weights_file(entry, folder).read_bytes()
    monkeypatch.setattr(tool, "MOST_PACKAGED_BYTES", entry["bytes"])
    with pytest.raises(InputError, match="the files that come with jaxsr would be"):
        publish(run, root=checkout, benchmarks=[photos], precision="float32")
    assert zoo.read_manifest(folder) == [entry]
    assert zoo.weights_file(entry, folder).read_bytes() == before
    # Those of somebody's own folder do not come with jaxsr.
    publish(run, folder=tmp_path / "mine", benchmarks=[photos], precision="float32")


def test_publish_float32_keeps_every_bit(run, checkout, photos):
    entry = publish(run, root=checkout, benchmarks=[photos], precision="float32")
    assert entry["precision_cost"] is None
    upscaler = jaxsr.load(zoo.weights_file(entry, checkout / "jaxsr" / "weights"))
    jax.tree.map(np.testing.assert_array_equal, upscaler.variables, load_run(run)[2])


def test_publish_again_replaces_the_entry(run, checkout, photos):
    folder = checkout / "jaxsr" / "weights"
    publish(run, root=checkout, benchmarks=[photos])
    (other,) = zoo.read_manifest(folder)
    other |= {"network": "aaa"}
    (folder / "manifest.json").write_text(json.dumps([other]))
    for precision in ("float16", "float32"):
        publish(run, root=checkout, benchmarks=[photos], precision=precision)
    entries = zoo.read_manifest(folder)
    assert [e["network"] for e in entries] == ["aaa", "rcbam"]
    assert entries[1]["precision"] == "float32"


def test_publish_with_a_url_leaves_the_package_alone(run, checkout, photos):
    url = "https://example.org/weights/"
    entry = publish(run, root=checkout, benchmarks=[photos], url=url)
    assert entry["url"] == "https://example.org/weights/rcbam_x2.safetensors"
    assert zoo.sha256(run / entry["file"]) == entry["sha256"]
    assert not list((checkout / "jaxsr" / "weights").glob("*.safetensors"))
    assert f"fetched from `{entry['url']}`" in model_card(entry)


def test_publish_into_a_folder_of_ones_own(run, photos, tmp_path):
    entry = publish(run, folder=tmp_path / "my_zoo", benchmarks=[photos])
    assert zoo.read_manifest(tmp_path / "my_zoo") == [entry]
    assert (tmp_path / "my_zoo/rcbam_x2.md").read_text() == model_card(entry)
    assert jaxsr.load(tmp_path / "my_zoo" / entry["file"]).scale == 2


def test_publish_refuses_what_is_no_better(run, photos, tmp_path):
    folder = tmp_path / "my_zoo"
    entry = publish(run, folder=folder, benchmarks=[photos])
    bicubic, ours = (
        of["mine"]["psnr"] for of in (entry["bicubic"], entry["benchmarks"])
    )
    rival = "bicubic" if bicubic >= ours else "the published rcbam_x2"
    with pytest.raises(InputError, match=f"expected more than .* dB, which {rival}"):
        tool.publish(run, folder=folder, benchmarks=[photos])
    entry["benchmarks"]["mine"]["psnr"] = 99.0
    entry["bicubic"]["mine"]["psnr"] = 0.0
    (folder / "manifest.json").write_text(json.dumps([entry]))
    with pytest.raises(InputError, match="expected more than"):
        tool.publish(run, folder=folder, benchmarks=[photos])
    assert zoo.read_manifest(folder) == [entry]


def test_publish_refuses_what_fails_on_a_picture():
    bicubic = {"mine": {"images": {"a": {"psnr": 30.0}, "b": {"psnr": 25.0}}}}
    for b, fails in ((24.1, False), (23.9, True), (float("nan"), True)):
        own = {"mine": {"images": {"a": {"psnr": 33.0}, "b": {"psnr": b}}}}
        if not fails:
            tool.check_images("tiny_x2", own, bicubic)
            continue
        with pytest.raises(InputError, match="tiny_x2: .* on mine's b, expected at"):
            tool.check_images("tiny_x2", own, bicubic)


def test_publish_command_needs_a_run(capsys):
    assert tool.main(["absent"]) == 2
    assert "absent: no run of jaxsr here" in capsys.readouterr().err


def test_publish_refuses(run, checkout, photos, tmp_path):
    with pytest.raises(InputError, match="expected float16 or float32, got 'int8'"):
        publish(run, root=checkout, precision="int8")
    with pytest.raises(InputError, match="publish from a checkout"):
        publish(run, root=tmp_path / "elsewhere")

    # A further step, of a network that gives the bicubic picture because 3 x 333.4 are
    # taken from 1000.2: in float16, 3 x 333.5 from 1000.
    state = _state_of(run)
    params = jax.tree.map(np.zeros_like, jax.device_get(state.params))
    params["body_end"]["bias"] += 1
    params["tail"]["kernel"][1, 1, :3] = 333.4
    params["tail"]["bias"] -= 1000.2
    with Checkpoints(run) as checkpoints:
        checkpoints.save(state.replace(step=np.int32(3), params=params, ema=params))
    with pytest.raises(InputError, match="results.json is of step 2, .* of step 3"):
        publish(run, root=checkout, benchmarks=[photos])
    result = scoring.read_result(run / "results.json")
    scoring.write_result(run / "results.json", result | {"step": 3})
    with pytest.raises(InputError, match="float16 costs .* dB, expected less than"):
        publish(run, root=checkout, benchmarks=[photos])
    assert zoo.read_manifest(checkout / "jaxsr" / "weights") == []
    assert not (checkout / "docs").exists()


def _state_of(run):
    import optax

    from jaxsr.training.optimizer import create_optimizer
    from jaxsr.training.state import create_state

    config, model, _, _ = load_run(run)
    optimizer = create_optimizer(optax.constant_schedule(1.0), **config.optimizer)
    template = create_state(model, optimizer, seed=0, channels=3, use_ema=True)
    with Checkpoints(run, read_only=True) as checkpoints:
        state = checkpoints.restore(template)
    assert state is not None
    return state
