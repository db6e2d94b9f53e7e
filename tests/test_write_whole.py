"""Whole files, and what is no file to be replaced."""

import os
import signal
import stat
import subprocess
import sys
import threading

import pytest

from jaxsr.files import check_place, write_whole


def test_a_file_is_made_with_its_folder_and_replaced(tmp_path):
    path = tmp_path / "new" / "a.json"
    write_whole(path, "ä")
    write_whole(path, b"2")
    assert path.read_bytes() == b"2"
    assert os.listdir(path.parent) == ["a.json"]


def test_a_name_as_long_as_the_file_system_takes(tmp_path):
    write_whole(tmp_path / ("n" * 255), b"1")
    assert len(os.listdir(tmp_path)) == 1


def test_a_link_stays_and_its_file_is_replaced_with_its_permissions(tmp_path):
    target, link = tmp_path / "target", tmp_path / "link"
    target.write_text("old")
    target.chmod(0o640)
    link.symlink_to("target")
    write_whole(link, "new")
    assert link.is_symlink() and target.read_text() == "new"
    assert stat.S_IMODE(target.stat().st_mode) == 0o640


def test_a_pipe_is_written_to(tmp_path):
    pipe, got = tmp_path / "pipe", []
    os.mkfifo(pipe)
    reader = threading.Thread(target=lambda: got.append(pipe.read_text()))
    reader.start()
    write_whole(pipe, "through")
    reader.join()
    assert got == ["through"] and stat.S_ISFIFO(pipe.stat().st_mode)


def test_dev_stdout_in_a_file_comes_after_what_was_printed(tmp_path):
    out = tmp_path / "out"
    program = (
        "from jaxsr.files import write_whole\n"
        "print('first'); write_whole('/dev/stdout', 'second\\n'); print('third')"
    )
    with out.open("a") as file:
        subprocess.run([sys.executable, "-c", program], stdout=file, check=True)
    assert out.read_text() == "first\nsecond\nthird\n"


def test_a_failed_write_names_the_file_and_leaves_the_old_one(tmp_path):
    path = tmp_path / "a.json"
    path.write_text("old")
    program = (
        "import resource, signal\n"
        "from jaxsr.files import write_whole\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (10, 10))\n"
        f"write_whole({str(path)!r}, 'x' * 1000)"
    )
    run = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=False
    )
    assert run.stderr.splitlines()[-1].endswith(f"File too large: '{path}'")
    assert path.read_text() == "old" and os.listdir(tmp_path) == ["a.json"]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_signal_leaves_nothing_half_written(number, tmp_path):
    path = tmp_path / "a.tif"
    path.write_text("old")
    program = (
        "import time\n"
        "from jaxsr.files import write_whole\n"
        "def parts():\n"
        "    yield b'new'\n"
        "    print('begun', flush=True)\n"
        "    time.sleep(60)\n"
        f"write_whole({str(path)!r}, parts())"
    )
    with subprocess.Popen(
        [sys.executable, "-c", program], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as writer:
        assert writer.stdout.readline() == b"begun\n"
        assert len(os.listdir(tmp_path)) == 2
        writer.send_signal(number)
        assert (writer.wait(), writer.stderr.read()) == (-number, b"")
    assert path.read_text() == "old" and os.listdir(tmp_path) == ["a.tif"]


def test_a_folder_is_refused(tmp_path):
    with pytest.raises(
        IsADirectoryError, match="expected a file to write, got a folder"
    ):
        write_whole(tmp_path, b"")


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="Linux has /dev/full")
def test_a_full_device_is_named():
    with pytest.raises(OSError, match="No space left on device: '/dev/full'"):
        write_whole("/dev/full", b"1")


def test_check_place_finds_what_cannot_be_written_before(tmp_path):
    (tmp_path / "file").write_bytes(b"")
    (tmp_path / "loop").symlink_to("loop")
    (tmp_path / "dangling").symlink_to("new/target")
    os.mkfifo(tmp_path / "pipe")
    for name, message in {
        "": "expected a file to write, got a folder",
        "file/deeper": "Not a directory",
        "file/and/deeper": "Not a directory",
        "loop": "Too many levels of symbolic links",
        "a" * 300: "File name too long",
    }.items():
        with pytest.raises(OSError, match=f"{message}: '{tmp_path / name}'"):
            check_place(tmp_path / name)
    before = sorted(tmp_path.rglob("*"))
    for name in ("file", "new", "new/er", "dangling", "pipe"):
        check_place(tmp_path / name)
    assert sorted(tmp_path.rglob("*")) == before
