"""Whole processes, timed from their start to their end."""

import dataclasses
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path


@dataclasses.dataclass(frozen=True)
class Timed:
    """What a process took, and what it said.

    Attributes:
        wall: seconds from its start to its end.
        processor: seconds of user and system time of all its threads and children.
        out: its standard output.
        err: its standard error.
    """

    wall: float
    processor: float
    out: str
    err: str


def run_timed(words: Sequence[str | Path], **environment: str | Path) -> Timed:
    """Runs Python with these words and returns what it took.

    Args:
        words: behind `python`, in whose path are the benchmarks and the repository.
        environment: variables to set beside the present ones.

    Raises:
        SystemExit: it failed; its last line of standard error is the message.
    """
    here = Path(__file__).parent
    path = [here, here.parent, *filter(None, [os.environ.get("PYTHONPATH")])]
    variables = {"PYTHONPATH": os.pathsep.join(map(str, path))}
    variables |= {name: str(value) for name, value in environment.items()}
    with tempfile.TemporaryFile("w+") as out, tempfile.TemporaryFile("w+") as err:
        start = time.perf_counter()
        process = subprocess.Popen(
            [sys.executable, *words],
            env=os.environ | variables,
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=err,
        )
        _, status, usage = os.wait4(process.pid, 0)
        wall = time.perf_counter() - start
        process.returncode = os.waitstatus_to_exitcode(status)
        said = []
        for file in (out, err):
            file.seek(0)
            said.append(file.read())
    if process.returncode:
        last = (said[1].strip().splitlines() or ["no word"])[-1]
        raise SystemExit(f"{' '.join(map(str, words[:3]))} ...: {last}")
    return Timed(wall, usage.ru_utime + usage.ru_stime, *said)
