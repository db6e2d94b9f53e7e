"""Damaged pictures of every format: read as pictures, or refused in one line."""

import io

import imagecodecs
import numpy as np
import pytest
import tifffile
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, ImageCms
from PIL.PngImagePlugin import PngInfo

from jaxsr.imaging import read_picture, write_image
from jaxsr.imaging.files import SUFFIXES
from tests.fuzz.fuzzing import bounded, damage, damages, fuzzed, with_right_checksums

_XMP = b"<x:xmpmeta xmlns:x='adobe:ns:meta/'><a/></x:xmpmeta>"


def _by_pillow(suffix: str, mode: str, **options) -> bytes:
    random = np.random.default_rng(len(mode))
    pixels = random.integers(0, 256, (21, 34, len(mode)), np.uint8)
    if mode in ("1", "P", "L"):
        image = Image.fromarray(pixels[..., 0]).convert(mode)
    else:
        image = Image.frombytes(mode, (34, 21), pixels.tobytes())
    buffer = io.BytesIO()
    image.save(buffer, Image.registered_extensions()[suffix], **options)
    return buffer.getvalue()


def _tiff(dtype=np.uint8, channels=3, **options) -> bytes:
    random = np.random.default_rng(channels)
    top = np.iinfo(dtype).max + 1
    pixels = random.integers(0, top, (21, 34, channels)).astype(dtype)
    if options.get("planarconfig") == "separate":
        pixels = np.moveaxis(pixels, -1, 0)
    buffer = io.BytesIO()
    tifffile.imwrite(buffer, pixels.squeeze(), **options)
    return buffer.getvalue()


def _whole() -> dict[str, bytes]:
    """Returns a whole file of each kind, by its name."""
    exif = Image.Exif()
    exif[0x0112], exif[271] = 6, "Maker"
    exif.get_ifd(0x8769)[0x9003] = "2021:03:04 05:06:07"
    icc = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    told = {"exif": exif, "icc_profile": icc}
    text = PngInfo()
    text.add_itxt("XML:com.adobe.xmp", _XMP.decode())
    random = np.random.default_rng(0)
    deep = random.integers(0, 1024, (21, 34, 3)).astype(np.uint16)
    buffer = io.BytesIO()
    Image.fromarray(deep[..., 0]).save(buffer, "PNG")
    files = {
        "plain.png": _by_pillow(".png", "RGB", pnginfo=text, dpi=(300, 300), **told),
        "alpha.png": _by_pillow(".png", "RGBA"),
        "gray.png": _by_pillow(".png", "L"),
        "bits.png": _by_pillow(".png", "1"),
        "palette.png": _by_pillow(".png", "P", transparency=3),
        "deep.png": buffer.getvalue(),
        "plain.jpg": _by_pillow(".jpg", "RGB", xmp=_XMP, **told),
        "progressive.jpg": _by_pillow(".jpg", "RGB", progressive=True),
        "gray.jpg": _by_pillow(".jpg", "L", restart_marker_blocks=2),
        "ink.jpg": _by_pillow(".jpg", "CMYK"),
        "plain.bmp": _by_pillow(".bmp", "RGB"),
        "palette.bmp": _by_pillow(".bmp", "P"),
        "lossless.webp": _by_pillow(".webp", "RGBA", lossless=True, xmp=_XMP, **told),
        "lossy.webp": _by_pillow(".webp", "RGB"),
        "plain.gif": _by_pillow(".gif", "P"),
        "plain.tif": _tiff(photometric="rgb"),
        "deep.tif": _tiff(np.uint16, photometric="rgb", compression="zlib"),
        "big.tif": _tiff(photometric="rgb", bigtiff=True, compression="packbits"),
        "tiles.tif": _tiff(photometric="rgb", tile=(16, 16), compression="lzw"),
        "planes.tif": _tiff(photometric="rgb", planarconfig="separate"),
        "gray.tif": _tiff(np.uint16, 1, photometric="minisblack", byteorder=">"),
        "ink.tif": _tiff(channels=4, photometric="separated"),
        "told.tif": _by_pillow(".tif", "RGB", compression="tiff_lzw", **told),
    }
    if ".avif" in SUFFIXES:
        files["plain.avif"] = _by_pillow(".avif", "RGB", xmp=_XMP, **told)
        if imagecodecs.AVIF.available:
            files["deep.avif"] = imagecodecs.avif_encode(deep, bitspersample=10)
    return files


WHOLE = _whole()
_LOSSLESS = (".png", ".tif", ".bmp", ".webp")


@pytest.mark.parametrize("name", WHOLE)
def test_whole_pictures_are_read(tmp_path, name):
    (tmp_path / name).write_bytes(WHOLE[name])
    assert read_picture(tmp_path / name)[0].shape[:2] in ((21, 34), (34, 21))


@fuzzed(examples=2000, share=0.3)
@given(
    name=st.sampled_from(sorted(WHOLE)),
    what=damages(),
    right_checksums=st.booleans(),
    target=st.sampled_from(SUFFIXES),
)
def test_damaged_pictures(tmp_path, capfd, name, what, right_checksums, target):
    content = damage(WHOLE[name], what)
    if name.endswith(".png") and right_checksums:
        content = with_right_checksums(content)
    path, out = tmp_path / name, tmp_path / f"out{target}"
    path.write_bytes(content)
    with bounded(f"pictures, {path.suffix}", megabytes=512):
        pixels, metadata = read_picture(path, max_megapixels=4)
        assert pixels.dtype in (np.uint8, np.uint16) and pixels.ndim == 3
        assert pixels.shape[-1] in (1, 2, 3, 4) and pixels.size
        pixels = pixels[:40, :40]
        out.unlink(missing_ok=True)
        write_image(out, pixels, metadata)
        again, _ = read_picture(out)
        assert again.shape[:2] == pixels.shape[:2]
        if target in _LOSSLESS and again.shape == pixels.shape:
            np.testing.assert_array_equal(again, pixels)
    assert capfd.readouterr() == ("", "")
    assert {p.name for p in tmp_path.iterdir()} <= {
        *WHOLE,
        *(f"out{s}" for s in SUFFIXES),
    }
