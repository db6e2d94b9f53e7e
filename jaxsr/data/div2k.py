"""DIV2K through tensorflow-datasets, with the LR images that it ships.

Prepared as array records, which are read at random: the 800 images of about 2040x1400
need not be decoded all at once.
"""

import contextlib
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from jaxsr.data.sources import Source
from jaxsr.errors import InputError

_SCALES = (2, 3, 4)


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
    # The builder prints a line of its own, which is no result of ours.
    with contextlib.redirect_stdout(sys.stderr):
        builder: Any = tfds.builder(name, data_dir=place)
        if not builder.is_prepared():
            builder = tfds.builder(name, data_dir=place, file_format="array_record")
            try:
                builder.download_and_prepare()
            except OSError as error:
                downloads = Path(str(builder.data_dir)).parents[2] / "downloads"
                raise InputError(
                    f"{name} could not be prepared in {builder.data_dir}: {error}; its "
                    f"archives may also be put into {downloads}/manual, or given as "
                    f"PNG files by folder:PATH"
                ) from error
    try:
        return builder.as_data_source("train")
    except NotImplementedError as error:
        raise InputError(
            f"{name} in {builder.data_dir} was prepared in a format that cannot be "
            f"read at random, expected array_record: remove that folder, it is made "
            f"anew from the downloaded archives"
        ) from error
