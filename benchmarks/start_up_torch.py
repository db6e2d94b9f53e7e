"""One photo enlarged by rcbam_lite in PyTorch, by as short a program as there can be.

    python benchmarks/start_up_torch.py WEIGHTS PHOTO RESULT

`start_up.py` runs it.
"""

import sys

import numpy as np
import torch  # pyright: ignore[reportMissingImports]
from PIL import Image
from safetensors.torch import load_file
from torch_rcbam import RCBAM

weights, photo, result = sys.argv[1:]
network = RCBAM(scale=2, features=32, depth=6, pool_size=32).eval()
network.load_state_dict(load_file(weights))
network.to(memory_format=torch.channels_last)  # pyright: ignore[reportCallIssue]
lr = torch.from_numpy(np.asarray(Image.open(photo), np.float32) / 255)
with torch.inference_mode():
    sr = network(lr.permute(2, 0, 1)[None])[0].permute(1, 2, 0)
levels = (255 * sr).round().clamp(0, 255).to(torch.uint8)
Image.fromarray(levels.numpy()).save(result)
