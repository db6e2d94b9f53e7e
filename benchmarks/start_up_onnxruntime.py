"""One photo enlarged by onnxruntime, by as short a program as there can be.

    python benchmarks/start_up_onnxruntime.py NETWORK.onnx PHOTO RESULT

`start_up.py` runs it.
"""

import sys

import numpy as np
import onnxruntime
from PIL import Image

network, photo, result = sys.argv[1:]
options = onnxruntime.SessionOptions()
options.log_severity_level = 3  # errors
session = onnxruntime.InferenceSession(
    network, options, providers=["CPUExecutionProvider"]
)
lr = np.asarray(Image.open(photo), np.float32).transpose(2, 0, 1)[None] / 255
sr = np.asarray(session.run(["sr"], {"lr": lr})[0])[0].transpose(1, 2, 0)
levels = (255 * sr).round().clip(0, 255).astype(np.uint8)
Image.fromarray(levels).save(result)
