"""Benchmark sets whose LR images are blurred and compressed: "Set14-photo".

Each image is blurred by a Gaussian along two axes (standard deviations uniform in
[0, 0.7] LR pixels, any angle), shrunk by MATLAB's bicubic, and saved as JPEG (whole
quality uniform in [40, 90], chroma at half the resolution). What is drawn depends on
`SEED`, the scale and the image's number in its set. Training makes its images by other
code (`jaxsr.data.photo`): here all is float64 and files as Pillow writes them.
"""

import io
from pathlib import Path

import numpy as np
from PIL import Image

from jaxsr.data.photo import MOST_BLUR
from jaxsr.data.source import Source
from jaxsr.imaging import crop_to_multiple, imresize

SEED = 2026
QUALITIES = (40, 90)
SUFFIX = "-photo"


class PhotoSet(Source):
    """The images of a set, with LR images as photos are.

    Args:
        whole: the set, whose own LR images, if any, are not used.
    """

    def __init__(self, whole: Source):
        self._whole = whole
        self.name = whole.name + SUFFIX

    def __len__(self) -> int:
        return len(self._whole)

    def image_name(self, index: int) -> str:
        return self._whole.image_name(index)

    def hr(self, index: int) -> np.ndarray:
        return self._whole.hr(index)

    def lr(self, index: int, scale: int) -> np.ndarray:
        draw = np.random.Generator(np.random.PCG64([SEED, scale, index]))
        deviations = MOST_BLUR * scale * draw.random(2)
        angle = np.pi * draw.random()
        low, high = QUALITIES
        quality = low + int((high - low + 1) * draw.random())
        hr = crop_to_multiple(self.hr(index), scale)
        return _through_jpeg(imresize(_blur(hr, deviations, angle), 1 / scale), quality)

    def image_files(self, index: int, scale: int) -> list[Path]:
        return self._whole.image_files(index, scale)[:1]

    def is_scored_from_own_lr(self, scale: int) -> bool:
        del scale
        return True

    def lr_origin(self, scale: int) -> str:
        del scale
        return f"blurred and compressed (seed {SEED})"

    def at_scale(self, scale: int) -> Source:
        whole = self._whole.at_scale(scale)
        return self if whole is self._whole else PhotoSet(whole)


def _blur(image: np.ndarray, deviations: np.ndarray, angle: float) -> np.ndarray:
    """Returns `[H, W, C]` of 0..1 blurred by a Gaussian, mirrored at its edges."""
    height, width = image.shape[:2]
    reach = int(np.ceil(6 * max(deviations))) + 1
    around = ((reach, reach), (reach, reach), (0, 0))
    padded = np.pad(image / 255, around, mode="symmetric")
    size = padded.shape[:2]
    down = 2 * np.pi * np.fft.fftfreq(size[0])[:, None]
    along = 2 * np.pi * np.fft.rfftfreq(size[1])
    first = deviations[0] * (along * np.cos(angle) + down * np.sin(angle))
    second = deviations[1] * (down * np.cos(angle) - along * np.sin(angle))
    transfer = np.exp(-(first**2 + second**2) / 2)[:, :, None]
    blurred = np.fft.irfft2(np.fft.rfft2(padded, axes=(0, 1)) * transfer, size, (0, 1))
    return blurred[reach : reach + height, reach : reach + width]


def _through_jpeg(image: np.ndarray, quality: int) -> np.ndarray:
    pixels = np.floor(np.clip(image, 0, 1) * 255 + 0.5).astype(np.uint8)
    file = io.BytesIO()
    gray = pixels.shape[-1] == 1
    kind = {} if gray else {"subsampling": "4:2:0"}
    picture = Image.fromarray(pixels[..., 0] if gray else pixels)
    picture.save(file, "jpeg", quality=quality, **kind)
    return np.asarray(Image.open(file)).reshape(pixels.shape)
