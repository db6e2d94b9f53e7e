"""Weights & Biases beside TensorBoard, by wandb itself in its offline mode."""

import json
import logging
import sys

import jax
import numpy as np
import pytest

from jaxsr.errors import InputError
from jaxsr.imaging import write_image
from jaxsr.training import default_config, train
from jaxsr.training.metric_log import read_metrics
from jaxsr.training.wandb_log import WandbLog

wandb = pytest.importorskip("wandb")


@pytest.fixture(autouse=True)
def offline(monkeypatch):
    monkeypatch.setenv("WANDB_MODE", "offline")
    monkeypatch.setattr(WandbLog, "_patience", 5)
    yield
    wandb.teardown()  # its process, which would live as long as this one


@pytest.fixture
def config(tmp_path):
    photo = np.random.default_rng(0).integers(0, 256, (48, 48, 3), np.uint8)
    write_image(tmp_path / "photos" / "a.png", photo)
    config = default_config()
    config.name = "tiny"
    config.model.name, config.model.scale = "espcn", 2
    config.data.train = f"folder:{tmp_path / 'photos'}"
    config.data.patch_size, config.data.batch_size = 8, 8
    config.data.pipeline = "device"
    config.eval.benchmarks = ""
    config.train.update(steps=6, log_every=1, checkpoint_every=3, eval_every=0)
    return config


def sent(path) -> list[dict[str, float]]:
    """Returns the measurements in a .wandb file: protocol buffers in LevelDB's log."""
    from wandb.proto.wandb_internal_pb2 import Record

    content, at, whole, found = path.read_bytes(), 7, b"", []
    while at + 7 <= len(content):
        if 2**15 - at % 2**15 < 7:  # too little of a block is left for a record's head
            at += 2**15 - at % 2**15
        length = int.from_bytes(content[at + 4 : at + 6], "little")
        kind = content[at + 6]  # 1 whole, 2 the first part, 3 a middle one, 4 the last
        whole += content[at + 7 : at + 7 + length]
        at += 7 + length
        if kind in (1, 4):
            items = Record.FromString(whole).history.item
            found.append(
                {
                    ".".join(i.nested_key) or i.key: json.loads(i.value_json)
                    for i in items
                }
            )
            whole = b""
    return [
        {key: value for key, value in numbers.items() if key[0] != "_"}
        for numbers in found
        if numbers
    ]


def test_run_that_goes_on_is_one_run_with_all_numbers(config, tmp_path):
    plain = train(config, tmp_path / "plain")
    assert not (tmp_path / "plain" / "wandb").exists()
    config.train.wandb = "my-project"
    config.train.steps = 3
    train(config, tmp_path / "sent")
    config.train.steps = 6
    run = train(config, tmp_path / "sent")
    jax.tree.map(np.testing.assert_array_equal, run.variables, plain.variables)

    name = (tmp_path / "sent" / "wandb_id").read_text()
    files = sorted((tmp_path / "sent" / "wandb").glob(f"offline-*/run-{name}.wandb"))
    assert len(files) == len(list((tmp_path / "sent" / "wandb").glob("offline-*"))) == 2
    assert [m for file in files for m in sent(file)] == read_metrics(tmp_path / "sent")
    assert len(read_metrics(tmp_path / "sent")) == 6


def test_pictures_are_sent(tmp_path):
    log = WandbLog("my-project", tmp_path, name="tiny", config={})
    log.image(2, "Set5/head", np.full((4, 5, 3), 7, np.uint8))
    log.close()
    (picture,) = tmp_path.glob("wandb/offline-*/files/media/images/Set5/head_*.png")
    assert picture.stat().st_size


def test_what_goes_wrong_there_stops_no_training(config, tmp_path, monkeypatch, caplog):
    monkeypatch.setenv("WANDB_MODE", "online")
    monkeypatch.setenv("WANDB_BASE_URL", "http://127.0.0.1:9")  # nobody answers
    monkeypatch.setenv("WANDB_API_KEY", "0" * 40)
    config.train.wandb = "my-project"
    with caplog.at_level(logging.WARNING, logger="jaxsr"):
        run = train(config, tmp_path / "run")
    assert int(run.state.step) == len(read_metrics(tmp_path / "run")) == 6
    (line,) = [m for m in caplog.messages if "Weights & Biases" in m]
    assert line.endswith("nothing more is sent; the training goes on")


def test_not_installed_is_said_before_anything_is_written(
    config, tmp_path, monkeypatch
):
    monkeypatch.setitem(sys.modules, "wandb", None)
    config.train.wandb = "my-project"
    with pytest.raises(InputError, match=r"pip install 'jaxsr-superres\[wandb\]'"):
        train(config, tmp_path / "run")
    assert not (tmp_path / "run").exists()
    config.train.wandb = "a/b"
    with pytest.raises(InputError, match="train.wandb: expected a name without /"):
        train(config, tmp_path / "run")
