import logging
import time

import pytest

from jaxsr.training.staging import copied, local_folder


def test_copied_goes_on_with_files_and_copies_what_changed(tmp_path):
    local, remote = tmp_path / "local", tmp_path / "remote"
    local.mkdir()
    (remote / "checkpoints" / "7").mkdir(parents=True)
    (remote / "metrics.jsonl").write_text("one\n")
    (remote / "config.json").write_text("{}")
    with copied(local, remote):
        assert (local / "metrics.jsonl").read_text() == "one\n"
        (remote / "config.json").write_text("changed by another")
        with (local / "metrics.jsonl").open("a") as file:
            file.write("two\n")
        (local / "tensorboard").mkdir()
        (local / "tensorboard" / "events").write_bytes(b"numbers")
    assert (remote / "metrics.jsonl").read_text() == "one\ntwo\n"
    assert (remote / "tensorboard" / "events").read_bytes() == b"numbers"
    assert (remote / "config.json").read_text() == "changed by another"
    assert not (local / "checkpoints").exists()


def test_copied_copies_while_the_run_goes_on(tmp_path):
    local, remote = tmp_path / "local", tmp_path / "remote"
    local.mkdir()
    with copied(local, remote, every=0.01):
        (local / "metrics.jsonl").write_text("one\n")
        deadline = time.monotonic() + 30
        while not (remote / "metrics.jsonl").exists():
            assert time.monotonic() < deadline
            time.sleep(0.01)


def test_copied_reports_what_it_could_not_copy(tmp_path, caplog):
    local, remote = tmp_path / "local", tmp_path / "remote"
    local.mkdir()
    (remote / "metrics.jsonl").mkdir(parents=True)  # in the way
    with (
        caplog.at_level(logging.WARNING),
        pytest.raises(OSError, match="remote: logs cannot be written"),
        copied(local, remote, every=0.01),
    ):
        (local / "metrics.jsonl").write_text("one\n")
        deadline = time.monotonic() + 30
        while "cannot be written just now" not in caplog.text:
            assert time.monotonic() < deadline
            time.sleep(0.01)


def test_local_folder_of_a_workdir_on_disk_is_itself(tmp_path):
    with local_folder(tmp_path / "run") as folder:
        assert folder == tmp_path / "run"
