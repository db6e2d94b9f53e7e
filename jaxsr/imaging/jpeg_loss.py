"""What JPEG takes from a picture: its own arithmetic, without the file.

As libjpeg-turbo writes and reads a file at a quality (ITU-T T.81, baseline, Annex K's
tables, chroma at half the resolution), inside jit, vmap and over a batch. Checked
against Pillow: values differ by 0.1 to 0.6 of 255 in the mean, the more the higher the
quality, since libjpeg's integers round otherwise; what is lost is the same.
"""

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from jaxsr.errors import InputError

# ITU-T T.81, tables K.1 and K.2, for quality 50.
_LUMA = np.array(
    [
        [16, 11, 10, 16, 24, 40, 51, 61],
        [12, 12, 14, 19, 26, 58, 60, 55],
        [14, 13, 16, 24, 40, 57, 69, 56],
        [14, 17, 22, 29, 51, 87, 80, 62],
        [18, 22, 37, 56, 68, 109, 103, 77],
        [24, 35, 55, 64, 81, 104, 113, 92],
        [49, 64, 78, 87, 103, 121, 120, 101],
        [72, 92, 95, 98, 112, 100, 103, 99],
    ]
)
_CHROMA = np.full((8, 8), 99)
_CHROMA[:4, :4] = [
    [17, 18, 24, 47],
    [18, 21, 26, 66],
    [24, 26, 56, 99],
    [47, 66, 99, 99],
]

# JFIF's colours, full range.
_FROM_RGB = np.array(
    [[0.299, 0.587, 0.114], [-0.168736, -0.331264, 0.5], [0.5, -0.418688, -0.081312]]
)
_TO_RGB = np.array([[1, 0, 1.402], [1, -0.344136, -0.714136], [1, 1.772, 0]])

# Orthonormal, frequencies by pixels.
_DCT = np.cos(np.pi / 8 * np.outer(np.arange(8), np.arange(8) + 0.5)) / 2
_DCT[0] /= np.sqrt(2)


def jpeg_loss(
    images: Float[jax.Array, "*n h w c"], quality: Float[jax.Array, "*n"] | float
) -> Float[jax.Array, "*n h w c"]:
    """Returns images as they come out of a JPEG file.

    Args:
        images: `[..., H, W, C]` in [0, 1], gray or RGB; rounded to 255 steps first.
        quality: 1 to 100, libjpeg's scale, one for each image or for all.

    Returns:
        float32, multiples of 1/255 in [0, 1].

    Raises:
        InputError: neither one nor three channels.
    """
    if images.shape[-1] not in (1, 3):
        raise InputError(f"jpeg_loss: expected 1 or 3 channels, got {images.shape[-1]}")
    pixels = _round(jnp.clip(images.astype(jnp.float32), 0, 1) * 255)
    *batch, height, width, channels = pixels.shape
    quality = jnp.broadcast_to(jnp.asarray(quality, jnp.float32), batch)
    if channels == 1:
        luma = _quantise(pixels[..., 0], _LUMA, quality)
        return luma[..., None] / 255
    offset = jnp.array([0, 128, 128], jnp.float32)
    planes = _round(_mix(pixels, _FROM_RGB) + offset)
    luma = _quantise(planes[..., 0], _LUMA, quality)
    chroma = jnp.moveaxis(planes[..., 1:], -1, 0)
    chroma = _double(_quantise(_halve(chroma), _CHROMA, quality))[..., :height, :width]
    planes = jnp.stack([luma, *chroma], axis=-1)
    return _clip(_round(_mix(planes - offset, _TO_RGB))) / 255


def _round(x: jax.Array) -> jax.Array:
    return jnp.floor(x + 0.5)


def _clip(x: jax.Array) -> jax.Array:
    return jnp.clip(x, 0, 255)


def _mix(pixels: jax.Array, matrix: np.ndarray) -> jax.Array:
    # Plain sums, not a matrix product: accelerators round those to bfloat16 or TF32.
    channels = [
        sum(float(weight) * pixels[..., i] for i, weight in enumerate(row))
        for row in matrix
    ]
    return jnp.stack(channels, axis=-1)


def _quantise(plane: jax.Array, table: np.ndarray, quality: jax.Array) -> jax.Array:
    """Returns `[..., H, W]` of 0..255 after rounding its blocks' coefficients."""
    percent = jnp.where(quality < 50, jnp.floor(5000 / quality), 200 - 2 * quality)
    steps = jnp.asarray(table, jnp.float32) * percent[..., None, None]
    steps = jnp.clip(jnp.floor((steps + 50) / 100), 1, 255)[..., None, :, None, :]
    *batch, height, width = plane.shape
    rows, columns = -(-height // 8), -(-width // 8)
    padding = [(0, 0)] * len(batch) + [(0, 8 * rows - height), (0, 8 * columns - width)]
    blocks = jnp.pad(plane - 128, padding, mode="edge")
    blocks = blocks.reshape(*batch, rows, 8, columns, 8)
    exact = jax.lax.Precision.HIGHEST
    forward, back = "fi,gj,...aibj->...afbg", "fi,gj,...afbg->...aibj"
    levels = jnp.einsum(forward, _DCT, _DCT, blocks, precision=exact)
    levels = jnp.sign(levels) * _round(jnp.abs(levels) / steps)
    blocks = jnp.einsum(back, _DCT, _DCT, levels * steps, precision=exact)
    plane = blocks.reshape(*batch, 8 * rows, 8 * columns)[..., :height, :width]
    return _clip(_round(plane + 128))


def _halve(planes: jax.Array) -> jax.Array:
    """Returns means of 2x2 pixels, rounded up and down in turn as libjpeg does."""
    *batch, height, width = planes.shape
    padding = [(0, 0)] * len(batch) + [(0, height % 2), (0, width % 2)]
    planes = jnp.pad(planes, padding, mode="edge")
    sums = planes[..., ::2, :] + planes[..., 1::2, :]
    sums = sums[..., ::2] + sums[..., 1::2]
    bias = 1 + jnp.arange(sums.shape[-1], dtype=jnp.float32) % 2
    return jnp.floor((sums + bias) / 4)


def _double(planes: jax.Array) -> jax.Array:
    """Returns twice the size: 3/4 of the nearer pixel and 1/4 of the other one."""
    *batch, height, width = planes.shape
    padding = [(0, 0)] * len(batch) + [(1, 1), (1, 1)]
    padded = jnp.pad(planes, padding, mode="edge")
    near = 3 * padded[..., 1:-1, :]
    rows = jnp.stack([near + padded[..., :-2, :], near + padded[..., 2:, :]], axis=-2)
    rows = rows.reshape(*batch, 2 * height, width + 2)
    near = 3 * rows[..., 1:-1]
    left, right = near + rows[..., :-2] + 8, near + rows[..., 2:] + 7
    pixels = jnp.stack([left, right], axis=-1)
    return jnp.floor(pixels / 16).reshape(*batch, 2 * height, 2 * width)
