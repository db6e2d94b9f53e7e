"""Where a run's numbers and pictures go: `metrics.jsonl` and TensorBoard files."""

import concurrent.futures
import contextlib
import json
import math
import os
from collections.abc import Callable
from pathlib import Path

import numpy as np


class MetricLog:
    """Writes one run's measurements; only one process may have one.

    `metrics.jsonl` has one line a measurement, `{"step": 100, "loss": 0.01, ...}`; the
    folder `tensorboard/` holds the same numbers and the pictures. "minutes" add up over
    the starts of a run: they are what it took to reach the step, without the steps that
    were lost because a kill came before their checkpoint.
    """

    def __init__(self, workdir: str | Path, *, first_step: int):
        """Opens the files for going on after `first_step`.

        Lines of later steps, from a run that was killed after its last checkpoint, are
        dropped: those steps are about to be done again.
        """
        from tensorboardX import SummaryWriter

        workdir = Path(workdir)
        workdir.mkdir(parents=True, exist_ok=True)
        path = workdir / "metrics.jsonl"
        _keep_lines_up_to(path, first_step)
        earlier = read_metrics(workdir)
        self._minutes_before = earlier[-1].get("minutes", 0.0) if earlier else 0.0
        self._file = path.open("a", encoding="utf-8")
        self._writer = SummaryWriter(
            str(workdir / "tensorboard"), purge_step=first_step + 1
        )
        self._background = concurrent.futures.ThreadPoolExecutor(1)
        self._picture: concurrent.futures.Future[None] | None = None

    def __enter__(self) -> "MetricLog":
        return self

    def __exit__(self, *exception) -> None:
        self.close()

    def scalars(self, step: int, values: dict[str, float]) -> None:
        """Writes numbers of a step; a name such as "Set5/psnr" makes a group."""
        if "minutes" in values:
            values = {**values, "minutes": self._minutes_before + values["minutes"]}
        finite = {k: v if math.isfinite(v) else None for k, v in values.items()}
        self._file.write(json.dumps({"step": step, **finite}) + "\n")
        self._file.flush()
        for name, value in values.items():
            self._writer.add_scalar(name, value, step)

    def image(self, step: int, name: str, draw: Callable[[], np.ndarray]) -> None:
        """Writes the uint8 picture `[H, W, C]` that `draw` returns to the TensorBoard
        files.

        It is drawn in the background, one picture at a time. What goes wrong is raised
        by the next call or by `close`.
        """

        def write() -> None:
            self._writer.add_image(name, draw(), step, dataformats="HWC")

        self._wait_for_picture()
        self._picture = self._background.submit(write)

    def close(self) -> None:
        """Ends the files, after the picture that is being drawn."""
        try:
            self._wait_for_picture()
        finally:
            self._background.shutdown()
            self._file.close()
            self._writer.close()

    def _wait_for_picture(self) -> None:
        picture, self._picture = self._picture, None
        if picture is not None:
            picture.result()


def read_metrics(workdir: str | Path) -> list[dict[str, float]]:
    """Returns a run's measurements, oldest first; none where it wrote none.

    A line that a kill cut short is passed over.
    """
    path = Path(workdir) / "metrics.jsonl"
    if not path.exists():
        return []
    measured = []
    for line in path.read_text(encoding="utf-8").splitlines():
        with contextlib.suppress(ValueError):
            measured.append(json.loads(line))
    return measured


def _keep_lines_up_to(path: Path, step: int) -> None:
    if not path.exists():
        return
    lines = path.read_text(encoding="utf-8").splitlines(keepends=True)
    kept = []
    for line in lines:
        try:
            if json.loads(line)["step"] > step:
                continue
        except (ValueError, KeyError):
            continue  # the last line of a killed run may be cut short
        kept.append(line)
    if kept != lines:
        temporary = path.with_suffix(".tmp")
        temporary.write_text("".join(kept), encoding="utf-8")
        os.replace(temporary, path)
