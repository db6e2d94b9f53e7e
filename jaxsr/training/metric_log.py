"""Where a run's numbers and pictures go: `metrics.jsonl` and TensorBoard files."""

import concurrent.futures
import contextlib
import json
import math
import os
import socket
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from jaxsr.errors import first_line
from jaxsr.training.wandb_log import WandbLog


class MetricLog:
    """Writes one run's measurements; only one process may have one.

    `metrics.jsonl` has one line a measurement, `{"step": 100, "loss": 0.01, ...}`; the
    folder `tensorboard/` holds the same numbers and the pictures. "minutes" add up over
    the starts of a run: they are what it took to reach the step, without the steps that
    were lost because a kill came before their checkpoint.
    """

    def __init__(
        self, workdir: str | Path, *, first_step: int, wandb: WandbLog | None = None
    ):
        """Opens the files for going on after `first_step`.

        Lines of later steps, from a run that was killed after its last checkpoint, are
        dropped: those steps are about to be done again.

        Args:
            workdir: the run's folder.
            first_step: the one that the run goes on after.
            wandb: where all goes as well; it is closed with this.
        """
        self._wandb = wandb
        workdir = Path(workdir)
        workdir.mkdir(parents=True, exist_ok=True)
        path = workdir / "metrics.jsonl"
        _keep_lines_up_to(path, first_step)
        earlier = read_metrics(workdir)
        self._minutes_before = earlier[-1].get("minutes", 0.0) if earlier else 0.0
        self._file = path.open("a", encoding="utf-8")
        self._tensorboard = _TensorBoardFile(
            workdir / "tensorboard", first_step=first_step
        )
        self._background = concurrent.futures.ThreadPoolExecutor(1)
        self._picture: concurrent.futures.Future[None] | None = None

    def __enter__(self) -> "MetricLog":
        return self

    def __exit__(self, *exception) -> None:
        self.close()

    def scalars(self, step: int, values: dict[str, float]) -> None:
        """Writes numbers of a step; a name such as "Set5/psnr" makes a group.

        Raises:
            OSError: a file cannot be written; the message names it.
        """
        if "minutes" in values:
            values = {**values, "minutes": self._minutes_before + values["minutes"]}
        finite = {k: v if math.isfinite(v) else None for k, v in values.items()}
        with _names_file(self._file.name):
            self._file.write(json.dumps({"step": step, **finite}) + "\n")
            self._file.flush()
        self._tensorboard.scalars(step, values)
        if self._wandb is not None:
            self._wandb.scalars(step, values)

    def image(self, step: int, name: str, draw: Callable[[], np.ndarray]) -> None:
        """Writes the uint8 picture `[H, W, C]` that `draw` returns to the TensorBoard
        files.

        It is drawn in the background, one picture at a time. What goes wrong is raised
        by the next call or by `close`.
        """

        def write() -> None:
            picture = draw()
            self._tensorboard.image(step, name, picture)
            if self._wandb is not None:
                self._wandb.image(step, name, picture)

        self._wait_for_picture()
        self._picture = self._background.submit(write)

    def close(self) -> None:
        """Ends the files, after the picture that is being drawn."""
        try:
            self._wait_for_picture()
        finally:
            self._background.shutdown()
            with _names_file(self._file.name):
                self._file.close()
            self._tensorboard.close()
            if self._wandb is not None:
                self._wandb.close()

    def _wait_for_picture(self) -> None:
        picture, self._picture = self._picture, None
        if picture is not None:
            picture.result()


class _TensorBoardFile:
    """What TensorBoard shows, written by whoever calls.

    tensorboardX's own SummaryWriter writes in a thread, which a full disk ends with a
    traceback, and which everyone then waits for.
    """

    # Written to the disk so often: TensorBoard need not see each number at once.
    _seconds = 10.0

    def __init__(self, folder: Path, *, first_step: int):
        from tensorboardX.proto import event_pb2
        from tensorboardX.record_writer import RecordWriter

        folder.mkdir(parents=True, exist_ok=True)
        now = time.time()
        name = f"events.out.tfevents.{now:.0f}.{socket.gethostname()}.{first_step}"
        self._path = str(folder / name)
        self._protobuf: Any = event_pb2  # its names are made when it is imported
        self._writer = RecordWriter(self._path)
        self._lock = threading.Lock()
        self._flushed = 0.0
        self._write(file_version="brain.Event:2")
        # TensorBoard forgets what an earlier start wrote of steps that come again.
        session = self._protobuf.SessionLog
        start = session(status=session.START)
        self._write(step=first_step + 1, session_log=start)

    def scalars(self, step: int, values: dict[str, float]) -> None:
        from tensorboardX.summary import scalar

        for name, value in values.items():
            self._write(step=step, summary=scalar(name, value))

    def image(self, step: int, name: str, picture: np.ndarray) -> None:
        from tensorboardX.summary import image

        self._write(step=step, summary=image(name, picture, dataformats="HWC"))

    def close(self) -> None:
        with _names_file(self._path), self._lock:
            self._writer.close()

    def _write(self, **fields) -> None:
        event = self._protobuf.Event(wall_time=time.time(), **fields)
        with _names_file(self._path), self._lock:
            self._writer.write(event.SerializeToString())
            if time.monotonic() - self._flushed > self._seconds:
                self._writer.flush()
                self._flushed = time.monotonic()


@contextlib.contextmanager
def _names_file(path: str) -> Iterator[None]:
    """Puts the file's name into an `OSError` of a write, which has none."""
    try:
        yield
    except OSError as error:
        reason = error.strerror or first_line(error)
        raise OSError(f"{path}: cannot be written ({reason})") from error


def read_metrics(workdir: str | Path) -> list[dict[str, float]]:
    """Returns a run's measurements, oldest first; none where it wrote none.

    A line that a kill cut short, or that is damaged, is passed over.
    """
    return [measured for _, measured in _read_lines(Path(workdir) / "metrics.jsonl")]


def _read_lines(path: Path) -> list[tuple[str, dict[str, float]]]:
    """Returns the lines that are measurements, and what they say."""
    if not path.exists():
        return []
    found = []
    text = path.read_text(encoding="utf-8", errors="replace")
    for line in text.splitlines(keepends=True):
        with contextlib.suppress(ValueError, RecursionError):
            measured = json.loads(line)
            if isinstance(measured, dict) and all(
                isinstance(measured.get(key, 0), int | float)
                for key in ("step", "minutes")
            ):
                found.append((line, measured))
    return found


def _keep_lines_up_to(path: Path, step: int) -> None:
    if not path.exists():
        return
    kept = [line for line, m in _read_lines(path) if m.get("step", math.inf) <= step]
    content = "".join(kept).encode()
    if content != path.read_bytes():
        temporary = path.with_suffix(".tmp")
        temporary.write_bytes(content)
        os.replace(temporary, path)
