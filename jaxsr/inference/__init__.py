"""Run a network on pictures: `Upscaler(model, variables)(photo)`.

Arrays that come from files are uint8 or uint16 `[H, W, C]` (C: 1 gray, 2 gray + alpha,
3 RGB, 4 RGB + alpha); inside, pictures are float32 `[H, W, C]` in [0, 1]. Lengths of
`tile` and `overlap` are in pixels of the small (LR) picture.
"""

from jaxsr.inference.cascade import Cascade
from jaxsr.inference.programs import Device
from jaxsr.inference.tiles import AUTOMATIC_TILE_PIXELS, WHOLE_PICTURE_PIXELS
from jaxsr.inference.upscaler import Upscaler

__all__ = [
    "AUTOMATIC_TILE_PIXELS",
    "WHOLE_PICTURE_PIXELS",
    "Cascade",
    "Device",
    "Upscaler",
]
