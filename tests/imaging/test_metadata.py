"""What files tell beside pixels: kept from each format in each that can hold it."""

import io
import struct
import zlib

import numpy as np
import pytest
from PIL import Image, ImageCms

from jaxsr.imaging import Metadata, read_picture, write_image
from jaxsr.imaging.files import SUFFIXES
from tests.imaging.png_chunk import chunk

RGB_PROFILE = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
GRAY_PROFILE = RGB_PROFILE[:16] + b"GRAY" + RGB_PROFILE[20:]
CMYK_PROFILE = RGB_PROFILE[:16] + b"CMYK" + RGB_PROFILE[20:]

CAMERA, PLACE = 0x8769, 0x8825
DATE = "2021:03:04 05:06:07"


def exif() -> Image.Exif:
    """Of a photo of 20x10 pixels that is to be turned right, at 300x200 dpi."""
    exif = Image.Exif()
    exif[0x0112] = 6
    exif[271] = "Maker"
    exif[282], exif[283], exif[296] = 300.0, 200.0, 2
    exif.get_ifd(CAMERA).update({0x9003: DATE, 0xA002: 20, 0xA003: 10})
    exif.get_ifd(CAMERA)[0x927C] = b"the maker's own"
    exif.get_ifd(PLACE).update({1: "N", 2: (10.0, 20.0, 30.0)})
    return exif


def photo(channels=3) -> np.ndarray:
    random = np.random.default_rng(0)
    return random.integers(0, 256, (10, 20, channels), np.uint8)


# Pillow writes no camera's directory into a TIFF, hence the one through jaxsr below.
@pytest.mark.parametrize("source", [".png", ".jpg", ".webp", ".avif", ".tif"])
@pytest.mark.parametrize("target", SUFFIXES)
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_kept_from_each_format_in_each(tmp_path, source, target, dtype):
    if source not in SUFFIXES:
        pytest.skip("this Pillow has no AVIF")
    if dtype == np.uint16 and target not in (".png", ".tif", ".tiff"):
        pytest.skip("holds 8 bits only")
    path = tmp_path / f"in{source}"
    first = tmp_path / "in.png" if source == ".tif" else path
    options = {"exif": exif(), "icc_profile": RGB_PROFILE, "dpi": (300, 200)}
    Image.fromarray(photo()).save(first, **options)
    if source == ".tif":
        write_image(path, *read_picture(first))
    pixels, metadata = read_picture(path)
    assert pixels.shape == (20, 10, 3)  # turned once
    enlarged = pixels.repeat(3, axis=0).repeat(3, axis=1)
    if dtype == np.uint16:
        enlarged = enlarged.astype(dtype) * np.uint16(257)
    write_image(tmp_path / f"out{target}", enlarged, metadata)

    with Image.open(tmp_path / f"out{target}") as image:
        assert image.size == (30, 60)
        dpi = image.info.get("dpi")
        if target in (".webp", ".avif"):
            dpi = image.getexif()[282], image.getexif()[283]
        np.testing.assert_allclose([float(v) for v in dpi], (200, 300), rtol=1e-4)
        if target != ".bmp":
            assert image.info["icc_profile"] == RGB_PROFILE
            kept = image.getexif()
            camera = kept.get_ifd(CAMERA)
            assert 0x0112 not in kept and kept[271] == "Maker"
            assert camera[0x9003] == DATE and camera[0x927C] == b"the maker's own"
            assert (camera[0xA002], camera[0xA003]) == (30, 60)
            assert kept.get_ifd(PLACE)[2] == (10.0, 20.0, 30.0)
    again, _ = read_picture(tmp_path / f"out{target}")
    assert again.shape == enlarged.shape  # not turned a second time


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_nothing_to_keep(tmp_path, suffix):
    write_image(tmp_path / f"a{suffix}", photo())
    _, metadata = read_picture(tmp_path / f"a{suffix}")
    assert metadata.icc is None and metadata.exif is None


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".tif"])
@pytest.mark.parametrize("channels", [1, 3])
def test_profile_of_other_colours_left_out(tmp_path, channels, suffix):
    profiles = {1: GRAY_PROFILE, 3: RGB_PROFILE}
    image = photo(channels)
    pillows = Image.fromarray(image[..., 0] if channels == 1 else image)
    for profile in (GRAY_PROFILE, RGB_PROFILE, CMYK_PROFILE, b"no profile"):
        pillows.save(tmp_path / f"a{suffix}", icc_profile=profile)
        _, metadata = read_picture(tmp_path / f"a{suffix}")
        assert metadata.icc == (profile if profile == profiles[channels] else None)


def test_profile_of_ink_left_out(tmp_path):
    ink = Image.new("CMYK", (8, 8), (9, 0, 200, 0))
    for suffix in (".jpg", ".tif"):
        ink.save(tmp_path / f"a{suffix}", icc_profile=CMYK_PROFILE)
        pixels, metadata = read_picture(tmp_path / f"a{suffix}")
        assert pixels.shape == (8, 8, 3) and metadata.icc is None


