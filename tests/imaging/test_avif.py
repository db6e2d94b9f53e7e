"""AVIF above 8 bits a channel, written by imagecodecs without loss."""

import sys

import imagecodecs
import numpy as np
import pytest
from PIL import features

from jaxsr.errors import InputError
from jaxsr.imaging import avif, read_image, write_image

pytestmark = pytest.mark.skipif(
    not (features.check("avif") and imagecodecs.AVIF.available), reason="no AVIF here"
)


def write(path, channels: int, bits: int) -> np.ndarray:
    random = np.random.default_rng(bits)
    samples = random.integers(0, 2**bits, (16, 24, channels), np.uint16)
    samples[0, :2] = [[0], [2**bits - 1]]
    image = samples.astype(np.uint8) if bits == 8 else samples
    content = imagecodecs.avif_encode(image.squeeze(), level=100, bitspersample=bits)
    path.write_bytes(content)
    return samples


@pytest.mark.parametrize("channels", [1, 3, 4])
@pytest.mark.parametrize("bits", [8, 10, 12])
def test_bits_kept(tmp_path, channels, bits):
    path = tmp_path / "a.avif"
    samples = write(path, channels, bits)
    dtype, peak = (np.uint8, 255) if bits == 8 else (np.uint16, 65535)
    expected = np.round(samples * (peak / (2**bits - 1))).astype(dtype)
    image = read_image(path)
    np.testing.assert_array_equal(image, expected)
    if bits > 8:
        write_image(tmp_path / "a.png", image)
        with pytest.raises(InputError, match="AVIF would lose the image's 16 bits"):
            write_image(tmp_path / "b.avif", image)


def test_bits_found_behind_the_pixels(tmp_path):
    """The order of a file's boxes is free, and pixels may look like any."""
    write(tmp_path / "a.avif", 3, 10)
    content = (tmp_path / "a.avif").read_bytes()
    meta, pixels = content.index(b"meta") - 4, content.index(b"mdat") - 4
    moved = content[:meta] + content[pixels:] + content[meta:pixels]
    assert avif.depth(content) == avif.depth(moved) == 10
    write(tmp_path / "b.avif", 3, 8)
    content = (tmp_path / "b.avif").read_bytes()
    like_12_bits = b"\0\0\0\x14mdatav1C\x81\0\x60" + 5 * b"\0"
    assert avif.depth(content + like_12_bits) == 8


def test_refused_without_imagecodecs(tmp_path, monkeypatch):
    write(tmp_path / "a.avif", 3, 10)
    monkeypatch.setitem(sys.modules, "imagecodecs", None)
    with pytest.raises(InputError, match=r"a\.avif: an AVIF of 10 bits .* pip install"):
        read_image(tmp_path / "a.avif")


def test_damaged_is_one_line(tmp_path):
    write(tmp_path / "a.avif", 3, 10)
    whole = np.fromfile(tmp_path / "a.avif", np.uint8)
    random = np.random.default_rng(0)
    for _ in range(200):
        damaged = whole.copy()
        at = random.integers(0, len(whole), 3)
        damaged[at] = random.integers(0, 256, 3)
        (tmp_path / "b.avif").write_bytes(damaged.tobytes())
        try:
            read_image(tmp_path / "b.avif")
        except InputError as error:
            assert "\n" not in str(error)
