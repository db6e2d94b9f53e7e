"""LR patches as photos are: blurred, shrunk by one filter or another, noisy, JPEG.

The first order of BSRGAN's degradations (Zhang et al., ICCV 2021, Sec. 3) in a fixed
order and milder, for pictures out of cameras rather than ruined ones: nothing here is
stronger than what a phone, a web page or a messenger does. All of it happens inside of
the compiled step; `jaxsr.data.photo_set` makes benchmarks, by other code.

    blur     Gaussian, along two axes at any angle, each standard deviation uniform in
             [0, 0.7] LR pixels
    shrink   MATLAB's bicubic, bilinear or the mean of a pixel's area, one in three each
    noise    every other patch: Gaussian, standard deviation uniform in [0, 10] of 255,
             the same in all channels or drawn for each, one in two each
    JPEG     nine in ten: quality uniform in [30, 95], chroma at half the resolution
"""

import functools

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float, Integer

from jaxsr.imaging import imresize
from jaxsr.imaging.jpeg_loss import jpeg_loss

MARGIN = 4
"""LR pixels around a patch that are cut off when it is made, whose edges are wrong."""

MOST_BLUR = 0.7
"""Largest standard deviation of the blur, in LR pixels."""

QUALITIES = (30, 95)
"""Range of JPEG's quality."""

# Of the seed's random streams; the split of it into two has 0 and 1.
_STREAM = 2
_MOST_NOISE = 10 / 255
_FILTERS = ("bicubic", "bilinear", "area")


def photo_batch(
    hr: jax.Array,
    step: Integer[jax.Array, ""],
    rows: Integer[jax.Array, " n"],
    *,
    scale: int,
    seed: int,
) -> dict[str, jax.Array]:
    """Returns HR patches without their margin, and the LR patches made from them.

    Args:
        hr: patches `[N, s*(p + 2*MARGIN), s*(p + 2*MARGIN), C]`, uint8 or in [0, 1].
        step: number of the batch.
        rows: number of each patch in the batch: what is drawn for it depends on seed,
            step and row alone.
        scale: s, the factor between LR and HR.
        seed: picks the stream.

    Returns:
        {"lr": float32 [N, p, p, C], "hr": [N, s*p, s*p, C] as it came}, LR in steps of
        1/255 as from files.
    """
    # Apart from those of the patches' order and places, in jaxsr.data.device_pipeline.
    apart = jax.random.fold_in(jax.random.key(seed), _STREAM)
    key = jax.random.fold_in(apart, step)
    keys = jax.vmap(jax.random.fold_in, (None, 0))(key, rows)
    values = hr.astype(jnp.float32) / 255 if hr.dtype == jnp.uint8 else hr
    degrade = functools.partial(photo_degradation, scale=scale)
    lr = jax.vmap(degrade)(values, keys)
    edge = scale * MARGIN
    return {
        "lr": lr[:, MARGIN:-MARGIN, MARGIN:-MARGIN],
        "hr": hr[:, edge:-edge, edge:-edge],
    }


def photo_degradation(
    hr: Float[jax.Array, "h w c"], key: jax.Array, *, scale: int
) -> Float[jax.Array, "h/{scale} w/{scale} c"]:
    """Returns what a camera and a JPEG file may have made of an image.

    Args:
        hr: in [0, 1]; both sides are multiples of the scale.
        key: decides what is drawn.
        scale: the factor by which the image shrinks.
    """
    blur_key, shrink_key, noise_key, jpeg_key = jax.random.split(key, 4)
    draws = jax.random.uniform(blur_key, (3,))
    x = blur(hr, MOST_BLUR * scale * draws[:2], jnp.pi * draws[2])
    x = _shrink(x, jax.random.randint(shrink_key, (), 0, len(_FILTERS)), scale)
    x = _with_noise(jnp.clip(x, 0, 1), noise_key)
    draws = jax.random.uniform(jpeg_key, (2,))
    low, high = QUALITIES
    compressed = jpeg_loss(x, low + (high - low) * draws[0])
    as_it_is = jnp.floor(jnp.clip(x, 0, 1) * 255 + 0.5) / 255
    return jnp.where(draws[1] < 0.9, compressed, as_it_is)


def blur(
    image: Float[jax.Array, "h w c"],
    deviations: Float[jax.Array, "2"],
    angle: Float[jax.Array, ""],
) -> Float[jax.Array, "h w c"]:
    """Returns the image blurred by a Gaussian, as if it went on round its edges.

    Args:
        deviations: standard deviations in pixels along the Gaussian's two axes.
        angle: of the first axis to the rows, in radians.
    """
    height, width, _ = image.shape
    # As a product with the Gaussian's own transform: exact, at a price independent of
    # its width, and no convolution with a kernel of its own for each image.
    down = 2 * jnp.pi * jnp.fft.fftfreq(height)[:, None]
    along = 2 * jnp.pi * jnp.fft.rfftfreq(width)[None, :]
    first = deviations[0] * (along * jnp.cos(angle) + down * jnp.sin(angle))
    second = deviations[1] * (down * jnp.cos(angle) - along * jnp.sin(angle))
    transfer = jnp.exp(-(first**2 + second**2) / 2)
    spectrum = jnp.fft.rfft2(image, axes=(0, 1)) * transfer[:, :, None]
    return jnp.fft.irfft2(spectrum, s=(height, width), axes=(0, 1))


def _shrink(image: jax.Array, which: jax.Array, scale: int) -> jax.Array:
    height, width, _ = image.shape
    rows, columns = (jnp.asarray(_filters(n, scale))[which] for n in (height, width))
    return jnp.einsum(
        "ih,jw,hwc->ijc", rows, columns, image, precision=jax.lax.Precision.HIGHEST
    )


@functools.cache
def _filters(length: int, scale: int) -> np.ndarray:
    """Returns the weights of each of `_FILTERS`, float32 [3, length/scale, length]."""
    count = length // scale
    bicubic = imresize(np.eye(length), output_size=(count, length))
    centres = (np.arange(count) + 0.5) * scale - 0.5
    away = np.abs(np.arange(length) - centres[:, None]) / scale
    bilinear = np.maximum(0, 1 - away)
    bilinear /= bilinear.sum(axis=1, keepdims=True)
    area = np.kron(np.eye(count), np.full((1, scale), 1 / scale))
    return np.stack([bicubic, bilinear, area]).astype(np.float32)


def _with_noise(x: jax.Array, key: jax.Array) -> jax.Array:
    level_key, each_key = jax.random.split(key)
    level, is_noisy, is_gray = jax.random.uniform(level_key, (3,))
    noise = jax.random.normal(each_key, x.shape)
    noise = jnp.where(is_gray < 0.5, noise[..., :1], noise)
    return x + jnp.where(is_noisy < 0.5, _MOST_NOISE * level, 0.0) * noise