def test_gray_profile_not_in_formats_without_gray(tmp_path):
    Image.fromarray(photo(1)[..., 0]).save(tmp_path / "a.png", icc_profile=GRAY_PROFILE)
    pixels, metadata = read_picture(tmp_path / "a.png")
    assert metadata.icc == GRAY_PROFILE
    write_image(tmp_path / "a.webp", pixels, metadata)
    with Image.open(tmp_path / "a.webp") as image:
        assert "icc_profile" not in image.info
    write_image(tmp_path / "a.jpg", pixels, metadata)
    with Image.open(tmp_path / "a.jpg") as image:
        assert image.info["icc_profile"] == GRAY_PROFILE


def png_with(*chunks: bytes) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(photo()).save(buffer, "PNG")
    content = buffer.getvalue()
    return content[:33] + b"".join(chunks) + content[33:]


def test_png_colours_kept(tmp_path):
    colours = [(b"cICP", b"\x0c\x0d\0\1"), (b"gAMA", struct.pack(">I", 45455))]
    (tmp_path / "a.png").write_bytes(png_with(*(chunk(*c) for c in colours)))
    pixels, metadata = read_picture(tmp_path / "a.png")
    for dtype in (np.uint8, np.uint16):
        write_image(tmp_path / "b.png", pixels.astype(dtype), metadata)
        content = (tmp_path / "b.png").read_bytes()
        assert all(chunk(*c) in content for c in colours)


BROKEN = {
    "2 MB of text": chunk(b"zTXt", b"a\0\0" + zlib.compress(b"A" * 2**21)),
    "200 MB of text": chunk(b"zTXt", b"a\0\0" + zlib.compress(b"A" * 200 * 2**20, 1)),
    "text of a wrong checksum": chunk(b"tEXt", b"a\0b")[:-1] + b"\0",
    "EXIF cut short": chunk(b"eXIf", b"\0\x08\0\2\1\x12\0\3"),
    "EXIF of another byte order": chunk(b"eXIf", b"II\0*\0\0\0\x08\0\1"),
    "EXIF in a circle": chunk(
        b"eXIf", b"II*\0\x08\0\0\0\1\0" + struct.pack("<HHII", 0x8769, 4, 1, 8) * 2
    ),
    "EXIF of a wrong checksum": chunk(b"eXIf", b"II*\0\x08\0\0\0")[:-1] + b"\0",
    "profile of no kind": chunk(b"iCCP", b"a\0\0" + zlib.compress(b"no profile")),
    "profile that does not inflate": chunk(b"iCCP", b"a\0\0 not compressed"),
    "profile without a name": chunk(b"iCCP", b""),
    "resolution of nothing": chunk(b"pHYs", struct.pack(">2IB", 0, 0, 1)),
    "resolution cut short": chunk(b"pHYs", b"\0"),
    "animation cut short": chunk(b"acTL", b"\0"),
}


@pytest.mark.parametrize("name", BROKEN)
def test_broken_metadata_of_png_vetoes_nothing(tmp_path, name):
    (tmp_path / "a.png").write_bytes(png_with(BROKEN[name]))
    pixels, metadata = read_picture(tmp_path / "a.png")
    np.testing.assert_array_equal(pixels, photo())
    assert metadata.icc is None and metadata.dpi is None
    write_image(tmp_path / "b.png", pixels, metadata)


@pytest.mark.parametrize("suffix", [".jpg", ".webp", ".png"])
def test_flipped_exif_vetoes_nothing(tmp_path, suffix):
    random = np.random.default_rng(0)
    # Orientation apart, for which a flip may rightly turn the picture.
    whole = exif()
    del whole[0x0112]
    content = np.frombuffer(whole.tobytes()[6:], np.uint8)
    for _ in range(60):
        damaged = content.copy()
        damaged[random.integers(0, 180, 3)] = random.integers(0, 256, 3)
        if 0x12 in damaged:
            continue
        path = tmp_path / f"a{suffix}"
        Image.fromarray(photo()).save(path, exif=b"Exif\0\0" + damaged.tobytes())
        pixels, metadata = read_picture(path)
        assert pixels.shape == (10, 20, 3)
        for target in SUFFIXES:
            write_image(tmp_path / f"out{target}", pixels, metadata)


def test_exif_too_long_for_jpeg(tmp_path):
    long = exif()
    long.get_ifd(CAMERA)[0x927C] = b"x" * 70_000
    Image.fromarray(photo()).save(tmp_path / "a.png", exif=long)
    pixels, metadata = read_picture(tmp_path / "a.png")
    write_image(tmp_path / "a.jpg", pixels, metadata)
    with Image.open(tmp_path / "a.jpg") as image:
        camera = image.getexif().get_ifd(CAMERA)
        assert camera[0x9003] == DATE and 0x927C not in camera


@pytest.mark.parametrize("dpi", [(70000.0, 300.0), (0.3, 0.3)])
def test_resolution_that_jpeg_cannot_hold_is_left_out(tmp_path, dpi):
    """It has 16 bits for it: 70000 would come back as 4464."""
    write_image(tmp_path / "a.jpg", photo(), Metadata(dpi=dpi))
    with Image.open(tmp_path / "a.jpg") as image:
        assert image.info.get("dpi") is None
    write_image(tmp_path / "b.jpg", photo(), Metadata(dpi=(300.0, 65535.0)))
    with Image.open(tmp_path / "b.jpg") as image:
        assert image.info["dpi"] == (300, 65535)
