"""DIV2K through tensorflow-datasets, with the LR images that it ships.

Prepared as array records, which are read at random: the 800 images of about 2040x1400
need not be decoded all at once.
"""

import contextlib
import logging
import os
import sys
import threading
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from jaxsr.data.source import Source
from jaxsr.errors import InputError, first_line

_SCALES = (2, 3, 4)
_SECONDS_TO_ANSWER = 15.0


class Div2k(Source):
    """The 800 training images of DIV2K (Agustsson and Timofte, 2017) at one scale.

    tensorflow-datasets keeps each scale as a data set of its own, HR images included,
    in an order of its own and without the files' names: image 7 at x2 and image 7 at x3
    are two pictures. Nothing is downloaded or read before the first image is asked for.

    Args:
        scale: 2, 3 or 4.
        data_dir: the folder of data sets; default: the environment's JAXSR_DATA_DIR.
            Its subfolder `tensorflow_datasets` is used if there is one, else
            tensorflow-datasets' own place (TFDS_DATA_DIR or ~/tensorflow_datasets).
    """

    name = "div2k"

    def __init__(self, *, scale: int = 2, data_dir: str | Path | None = None):
        if scale not in _SCALES:
            raise InputError(f"div2k: expected a scale of 2, 3 or 4, got {scale}")
        self._scale = scale
        self._data_dir = data_dir
        self._examples: Sequence[Any] | None = None

    def __len__(self) -> int:
        return len(self._open())

    def image_name(self, index: int) -> str:
        return f"x{self._scale}-{index:04d}"

    def hr(self, index: int) -> np.ndarray:
        return self._open()[index]["hr"]

    def lr(self, index: int, scale: int) -> np.ndarray:
        if scale != self._scale:
            raise ValueError(
                f"div2k was opened at x{self._scale}: call at_scale({scale}) first"
            )
        return self._open()[index]["lr"]

    def lr_origin(self, scale: int) -> str:
        return f"those of DIV2K, bicubic x{scale}"

    def at_scale(self, scale: int) -> Source:
        if scale == self._scale:
            return self
        return Div2k(scale=scale, data_dir=self._data_dir)

    def _open(self) -> Sequence[Any]:
        if self._examples is None:
            self._examples = _prepare(self._scale, self._data_dir)
        return self._examples


def _prepare(scale: int, data_dir: str | Path | None) -> Sequence[Any]:
    """Returns the training examples, downloaded and prepared if they are not yet."""
    try:
        import tensorflow_datasets as tfds
    except ImportError as missing:
        raise InputError(
            "div2k needs tensorflow-datasets: "
            "python -m pip install 'jaxsr-superres[train]'"
        ) from missing

    root = data_dir or os.environ.get("JAXSR_DATA_DIR")
    ours = Path(root).expanduser() / "tensorflow_datasets" if root else None
    name = f"div2k/bicubic_x{scale}"
    place = ours if ours and ours.is_dir() else None
    with _quiet():
        builder: Any = tfds.builder(name, data_dir=place)
        if not builder.is_prepared():
            builder = tfds.builder(name, data_dir=place, file_format="array_record")
            downloads = Path(str(builder.data_dir)).parents[2] / "downloads"
            try:
                _announce(name, builder, downloads)
                builder.download_and_prepare()
            except Exception as error:  # of network, disk, archives: of many kinds
                raise InputError(
                    f"{name} could not be prepared in {builder.data_dir}: "
                    f"{first_line(error)}; its archives may also be put into "
                    f"{downloads}/manual, or given as PNG files by folder:PATH"
                ) from error
    try:
        return builder.as_data_source("train")
    except NotImplementedError as error:
        raise InputError(
            f"{name} in {builder.data_dir} was prepared in a format that cannot be "
            f"read at random, expected array_record: remove that folder, it is made "
            f"anew from the downloaded archives"
        ) from error


def _announce(name: str, builder: Any, downloads: Path) -> None:
    """Says what is going to be done, and finds out at once if it cannot be.

    Raises:
        OSError: archives are missing, and their server does not answer.
    """
    missing = [
        url
        for url in builder.builder_config.download_urls.values()
        if not _is_there(downloads, url, builder.url_infos[url])
    ]
    size = sum(builder.url_infos[url].size for url in missing) / 1e9
    todo = ""
    if missing:
        host = urllib.parse.urlsplit(missing[0]).hostname
        todo = f"downloading {size:.1f} GB from {host}, "
    print(f"{name}: {todo}preparing in {builder.data_dir}, once", file=sys.stderr)
    if missing:
        _check_answers(missing[0])


def _is_there(downloads: Path, url: str, info: Any) -> bool:
    """Returns whether an archive has been downloaded, by tensorflow-datasets or by
    hand."""
    from tensorflow_datasets.core.download.resource import get_dl_fname

    by_hand = downloads / "manual" / info.filename
    file = get_dl_fname(url, info.checksum)
    return any(
        path.exists()
        for path in (by_hand, downloads / "div2k" / file, downloads / file)
    )


def _check_answers(url: str) -> None:
    """Raises an `OSError` if a server is not there: tensorflow-datasets would try for
    minutes."""
    problem: list[OSError] = []

    def ask() -> None:
        try:
            request = urllib.request.Request(url, method="HEAD")
            urllib.request.urlopen(request, timeout=_SECONDS_TO_ANSWER).close()
        except urllib.error.HTTPError:
            pass  # it has answered
        except OSError as error:
            problem.append(error)

    # To look up a name has no timeout of its own.
    thread = threading.Thread(target=ask, daemon=True)
    thread.start()
    thread.join(_SECONDS_TO_ANSWER)
    host = urllib.parse.urlsplit(url).hostname
    if problem:
        reason = getattr(problem[0], "reason", problem[0])
        raise OSError(f"{host} cannot be reached ({first_line(reason)})")
    if thread.is_alive():
        raise OSError(f"{host} did not answer for {_SECONDS_TO_ANSWER:g} s")


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Keeps what the builder prints and its libraries log, but for errors, to itself;
    its bars are shown."""
    loggers = [logging.getLogger(name) for name in ("absl", "urllib3")]
    before = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(max(logger.level, logging.ERROR))
    try:
        with open(os.devnull, "w") as nowhere, contextlib.redirect_stdout(nowhere):
            yield
    finally:
        for logger, level in zip(loggers, before, strict=True):
            logger.setLevel(level)
