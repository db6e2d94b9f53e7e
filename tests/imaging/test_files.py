"""Image files of every kind the readme names, damaged ones, and a disk that is full."""

import os
import stat
import struct
import subprocess
import sys
import textwrap
import zlib

import numpy as np
import pytest
import tifffile
from PIL import Image, ImageOps
from PIL.PngImagePlugin import PngInfo

from jaxsr.errors import InputError
from jaxsr.imaging import list_images, read_image, read_image8, write_image
from tests.imaging.png_chunk import chunk


def random_image(channels: int, dtype: type = np.uint8) -> np.ndarray:
    random = np.random.default_rng(channels)
    top = np.iinfo(dtype).max
    return random.integers(0, top + 1, (13, 17, channels)).astype(dtype)


@pytest.mark.parametrize("suffix", [".png", ".tif", ".webp", ".bmp", ".PNG"])
@pytest.mark.parametrize("channels", [1, 3])
def test_write_image_uint8_reads_back(tmp_path, channels, suffix):
    image = random_image(channels)
    path = tmp_path / f"image{suffix}"
    write_image(path, image)
    result = read_image(path)
    if suffix == ".webp":  # has no gray: three equal channels come back
        image = np.broadcast_to(image, result.shape)
    assert result.dtype == np.uint8
    np.testing.assert_array_equal(result, image)
    assert os.listdir(tmp_path) == [path.name]


@pytest.mark.parametrize("suffix", [".png", ".tif"])
@pytest.mark.parametrize("channels", [2, 4])
def test_write_image_alpha_reads_back(tmp_path, channels, suffix):
    image = random_image(channels)
    write_image(tmp_path / f"image{suffix}", image)
    np.testing.assert_array_equal(read_image(tmp_path / f"image{suffix}"), image)


@pytest.mark.parametrize("channels", [1, 2, 3, 4])
def test_write_image_tiff_uint16_reads_back(tmp_path, channels):
    image = random_image(channels, np.uint16)
    write_image(tmp_path / "deep.tif", image)
    np.testing.assert_array_equal(read_image(tmp_path / "deep.tif"), image)
    theirs = tifffile.imread(tmp_path / "deep.tif")
    np.testing.assert_array_equal(theirs.reshape(image.shape), image)


@pytest.mark.parametrize("channels", [1, 2, 3, 4])
def test_write_image_uint16_reads_back(tmp_path, channels):
    image = random_image(channels, np.uint16)
    write_image(tmp_path / "deep.png", image)
    result = read_image(tmp_path / "deep.png")
    assert result.dtype == np.uint16
    np.testing.assert_array_equal(result, image)
    # Pillow, which knows nothing of how we write, sees the same high bytes.
    with Image.open(tmp_path / "deep.png") as theirs:
        theirs.load()
        if channels in (3, 4):
            np.testing.assert_array_equal(np.asarray(theirs), image >> 8)


@pytest.mark.parametrize("compression", [None, "zlib"])
@pytest.mark.parametrize("byteorder", ["<", ">"])
@pytest.mark.parametrize("channels", [1, 3, 4])
def test_read_image_tiff_uint16(tmp_path, channels, byteorder, compression):
    image = random_image(channels, np.uint16)
    tifffile.imwrite(
        tmp_path / "deep.tif",
        image[..., 0] if channels == 1 else image,
        photometric="minisblack" if channels == 1 else "rgb",
        extrasamples=["unassalpha"] if channels == 4 else None,
        byteorder=byteorder,
        compression=compression,
        predictor=bool(compression),
    )
    np.testing.assert_array_equal(read_image(tmp_path / "deep.tif"), image)


