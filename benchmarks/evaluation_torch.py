"""A benchmark set through rcbam_lite x2 in PyTorch, twice; times the second.

    python benchmarks/evaluation_torch.py WEIGHTS FOLDER

FOLDER has the images as hr/*.png and lr/*.png; those of lr are read before the clock
starts. A plain loop as one writes it: read, enlarge, clip and round, PSNR of luma with
two pixels left out on every side. Prints JSON; `evaluation.py` runs it.
"""

import json
import sys
import time
from pathlib import Path

import numpy as np
import torch  # pyright: ignore[reportMissingImports]
from PIL import Image
from safetensors.torch import load_file
from torch_rcbam import RCBAM

_SCALE = 2
# MATLAB's rgb2ycbcr, of 0..255.
_LUMA = np.array([65.481, 128.553, 24.966]) / 255


def enlarge(network: torch.nn.Module, lr: np.ndarray) -> np.ndarray:
    x = torch.from_numpy(lr).permute(2, 0, 1)[None].float() / 255
    sr = (255 * network(x)[0]).round().clamp(0, 255)
    return sr.permute(1, 2, 0).numpy()


def psnr(sr: np.ndarray, hr: np.ndarray) -> float:
    inner = slice(_SCALE, -_SCALE)
    error = ((sr - hr)[inner, inner] @ _LUMA) ** 2
    return float(10 * np.log10(255**2 / error.mean()))


def main(weights: str, folder: str) -> None:
    network = RCBAM(scale=_SCALE, features=32, depth=6, pool_size=32).eval()
    network.load_state_dict(load_file(weights))
    network.to(memory_format=torch.channels_last)  # pyright: ignore[reportCallIssue]
    paths = sorted(Path(folder, "hr").iterdir())
    small = {
        path: np.array(Image.open(Path(folder, "lr", path.name))) for path in paths
    }

    def score(path: Path) -> float:
        sr = enlarge(network, small[path])
        height, width, _ = sr.shape
        return psnr(sr, np.asarray(Image.open(path), np.float32)[:height, :width])

    with torch.inference_mode():
        for _ in range(2):
            wall, processor = time.perf_counter(), time.process_time()
            scores = [score(path) for path in paths]
            wall, processor = (
                time.perf_counter() - wall,
                time.process_time() - processor,
            )
    figures = {"wall": wall, "processor": processor, "psnr": float(np.mean(scores))}
    print(json.dumps(figures))


main(*sys.argv[1:])
