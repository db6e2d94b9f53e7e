"""What onnxruntime does in `forward.py`: enlarge, by the file that jaxsr exports."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnxruntime

from jaxsr.cpu import count_cores


def enlarging_side(path: Path, picture: np.ndarray) -> Callable[[], np.ndarray]:
    """Returns a function that enlarges the picture, `[H, W, C]`, to such an array."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = count_cores()
    options.log_severity_level = 3  # errors
    providers = ["CPUExecutionProvider"]
    session = onnxruntime.InferenceSession(path, options, providers=providers)

    def run() -> np.ndarray:
        lr = np.ascontiguousarray(picture.transpose(2, 0, 1)[None])
        return np.asarray(session.run(["sr"], {"lr": lr})[0])[0].transpose(1, 2, 0)

    return run
