"""The two protocols under which this field publishes PSNR and SSIM.

A protocol fixes what surrounds the two formulas: how the LR image is made from the HR,
which luma is compared, and what is rounded. A number without its protocol is worthless;
the same network differs by more than 0.1 dB between them. Both take luma by MATLAB's
`rgb2ycbcr`, crop the HR at the bottom and right to a multiple of the scale, and leave
`scale` pixels out on every side:

- "rgb", usual since EDSR: the LR is the uint8 image that MATLAB's `imresize` makes of
  the uint8 RGB; the SR is clipped and rounded to uint8 RGB; the lumas of the two uint8
  images are compared unrounded.
- "classic", from the time of luma networks (SRCNN to MemNet): everything happens on
  luma rounded to integers. The LR is `imresize` of that luma in floating point, neither
  rounded nor clipped; the luma of the SR is clipped and rounded. A colour network gets
  `imresize` of the HR colours in floating point instead, again neither rounded nor
  clipped; its SR is turned into luma, clipped, rounded and compared in the same way.

Images of a protocol are `[H, W, 1 or 3]`: uint8 in 0..255, uint16 in 0..65535, or float
in [0, 1].

One channel is gray, the same picture as three equal channels. The HR decides how gray
is compared, as in the authors' MATLAB code: an HR of one channel as it is, in 0..255,
one of three channels by its luma, in 16..235; the SR is brought to the HR's kind.
A luma network gets a gray picture as the luma of three equal channels, under "classic"
as it is, again as the authors' code.
Luma of a colour picture, a luma network's output, is no gray picture: whoever has it
says so (`score(..., luma=True)`).
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

import jax.numpy as jnp
import numpy as np

from jaxsr.errors import InputError
from jaxsr.imaging import crop_to_multiple, imresize, rgb_to_y, to_8_bits
from jaxsr.metrics import SSIM_WINDOW, psnr, ssim


@dataclass(frozen=True)
class Protocol:
    """How numbers are made; see the top of this module.

    Attributes:
        name: the name that every result carries.
        description: one line for a table's caption.
        degrade: `degrade(hr, scale, *, channels=3)` returns the LR image of a uint8 HR,
            [H/scale, W/scale, C], for a network of so many channels.
        luma: turns an image into what is compared, float64 [H, W] in 0..255.
    """

    name: str
    description: str
    degrade: Callable[..., np.ndarray]
    luma: Callable[[np.ndarray], np.ndarray]

    def score(
        self, sr: np.ndarray, hr: np.ndarray, scale: int, *, luma: bool = False
    ) -> dict[str, float]:
        """Returns `{"psnr": dB, "ssim": at most 1}` of `sr` against `hr`.

        Args:
            sr: the upscaled image; made gray or three equal channels as `hr` is.
            hr: the original, cropped here to a multiple of the scale.
            scale: the border left out on each side, in pixels.
            luma: whether a one-channel `sr` is not gray, but the luma of a colour `hr`.

        Raises:
            InputError: a scale below 1; no images, or one that is not finite; an HR
                image of floats beyond [0, 1], or an SR image that is right but for 0 to
                255; the sizes do not fit, or too little is left for SSIM; a gray `sr`
                beside an `hr` of colours.
        """
        if not scale >= 1:
            raise InputError(f"scale: expected a whole number from 1 on, got {scale}")
        for name, image in (("SR", sr), ("HR", hr)):
            _check_image(image, name)
        # An SR image may hold anything, where a network has not learned much.
        if hr.dtype.kind != "u" and not _is_in_unit_range(hr):
            raise InputError(
                f"the HR image holds {float(hr.min()):g} to {float(hr.max()):g}, "
                "expected floats in [0, 1]"
            )
        whole, hr = hr, crop_to_multiple(hr, scale)
        if sr.shape[:2] != hr.shape[:2]:
            cropped = f", {_size(whole)}, cropped to a multiple of {scale}"
            raise InputError(
                f"the SR image is {_size(sr)}, expected {_size(hr)}: the HR image"
                f"{'' if hr.shape == whole.shape else cropped}"
            )
        smallest = SSIM_WINDOW + 2 * scale
        if min(hr.shape[:2]) < smallest:
            raise InputError(
                f"the HR image is {_size(hr)}, expected at least {smallest}x{smallest} "
                f"to compare x{scale} images"
            )
        if hr.shape[2] == 1 and sr.shape[2] == 3:
            sr = _as_floats(sr).mean(axis=2, keepdims=True)
        elif hr.shape[2] == 3 and sr.shape[2] == 1 and not luma:
            if (hr != hr[..., :1]).any():
                raise InputError(
                    "the SR image is gray and the HR image is not, expected "
                    "colours (luma alone is scored by --luma)"
                )
            sr = np.repeat(sr, 3, axis=2)
        if sr.dtype.kind != "u" and float(sr.max()) > 2:
            # Nearer to the original than its mean is: a picture, and no failed one.
            divided, right = self.luma(_as_floats(sr) / 255), self.luma(hr)
            if 2 * np.abs(divided - right).mean() < np.abs(right - right.mean()).mean():
                raise InputError(
                    f"the SR image holds {float(sr.min()):g} to {float(sr.max()):g}, "
                    "expected floats in [0, 1]"
                )
        a, b = (self.luma(image)[scale:-scale, scale:-scale] for image in (sr, hr))
        return {"psnr": psnr(a, b), "ssim": ssim(a, b)}


def _check_image(image: np.ndarray, name: str) -> None:
    if image.ndim != 3 or image.shape[2] not in (1, 3):
        raise InputError(
            f"the {name} image has shape {list(image.shape)}, expected [H, W, 1 or 3]"
        )
    if image.dtype in (np.uint8, np.uint16):
        return
    if image.dtype.kind != "f" and image.dtype != jnp.bfloat16:
        raise InputError(
            f"the {name} image is {image.dtype}, expected uint8, uint16 or floats in "
            "[0, 1]"
        )
    if not np.isfinite(image).all():
        raise InputError(f"the {name} image holds values that are not finite")


def _is_in_unit_range(image: np.ndarray) -> bool:
    slack = 0.01  # of computing in half precision
    return -slack <= float(image.min()) and float(image.max()) <= 1 + slack


def _as_floats(image: np.ndarray) -> np.ndarray:
    """Returns float64, integers divided by the largest that there can be."""
    floats = np.asarray(image, np.float64)
    return floats / np.iinfo(image.dtype).max if image.dtype.kind == "u" else floats


def _size(image: np.ndarray) -> str:
    return f"{image.shape[1]}x{image.shape[0]}"


def _check_uint8(hr: np.ndarray, scale: int) -> None:
    if hr.dtype != np.uint8 or hr.ndim != 3 or hr.shape[2] not in (1, 3):
        raise ValueError(
            f"expected a uint8 image [H, W, 1 or 3], got {hr.dtype} {list(hr.shape)}"
        )
    if min(hr.shape[:2]) < scale:
        raise InputError(
            f"the HR image is {_size(hr)}, expected at least {scale}x{scale} to "
            f"shrink it by {scale}"
        )


def to_uint8(image: np.ndarray) -> np.ndarray:
    """Returns an image as uint8: a float one in [0, 1] is clipped, all are rounded."""
    if image.dtype in (np.uint8, np.uint16):
        return to_8_bits(image)
    levels = np.asarray(image, np.float64) * 255
    np.clip(levels, 0, 255, out=levels)
    levels += 0.5
    return np.floor(levels, out=levels).astype(np.uint8)


def _rgb_degrade(hr: np.ndarray, scale: int, *, channels: int = 3) -> np.ndarray:
    """Returns uint8; `channels` plays no part: every network starts from one file."""
    _check_uint8(hr, scale)
    return imresize(crop_to_multiple(hr, scale), 1 / scale)


def _rgb_luma(image: np.ndarray) -> np.ndarray:
    image = to_uint8(image)
    if image.shape[2] == 1:
        return image[..., 0].astype(np.float64)
    return rgb_to_y(image.astype(np.float64) / 255)[..., 0] * 255


def _classic_degrade(hr: np.ndarray, scale: int, *, channels: int = 3) -> np.ndarray:
    """Returns float64 around [0, 1], unclipped; luma where the network takes luma."""
    _check_uint8(hr, scale)
    hr = crop_to_multiple(hr, scale)
    if channels == 1 and hr.shape[2] == 3:
        hr = rgb_to_y(hr)
    return imresize(hr.astype(np.float64), 1 / scale) / 255


def _classic_luma(image: np.ndarray) -> np.ndarray:
    if image.dtype == np.uint16:
        image = to_uint8(image)
    luma = image if image.shape[2] == 1 else rgb_to_y(image)
    return to_uint8(luma)[..., 0].astype(np.float64)


PROTOCOLS: Mapping[str, Protocol] = MappingProxyType(
    {
        "rgb": Protocol(
            "rgb",
            "luma of uint8 RGB images, unrounded, border of `scale` pixels left out",
            _rgb_degrade,
            _rgb_luma,
        ),
        "classic": Protocol(
            "classic",
            "luma rounded to integers, LR images not rounded, border of `scale` pixels "
            "left out",
            _classic_degrade,
            _classic_luma,
        ),
    }
)


def get_protocol(name: str) -> Protocol:
    """Returns the protocol `name`.

    Raises:
        InputError: there is none of that name; the message lists those that exist.
    """
    if name not in PROTOCOLS:
        raise InputError(
            f"unknown protocol {name!r}: expected one of {', '.join(PROTOCOLS)}"
        )
    return PROTOCOLS[name]
