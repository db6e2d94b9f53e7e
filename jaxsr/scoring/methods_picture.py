"""The figure of the field's papers: one picture, and its detail by every method."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from jaxsr.data import Source
from jaxsr.errors import InputError, named
from jaxsr.imaging import crop_to_multiple, imresize
from jaxsr.inference import Upscaler
from jaxsr.protocols import get_protocol, to_uint8
from jaxsr.scoring.network import super_resolve
from jaxsr.scoring.picture import as_rgb, most_gained
from jaxsr.scoring.sets import image_titles, lr_image, open_sets

_GAP, _TEXT = 6, 24


def methods_picture(
    methods: Mapping[str, Upscaler],
    benchmark: str | Source,
    image: str,
    *,
    data_dir: str | Path | None = None,
    crop: int = 72,
    side: int = 216,
) -> np.ndarray:
    """Returns the whole picture with a frame and that crop by every method, uint8 RGB.

    HR, bicubic and the methods stand in two rows, above "PSNR / SSIM" of the whole
    picture, protocol "rgb". The crop is where the last of the methods gains most over
    bicubic.

    Args:
        methods: label -> network, all of one scale.
        benchmark: a name that `jaxsr.data.open_benchmark` knows, or an opened source.
        image: the picture's name in it, without ending.
        data_dir: where the sets are; by default the environment's JAXSR_DATA_DIR.
        crop: its side in HR pixels.
        side: of a crop as it is shown.

    Raises:
        InputError: no such set or picture, or networks of several scales.
    """
    scales = {upscaler.scale for upscaler in methods.values()}
    if len(scales) != 1:
        raise InputError(f"methods: expected networks of one scale, got {scales}")
    (scale,) = scales
    ((set_name, source),) = open_sets(
        [benchmark], scale=scale, data_dir=data_dir
    ).items()
    names = image_titles(source)
    if image not in names:
        raise InputError(
            f"{set_name}: no picture {image}, expected one of {', '.join(names)}"
        )
    rules = get_protocol("rgb")
    hr = crop_to_multiple(source.hr(names.index(image)), scale)
    lr = lr_image(source, names.index(image), scale, rules)
    bicubic = imresize(lr, scale)
    results = {"HR": hr, "bicubic": bicubic}
    for name, upscaler in methods.items():
        with named(f"{set_name} {image}, {name}"):
            sr = super_resolve(upscaler, lr, run=upscaler.run)[0]
        results[name] = to_uint8(sr)
    crop = min(crop, *hr.shape[:2])
    top, left = most_gained(
        rules.luma(hr), rules.luma(bicubic), rules.luma(results[name]), crop, scale
    )
    panels = []
    for name, result in results.items():
        label = name
        if name != "HR":
            score = rules.score(result, hr, scale)
            label += f"  {score['psnr']:.2f} / {score['ssim']:.4f}"
        panels.append((label, result[top : top + crop, left : left + crop]))
    return _compose(hr, (left, top, left + crop, top + crop), panels, image, side)


def _compose(
    hr: np.ndarray,
    box: tuple[int, int, int, int],
    panels: list[tuple[str, np.ndarray]],
    image: str,
    side: int,
) -> np.ndarray:
    columns = -(-len(panels) // 2)
    cell = side + _GAP + _TEXT
    height = 2 * cell - _TEXT - _GAP
    whole = as_rgb(hr)
    whole_width = round(whole.width * height / whole.height)
    canvas = Image.new(
        "RGB",
        (whole_width + 2 * _GAP + columns * (side + _GAP), 2 * cell + _GAP),
        "white",
    )
    draw = ImageDraw.Draw(canvas)
    font = ImageFont.load_default(size=14)
    canvas.paste(
        whole.resize((whole_width, height), Image.Resampling.LANCZOS), (_GAP, _GAP)
    )
    zoom = height / whole.height
    frame = [_GAP + round(zoom * edge) for edge in box]
    draw.rectangle(frame, outline="red", width=3)
    draw.text((_GAP + whole_width / 2, _GAP + height + 3), image, "black", font, "ma")
    for k, (label, pixels) in enumerate(panels):
        x = whole_width + 2 * _GAP + k % columns * (side + _GAP)
        y = _GAP + k // columns * cell
        # Nearest neighbour shows pixels as they are.
        panel = as_rgb(pixels).resize((side, side), Image.Resampling.NEAREST)
        canvas.paste(panel, (x, y))
        draw.text((x + side / 2, y + side + 3), label, "black", font, "ma")
    return np.asarray(canvas)
