"""LR, bicubic, SR and HR side by side."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from jaxsr.data import Source
from jaxsr.errors import named
from jaxsr.imaging import crop_to_multiple, imresize
from jaxsr.inference import Upscaler
from jaxsr.protocols import get_protocol, to_uint8
from jaxsr.scoring.network import super_resolve
from jaxsr.scoring.sets import image_titles, lr_image, open_sets


def comparison_picture(
    upscaler: Upscaler,
    benchmark: str | Source,
    *,
    name: str | None = None,
    data_dir: str | Path | None = None,
    rows: int = 4,
    crop: int = 96,
    zoom: int = 3,
) -> np.ndarray:
    """Returns LR, bicubic, SR and HR of a crop side by side, a row an image, uint8 RGB.

    The crop is where the network gains most over bicubic in squared error of luma, or,
    if it gains nowhere, where bicubic loses most. The PSNR under the crops is that of
    the whole image, protocol "rgb".

    Args:
        upscaler: the network with its parameters.
        benchmark: a name that `jaxsr.data.open_benchmark` knows, or an opened source.
        name: of the network under its crop; by default its class in lower case.
        data_dir: where the sets are; by default the environment's JAXSR_DATA_DIR.
        rows: how many of the images are shown, from the first on.
        crop: side of the crops in HR pixels.
        zoom: side in the picture of one HR pixel.
    """
    sources = open_sets([benchmark], scale=upscaler.scale, data_dir=data_dir)
    ((set_name, source),) = sources.items()
    name = name or type(upscaler.model).__name__.lower()
    strips = []
    for i, image in enumerate(image_titles(source)[:rows]):
        with named(f"{set_name} {image}"):
            crops = _comparison_crops(upscaler, source, i, crop, name)
        strips.append(_labelled_row(image, crops, crop * zoom))
    return np.concatenate(strips)


def _comparison_crops(
    upscaler: Upscaler, source: Source, index: int, crop: int, name: str
) -> list[tuple[str, np.ndarray]]:
    """Returns the labels and crops of LR, bicubic, SR and HR, uint8."""
    scale, rules = upscaler.scale, get_protocol("rgb")
    hr = crop_to_multiple(source.hr(index), scale)
    lr = lr_image(source, index, scale, rules)
    bicubic = imresize(lr, scale)
    sr = to_uint8(super_resolve(upscaler, lr, run=upscaler.run)[0])
    crop = min(crop, *hr.shape[:2]) // scale * scale
    top, left = most_gained(
        rules.luma(hr), rules.luma(bicubic), rules.luma(sr), crop, scale
    )
    inside = np.s_[top : top + crop, left : left + crop]
    inside_lr = tuple(slice(s.start // scale, s.stop // scale) for s in inside)

    def label(method: str, image: np.ndarray) -> str:
        return f"{method} {rules.score(image, hr, scale)['psnr']:.2f} dB"

    return [
        (f"LR (1/{scale})", lr[inside_lr]),
        (label("bicubic", bicubic), bicubic[inside]),
        (label(name, sr), sr[inside]),
        ("HR", hr[inside]),
    ]


def most_gained(
    hr: np.ndarray, bicubic: np.ndarray, sr: np.ndarray, crop: int, step: int
) -> tuple[int, int]:
    """Returns top and left, multiples of `step`, of the crop that gains most.

    Args:
        hr, bicubic, sr: luma `[H, W]`.
        crop: side of the crop in pixels.
    """
    lost = (bicubic - hr) ** 2
    gained = _box_sums(lost - (sr - hr) ** 2, crop)[::step, ::step]
    if gained.max() <= 0:
        gained = _box_sums(lost, crop)[::step, ::step]
    top, left = np.unravel_index(np.argmax(gained), gained.shape)
    return int(top) * step, int(left) * step


def _box_sums(values: np.ndarray, side: int) -> np.ndarray:
    """Returns the sum of every square of that side, by its top left corner."""
    sums = np.pad(values, ((1, 0), (1, 0))).cumsum(0).cumsum(1)
    rows = sums[side:] - sums[:-side]
    return rows[:, side:] - rows[:, :-side]


def _labelled_row(
    image: str, crops: Sequence[tuple[str, np.ndarray]], side: int, gap: int = 6
) -> np.ndarray:
    """Returns the crops enlarged to `side`, each above its label, uint8 RGB."""
    text_height = 26
    width = len(crops) * (side + gap) + gap
    canvas = Image.new("RGB", (width, side + gap + text_height), "white")
    draw = ImageDraw.Draw(canvas)
    font = ImageFont.load_default(size=15)
    for k, (label, crop) in enumerate(crops):
        left = gap + k * (side + gap)
        # Nearest neighbour shows pixels as they are.
        panel = as_rgb(crop).resize((side, side), Image.Resampling.NEAREST)
        canvas.paste(panel, (left, gap))
        text = f"{image}: {label}" if k == 0 else label
        draw.text((left + side / 2, side + gap + 3), text, "black", font, "ma")
    return np.asarray(canvas)


def as_rgb(image: np.ndarray) -> Image.Image:
    """Returns a uint8 picture `[H, W, 1 or 3]` as Pillow's, in colour."""
    return Image.fromarray(np.broadcast_to(image, (*image.shape[:2], 3)).copy())
