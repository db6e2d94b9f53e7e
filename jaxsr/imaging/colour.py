"""Colour as MATLAB's rgb2ycbcr and ycbcr2rgb: ITU-R BT.601, studio range.

The functions take NumPy or JAX arrays `[..., 3]` and return the same kind. uint8 goes
to uint8, each value rounded half up and clipped to 0..255. Floats are in [0, 1], where
Y runs over [16/255, 235/255] and Cb, Cr over [16/255, 240/255]; they are not clipped.
"""

from typing import Any, TypeVar

import jax
import jax.numpy as jnp
import numpy as np

from jaxsr.errors import InputError

Image = TypeVar("Image", np.ndarray, jax.Array)

# MATLAB documents this matrix on RGB in [0, 1], giving Y, Cb, Cr in 0..255.
_FROM_RGB = np.array(
    [
        [65.481, 128.553, 24.966],
        [-37.797, -74.203, 112.0],
        [112.0, -93.786, -18.214],
    ]
)
_OFFSET = np.array([16.0, 128.0, 128.0])
_TO_RGB = np.linalg.inv(_FROM_RGB)


def rgb_to_ycbcr(image: Image) -> Image:
    """Returns Y, Cb, Cr `[..., 3]` of an RGB image `[..., 3]`.

    Raises:
        InputError: not three channels, or neither uint8 nor float.
    """
    return _affine(image, _FROM_RGB / 255, _OFFSET)


def rgb_to_y(image: Image) -> Image:
    """Returns the luma Y `[..., 1]` of an RGB image `[..., 3]`.

    Raises:
        InputError: not three channels, or neither uint8 nor float.
    """
    return _affine(image, _FROM_RGB[:1] / 255, _OFFSET[:1])


def gray_to_y(image: Image) -> Image:
    """Returns the luma Y `[..., 1]` of gray `[..., 1]`: that of three equal channels.

    Raises:
        InputError: not one channel, or neither uint8 nor float.
    """
    if image.ndim < 1 or image.shape[-1] != 1:
        raise InputError(f"gray: expected shape [..., 1], got {tuple(image.shape)}")
    return rgb_to_y(image.repeat(3, axis=-1))


def y_to_gray(luma: Image) -> Image:
    """Returns the gray image whose luma this is, both floats in [0, 1]."""
    weights, offset = float(_FROM_RGB[0].sum()), float(_OFFSET[0])
    return (255 * luma - offset) / weights


def ycbcr_to_rgb(image: Image) -> Image:
    """Returns RGB `[..., 3]` of a Y, Cb, Cr image `[..., 3]`.

    Raises:
        InputError: not three channels, or neither uint8 nor float.
    """
    return _affine(image, _TO_RGB * 255, -255 * (_TO_RGB @ _OFFSET))


def _affine(image: Any, matrix: np.ndarray, offset: np.ndarray) -> Any:
    """Returns `matrix @ pixel + offset`, both given for values of 0..255."""
    if image.ndim < 1 or image.shape[-1] != 3:
        raise InputError(f"colour: expected shape [..., 3], got {tuple(image.shape)}")
    library = np if isinstance(image, np.ndarray | np.generic) else jnp
    is_float = library.issubdtype(image.dtype, library.floating)
    if not is_float and image.dtype != np.uint8:
        raise InputError(f"colour: expected uint8 or float, got {image.dtype}")
    values: Any = image
    if is_float:
        offset = offset / 255
    else:
        values = image.astype(library.float64 if library is np else library.float32)
    # Plain sums, not a matrix product: accelerators round those to bfloat16 or TF32.
    channels = [
        sum(float(weight) * values[..., i] for i, weight in enumerate(row)) + float(add)
        for row, add in zip(matrix, offset, strict=True)
    ]
    result = library.stack(channels, axis=-1)
    if is_float:
        return result
    return library.clip(library.floor(result + 0.5), 0, 255).astype(np.uint8)
