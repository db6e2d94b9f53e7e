"""Ctrl-C in real processes: while they import, and where Python cannot raise."""

import asyncio
import signal
import subprocess
import sys
import time
import weakref
from pathlib import Path

import numpy as np
import pytest

from jaxsr.imaging import write_image
from jaxsr.interrupts import nothing_swallowed
from jaxsr.training.progress import drop_callbacks_of_closed_loops

_ROOT = Path(__file__).parents[1]

# Other tests of the process may have started JAX, which warns of every fork.
pytestmark = pytest.mark.filterwarnings("ignore:os.fork:RuntimeWarning")


def _start(*command) -> subprocess.Popen:
    return subprocess.Popen(
        [sys.executable, *command],
        cwd=_ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        # Whoever runs the tests in the background has it ignored.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )


def _is_interrupted(process: subprocess.Popen) -> None:
    printed, errors = process.communicate(timeout=60)
    assert (process.returncode, printed, errors) == (130, "", "interrupted\n")


@pytest.mark.parametrize(
    "command",
    [
        ["train.py", "--config=configs/rcbam_x2.py:sample", "--workdir={}/run"],
        ["evaluate.py", "--model=bicubic_x2", "--benchmarks=sample-eval"],
        ["-m", "jaxsr.cli", "upscale", "{}/a.png", "-o", "{}/b.png", "--scale=2"],
    ],
    ids=["train", "evaluate", "upscale"],
)
@pytest.mark.parametrize("after", [0.0, 0.8])
def test_start_is_interrupted_without_a_traceback(tmp_path, command, after):
    write_image(tmp_path / "a.png", np.zeros((8, 8, 3), np.uint8))
    # A meeting point: the program is started by Python, and has its own handler then.
    words = [word.format(tmp_path) for word in command]
    module = words[0] == "-m"
    begin = (
        "import runpy, sys, threading, os, signal, time\n"
        "import jaxsr.interrupts as it\n"
        "inner = it.signal.signal\n"
        "def installed(*arguments):\n"
        "    it.signal.signal = inner\n"
        "    inner(*arguments)\n"
        "    print('ready', flush=True)\n"
        "it.signal.signal = installed\n"
        "sys.argv = sys.argv[1:]\n"
    )
    begin += (
        f"runpy.run_module('{words[1]}', run_name='__main__')"
        if module
        else f"runpy.run_path('{words[0]}', run_name='__main__')"
    )
    process = _start("-c", begin, *words[1 if module else 0 :])
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    time.sleep(after)
    process.send_signal(signal.SIGINT)
    _is_interrupted(process)
    assert [path.name for path in tmp_path.iterdir()] == ["a.png"]


_IN_CALLBACK = """
import gc, signal, sys, time
from jaxsr.errors import reports_input_errors

@reports_input_errors
def main():
    def callback(phase, info):
        gc.callbacks.remove(callback)
        signal.raise_signal(signal.SIGINT)
    gc.callbacks.append(callback)
    gc.collect()
    for _ in range(300):
        time.sleep(0.1)
    print("went on")

sys.exit(main())
"""


def test_interrupt_in_a_callback_is_not_lost():
    _is_interrupted(_start("-c", _IN_CALLBACK))


def test_what_is_ignored_stays_ignored():
    program = (
        "import signal, sys\n"
        "signal.signal(signal.SIGINT, signal.SIG_IGN)\n"
        "from jaxsr.errors import reports_input_errors\n"
        "run = reports_input_errors(lambda: signal.raise_signal(signal.SIGINT))\n"
        "sys.exit(run())\n"
    )
    process = _start("-c", program)
    assert process.communicate(timeout=60) == ("", "")
    assert process.returncode == 0


def test_callbacks_after_an_event_loop_is_closed_are_dropped(monkeypatch):
    """What tensorstore's threads do when a write of a checkpoint failed: hundreds of
    lines after the one that says so, and also after the handlers of Ctrl-C went."""
    told = []
    monkeypatch.setattr(sys, "unraisablehook", lambda u: told.append(str(u.exc_value)))
    loop = asyncio.new_event_loop()
    loop.close()

    def fail(callback) -> None:
        class Thing:
            pass

        thing = Thing()
        _reference = weakref.ref(thing, callback)
        del thing

    fail(loop.call_soon_threadsafe)
    assert told == ["Event loop is closed"]
    with nothing_swallowed():
        drop_callbacks_of_closed_loops()
        drop_callbacks_of_closed_loops()
        fail(loop.call_soon_threadsafe)
    fail(loop.call_soon_threadsafe)
    assert told == ["Event loop is closed"]
    fail(int)
    assert len(told) == 2 and told[1].startswith("int() argument must be")


@pytest.mark.skipif(sys.platform == "win32", reason="has no SIGTERM")
def test_sigterm_leaves_no_part_of_what_threads_write(tmp_path):
    for number in range(6):
        file = tmp_path / "photos" / f"{number}.png"
        write_image(file, np.zeros((8, 8, 3), np.uint8))
    # Each result waits before it gets its name.
    program = (
        "import os, sys, time\n"
        "import jaxsr.cli, jaxsr.cpu\n"
        "jaxsr.cpu.count_idle_threads = lambda: 3\n"
        "replace = os.replace\n"
        "def replace_late(*paths):\n"
        "    os.write(1, b'written\\n')\n"  # whole, whatever other threads write
        "    time.sleep(1)\n"
        "    replace(*paths)\n"
        "os.replace = replace_late\n"
        "sys.exit(jaxsr.cli.main(sys.argv[1:]))\n"
    )
    words = [str(tmp_path / "photos"), "-o", str(tmp_path / "out"), "-s", "2"]
    with _start("-c", program, "upscale", *words, "--model", "bicubic") as process:
        assert process.stdout and process.stdout.readline() == "written\n"
        process.terminate()
        process.communicate(timeout=60)
    assert process.returncode == -signal.SIGTERM
    left = sorted(path.name for path in (tmp_path / "out").iterdir())
    assert left and all(name.endswith(".png") for name in left)