@pytest.mark.parametrize("depth", [1, 2, 4, 8])
def test_read_image_gray_of_any_depth_with_a_clear_gray(tmp_path, depth):
    largest = 2**depth - 1
    for clear in {0, 1, largest // 2, largest}:
        grays = [0, 1, largest, largest // 2] * 2
        bits = "".join(f"{gray:0{depth}b}" for gray in grays)
        row = b"\0" + int(bits, 2).to_bytes(len(bits) // 8, "big")
        path = tmp_path / f"{clear}.png"
        path.write_bytes(
            b"\x89PNG\r\n\x1a\n"
            + chunk(b"IHDR", struct.pack(">2I5B", len(grays), 1, depth, 0, 0, 0, 0))
            + chunk(b"tRNS", struct.pack(">H", clear))
            + chunk(b"IDAT", zlib.compress(row))
            + chunk(b"IEND", b"")
        )
        levels = [gray * 255 // largest for gray in grays]
        alpha = [0 if gray == clear else 255 for gray in grays]
        assert read_image(path)[0].tolist() == [
            list(pair) for pair in zip(levels, alpha, strict=True)
        ]


def test_read_image_uint16_interlaced_with_colour_key(tmp_path):
    # One pixel: the same in all PNG passes, so IHDR alone makes the file interlaced.
    image = np.array([[[1000, 2000, 3000]]], np.uint16)
    path = tmp_path / "key.png"
    write_image(path, image)
    content = path.read_bytes()

    header = chunk(b"IHDR", content[16:28] + b"\x01")
    key = chunk(b"tRNS", struct.pack(">3H", 1000, 2000, 3000))
    path.write_bytes(content[:8] + header + key + content[33:])
    assert read_image(path).tolist() == [[[1000, 2000, 3000, 0]]]


def test_read_image_palette(tmp_path):
    image = Image.new("P", (2, 1))
    image.putpalette([10, 20, 30, 200, 100, 50])
    image.putdata([0, 1])
    image.save(tmp_path / "opaque.png")
    image.save(tmp_path / "clear.png", transparency=1)
    image.save(tmp_path / "partial.png", transparency=b"\x80\xff")
    rgb = [[[10, 20, 30], [200, 100, 50]]]
    assert read_image(tmp_path / "opaque.png").tolist() == rgb
    assert read_image(tmp_path / "clear.png")[..., 3].tolist() == [[255, 0]]
    partial = read_image(tmp_path / "partial.png")
    assert partial[..., :3].tolist() == rgb
    assert partial[..., 3].tolist() == [[128, 255]]


def test_read_image_bilevel(tmp_path):
    Image.fromarray(np.array([[True, False]])).save(tmp_path / "bits.png")
    assert read_image(tmp_path / "bits.png").tolist() == [[[255], [0]]]


@pytest.mark.parametrize(("suffix", "error"), [("tif", 0), ("jpg", 6)])
def test_read_image_cmyk(tmp_path, suffix, error):
    ink = Image.new("CMYK", (8, 8), (255, 0, 128, 0))
    ink.save(tmp_path / f"ink.{suffix}")
    result = read_image(tmp_path / f"ink.{suffix}")
    assert result.shape == (8, 8, 3)
    assert np.abs(result.astype(int) - (0, 255, 127)).max() <= error


@pytest.mark.parametrize("suffix", ["png", "jpg", "tif"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_read_image_exif_orientation(tmp_path, orientation, suffix):
    # Bright top-left, dark top-right and bottom, with another shape when turned.
    upright = np.zeros((16, 32, 1), np.uint8)
    upright[:8, :16] = 255
    # EXIF 2.32, tag 274: what the file's row 0 and column 0 are in the picture.
    stored = {
        1: upright,
        2: upright[:, ::-1],
        3: upright[::-1, ::-1],
        4: upright[::-1],
        5: upright.swapaxes(0, 1),
        6: np.rot90(upright, 1),
        7: upright.swapaxes(0, 1)[::-1, ::-1],
        8: np.rot90(upright, -1),
    }[orientation]
    exif = Image.Exif()
    exif[0x0112] = orientation
    path = tmp_path / f"turned.{suffix}"
    Image.fromarray(np.ascontiguousarray(stored[..., 0])).save(path, exif=exif)
    result = read_image(path)
    assert result.shape == upright.shape
    assert np.abs(result.astype(int) - upright).max() <= 3


@pytest.mark.parametrize("suffix", ["png", "jpg", "webp"])
@pytest.mark.parametrize("form", ['tiff:Orientation="6"', None])
def test_read_image_orientation_that_only_xmp_says(tmp_path, suffix, form):
    tiff = 'xmlns:tiff="http://ns.adobe.com/tiff/1.0/"'
    said = "" if form else "<tiff:Orientation>6</tiff:Orientation>"
    xmp = (
        '<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999'
        f'/02/22-rdf-syntax-ns#"><rdf:Description {tiff} {form or ""}>{said}'
        "</rdf:Description></rdf:RDF></x:xmpmeta>"
    )
    stored = Image.fromarray(random_image(3))
    path = tmp_path / f"a.{suffix}"
    if suffix == "png":
        info = PngInfo()
        info.add_itxt("XML:com.adobe.xmp", xmp)
        stored.save(path, pnginfo=info)
    else:
        stored.save(path, xmp=xmp.encode())
    with Image.open(path) as image:
        upright = np.asarray(ImageOps.exif_transpose(image).convert("RGB"))
    assert upright.shape[:2] == stored.size  # it was turned
    np.testing.assert_array_equal(read_image(path), upright)
    # What EXIF says comes first.
    exif = Image.Exif()
    exif[0x0112] = 1
    with Image.open(path) as image:
        image.load()
        options = {"pnginfo": info} if suffix == "png" else {"xmp": xmp.encode()}
        image.save(path, exif=exif, **options)
    assert read_image(path).shape[:2] == stored.size[::-1]


def test_read_image8_drops_alpha_and_depth(tmp_path):
    opaque = random_image(4)
    opaque[..., 3] = 255
    write_image(tmp_path / "a.png", opaque)
    np.testing.assert_array_equal(read_image8(tmp_path / "a.png"), opaque[..., :3])
    deep = np.array([[[0], [128], [129], [257], [65535], [65407]]], np.uint16)
    write_image(tmp_path / "b.png", deep)
    assert read_image8(tmp_path / "b.png").ravel().tolist() == [0, 0, 1, 1, 255, 255]


def test_read_image8_refuses_transparent_pixels(tmp_path):
    image = random_image(4)
    image[..., 3] = 255
    image[0, 0, 3] = 254
    write_image(tmp_path / "a.png", image)
    with pytest.raises(InputError, match=r"a\.png: has transparent pixels"):
        read_image8(tmp_path / "a.png")


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".tif", ".webp", ".bmp"])
@pytest.mark.parametrize("kept", [0.1, 0.6])
def test_read_image_truncated(tmp_path, kept, suffix):
    path = tmp_path / f"short{suffix}"
    write_image(path, np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8))
    path.write_bytes(path.read_bytes()[: int(path.stat().st_size * kept)])
    with pytest.raises(InputError, match=f"short{suffix}: expected a whole image file"):
        read_image(path)


def test_read_image_truncated_uint16(tmp_path):
    path = tmp_path / "short.png"
    write_image(path, random_image(3, np.uint16))
    path.write_bytes(path.read_bytes()[:600])
    with pytest.raises(InputError, match="short.png: expected a whole image file"):
        read_image(path)


def test_read_image_not_an_image(tmp_path):
    (tmp_path / "fake.png").write_text("not an image")
    (tmp_path / "empty.jpg").touch()
    for name in ("fake.png", "empty.jpg"):
        with pytest.raises(InputError, match=f"{name}: expected a whole image file"):
            read_image(tmp_path / name)
    for path in (tmp_path / "absent.png", tmp_path):
        with pytest.raises(InputError, match="expected an image file, found none"):
            read_image(path)


def test_read_image_float_pixels(tmp_path):
    Image.fromarray(np.zeros((4, 4), np.float32)).save(tmp_path / "float.tif")
    with pytest.raises(InputError, match="float.tif: expected 8 or 16 bits"):
        read_image(tmp_path / "float.tif")


@pytest.mark.parametrize(
    ("name", "image", "message"),
    [
        ("a.jpg", random_image(3, np.uint16), "JPEG would lose the image's 16 bits"),
        ("a.webp", random_image(3, np.uint16), "WEBP would lose the image's 16 bits"),
        ("a.jpg", random_image(4), "JPEG cannot hold transparency"),
        ("a.bmp", random_image(2), "BMP cannot hold transparency"),
        ("a.txt", random_image(3), "expected a suffix among .*, got .txt"),
        ("a", random_image(3), "expected a suffix among .*, got none"),
        ("a.png", np.zeros((4, 4, 3)), "expected uint8 or uint16, got float64"),
        ("a.png", random_image(5), r"got shape \(13, 17, 5\)"),
        ("a.webp", np.zeros((1, 20000, 3), np.uint8), "cannot hold 20000x1 pixels"),
    ],
)
def test_write_image_what_does_not_fit(tmp_path, name, image, message):
    (tmp_path / name).write_text("before")
    with pytest.raises(InputError, match=f"{name}: .*{message}"):
        write_image(tmp_path / name, image)
    assert (tmp_path / name).read_text() == "before"
    assert os.listdir(tmp_path) == [name]


def test_write_image_permissions_follow_umask(tmp_path):
    old = os.umask(0o027)
    try:
        write_image(tmp_path / "a.png", random_image(3))
    finally:
        os.umask(old)
    assert stat.S_IMODE((tmp_path / "a.png").stat().st_mode) == 0o640


def test_write_image_disk_full_keeps_old_file(tmp_path):
    write_image(tmp_path / "a.png", random_image(1))
    before = (tmp_path / "a.png").read_bytes()
    # A limit on the size of files makes the kernel refuse a write half-way, as a full
    # disk does; it holds for the whole process, hence the separate one.
    program = """
        import resource, signal, sys
        import numpy as np
        from jaxsr.imaging import write_image
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))
        noise = np.random.default_rng(0).integers(0, 256, (128, 128, 3), np.uint8)
        try:
            write_image(sys.argv[1], noise)
        except OSError as error:
            print("OSError", error.errno)
    """
    run = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(program), str(tmp_path / "a.png")],
        capture_output=True,
        text=True,
    )
    assert run.stdout.startswith("OSError"), run.stderr
    assert os.listdir(tmp_path) == ["a.png"]
    assert (tmp_path / "a.png").read_bytes() == before


def test_list_images_sorted_without_others(tmp_path):
    for name in ("b.png", "a.JPG", "c.webp", "notes.txt", ".hidden.png"):
        (tmp_path / name).touch()
    (tmp_path / "folder.png").mkdir()
    assert [path.name for path in list_images(tmp_path)] == ["a.JPG", "b.png", "c.webp"]


def test_list_images_nothing_there(tmp_path):
    with pytest.raises(InputError, match="expected a folder of images"):
        list_images(tmp_path / "absent")
    with pytest.raises(InputError, match="expected images .* got none"):
        list_images(tmp_path)
