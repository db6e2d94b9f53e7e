"""JPEG without the file, against Pillow's files."""

import io

import jax
import numpy as np
import pytest
from PIL import Image
from skimage import data

from jaxsr.errors import InputError
from jaxsr.imaging.jpeg_loss import jpeg_loss


def through_pillow(image: np.ndarray, quality: int) -> np.ndarray:
    file = io.BytesIO()
    colour = {"subsampling": "4:2:0"} if image.shape[-1] == 3 else {}
    Image.fromarray(image.squeeze()).save(file, "jpeg", quality=quality, **colour)
    return np.asarray(Image.open(file)).reshape(image.shape)


# Sides that are multiples of 16, of 8, of neither and odd.
@pytest.mark.parametrize("size", [(64, 96), (40, 56), (53, 61)])
@pytest.mark.parametrize("channels", [1, 3])
def test_it_loses_what_pillow_loses(size, channels):
    image = data.chelsea()[60 : 60 + size[0], 100 : 100 + size[1], :channels]
    compress = jax.jit(jpeg_loss)
    for quality in (10, 30, 49, 50, 75, 95, 100):
        theirs = through_pillow(image, quality).astype(float)
        ours = np.asarray(compress(image.astype(np.float32) / 255, quality)) * 255
        # libjpeg's integers round otherwise, here and there a coefficient to the next.
        assert np.abs(ours - theirs).mean() < 0.6
        if quality <= 50:
            assert np.abs(ours - theirs).mean() < np.abs(image - theirs).mean() / 3
        lost, expected = (((x - image) ** 2).mean() for x in (ours, theirs))
        assert lost == pytest.approx(expected, rel=0.03, abs=0.1)


def test_each_image_has_its_own_quality():
    image = data.astronaut()[:32, :48].astype(np.float32) / 255
    both = jax.jit(jpeg_loss)(np.stack([image, image]), np.array([20.0, 90.0]))
    for one, quality in zip(both, (20, 90), strict=True):
        np.testing.assert_allclose(one, jpeg_loss(image, quality), atol=1e-6)


def test_two_channels_are_refused():
    with pytest.raises(InputError, match="expected 1 or 3 channels, got 2"):
        jpeg_loss(np.zeros((8, 8, 2), np.float32), 50)
