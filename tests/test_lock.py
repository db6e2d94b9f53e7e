"""The lock of a workdir, held by real processes."""

import os
import signal
import socket
import subprocess
import sys

import pytest

from jaxsr.errors import InputError
from jaxsr.training.lock import WorkdirLock

_HOLD = """
import sys, time
from jaxsr.training.lock import WorkdirLock
with WorkdirLock(sys.argv[1]) as lock:
    lock.take()
    print("held", flush=True)
    time.sleep(100)
"""


def test_lock_is_refused_by_name_and_survives_kill_9(tmp_path):
    folder = tmp_path / "runs" / "run"
    holder = subprocess.Popen(
        [sys.executable, "-c", _HOLD, str(folder)], stdout=subprocess.PIPE, text=True
    )
    with holder:
        assert holder.stdout is not None and holder.stdout.readline() == "held\n"
        who = f"process {holder.pid} on {socket.gethostname()}"
        with pytest.raises(InputError, match=f"{who} .* is training there"):
            WorkdirLock(folder).__enter__()
        holder.send_signal(signal.SIGKILL)
    # What the killed one left behind is no obstacle.
    with WorkdirLock(folder) as lock:
        lock.take()
        assert f"process {os.getpid()} on" in (folder / ".lock-holder").read_text()
    assert not (folder / ".lock-holder").exists()
    with WorkdirLock(folder):
        pass


def test_lock_makes_no_folder_before_it_is_taken(tmp_path):
    folder = tmp_path / "run"
    with WorkdirLock(folder) as lock:
        assert not folder.exists()
        with WorkdirLock(folder) as faster:
            faster.take()
            (folder / "config.json").write_text("{}")
            with pytest.raises(InputError, match=f"process {os.getpid()} on"):
                lock.take()
        with pytest.raises(InputError, match="another run has begun there meanwhile"):
            lock.take()


def test_lock_leaves_object_storage_alone(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with WorkdirLock("gs://bucket/run") as lock:
        lock.take()
    assert list(tmp_path.iterdir()) == []
