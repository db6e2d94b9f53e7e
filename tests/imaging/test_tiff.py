"""TIFF's combinations: written here tag by tag, or by tifffile, and read right."""

import io
import struct

import numpy as np
import PIL
import pytest
import tifffile
from PIL import Image

from jaxsr.errors import InputError
from jaxsr.imaging import read_image, read_picture

WHITE_IS_ZERO, BLACK_IS_ZERO, RGB, PALETTE, CMYK, CIELAB = 0, 1, 2, 3, 5, 8


def tiff(samples, bits, photometric, *, order="<", planar=1, reverse=False, tags=()):
    """Returns a TIFF of `[H, W, samples]` numbers, packed as TIFF 6.0 says."""
    height, width, count = samples.shape
    bytewise = np.moveaxis(samples, 2, 0) if planar == 2 else samples[None]
    if bits == 16:
        data = bytewise.astype(f"{order}u2").tobytes()
    else:
        digits = bytewise[..., None] >> np.arange(bits - 1, -1, -1) & 1
        rows = digits.reshape(len(bytewise) * height, -1).astype(np.uint8)
        data = np.packbits(rows, axis=1).tobytes()
    if reverse:
        turned = np.packbits(np.unpackbits(np.frombuffer(data, np.uint8))[::-1])
        data = turned[::-1].tobytes()
    fields = {256: width, 257: height, 258: (bits,) * count, 259: 1, 262: photometric}
    fields |= {266: 2 if reverse else 1, 277: count, 278: height, 284: planar}
    strips = count if planar == 2 else 1
    length = len(data) // strips
    fields |= {273: tuple(range(0, len(data), length)), 279: (length,) * strips}
    fields |= dict(tags)
    after = 8 + 2 + 12 * len(fields) + 4
    beside = sum(len(v) * 4 for v in fields.values() if isinstance(v, tuple))
    entries, extra = b"", b""
    for tag in sorted(fields):
        values = fields[tag] if isinstance(fields[tag], tuple) else (fields[tag],)
        if tag == 273:
            values = tuple(after + beside + v for v in values)
        kind, letter = (4, "I") if tag in (273, 279) else (3, "H")
        body = struct.pack(f"{order}{len(values)}{letter}", *values)
        if len(body) > 4:
            at, extra = len(extra), extra + body + bytes(len(body) % 4)
            body = struct.pack(f"{order}I", after + at)
        head = struct.pack(f"{order}HHI", tag, kind, len(values))
        entries += head + body.ljust(4, b"\0")
    mark = b"II*\0" if order == "<" else b"MM\0*"
    head = mark + struct.pack(f"{order}IH", 8, len(fields)) + entries + bytes(4)
    return head + extra.ljust(beside, b"\0") + data


def numbers(count, bits):
    random = np.random.default_rng(bits)
    return random.integers(0, 2**bits, (5, 7, count))


def stretched(samples, bits):
    """Returns samples over the range of 8 or 16 bits, by floating point."""
    peak, dtype = (255, np.uint8) if bits <= 8 else (65535, np.uint16)
    return np.floor(samples * (peak / (2**bits - 1)) + 0.5).astype(dtype)


def read(tmp_path, content):
    (tmp_path / "a.tif").write_bytes(content)
    return read_image(tmp_path / "a.tif")


@pytest.mark.parametrize("bits", range(1, 17))
@pytest.mark.parametrize("order", "<>")
@pytest.mark.parametrize("planar", [1, 2])
def test_every_depth(tmp_path, bits, order, planar):
    gray, rgb, cmyk = (numbers(count, bits) for count in (1, 3, 4))
    top = 2**bits - 1
    options = {"order": order, "planar": planar}
    light = (top - cmyk[..., :3]) * (top - cmyk[..., 3:])
    for samples, kind, expected in [
        (gray, BLACK_IS_ZERO, gray),
        (gray, WHITE_IS_ZERO, top - gray),
        (rgb, RGB, rgb),
        (cmyk, CMYK, (light + top // 2) // top),
    ]:
        result = read(tmp_path, tiff(samples, bits, kind, **options))
        expected = stretched(expected, bits)
        assert result.dtype == expected.dtype
        np.testing.assert_array_equal(result, expected)


@pytest.mark.parametrize("bits", [1, 4, 8, 16])
def test_reversed_bits(tmp_path, bits):
    gray = numbers(1, bits)
    if bits == 16:
        gray = gray.astype(">u2").astype(int)
    content = tiff(gray, bits, BLACK_IS_ZERO, order=">", reverse=True)
    np.testing.assert_array_equal(read(tmp_path, content), stretched(gray, bits))


@pytest.mark.parametrize("bits", [8, 12, 16])
@pytest.mark.parametrize("colours", [1, 3])
def test_extra_samples(tmp_path, bits, colours):
    samples = numbers(colours + 1, bits)
    samples[0, 0, -1], samples[0, 1, -1] = 0, 2**bits - 1
    kind = BLACK_IS_ZERO if colours == 1 else RGB
    unspecified, associated, unassociated = (
        read(tmp_path, tiff(samples, bits, kind, tags={338: meaning}))
        for meaning in (0, 1, 2)
    )
    whole = stretched(samples, bits)
    np.testing.assert_array_equal(unspecified, whole[..., :-1])
    np.testing.assert_array_equal(unassociated, whole)
    np.testing.assert_array_equal(associated[..., -1], whole[..., -1])
    alpha = samples[..., -1:] / (2**bits - 1)
    seen = alpha[..., 0] > 0
    back = np.minimum(samples[..., :-1] / np.maximum(alpha, 1e-9), 2**bits - 1)
    difference = associated[..., :-1] - stretched(back, bits).astype(float)
    # Alpha was rounded to the range of 16 bits before the division: 12 bits show it.
    assert np.abs(difference[seen]).max() <= (1 if bits != 12 else 16)


def test_extra_sample_without_meaning(tmp_path):
    samples = numbers(5, 8)
    content = tiff(samples, 8, RGB, tags={338: (0, 2)})
    np.testing.assert_array_equal(read(tmp_path, content), samples[..., [0, 1, 2, 4]])
    content = tiff(samples, 8, RGB)
    np.testing.assert_array_equal(read(tmp_path, content), samples[..., :3])


@pytest.mark.parametrize("bits", [1, 4, 8, 16])
@pytest.mark.parametrize("factor", [1, 256, 257])
def test_palette(tmp_path, bits, factor):
    random = np.random.default_rng(0)
    table = random.integers(0, 256, (3, 2**bits))
    indices = numbers(1, bits)
    colours = tuple((table * factor).ravel().tolist())
    content = tiff(indices, bits, PALETTE, tags={320: colours})
    expected = table.T[indices[..., 0]]
    np.testing.assert_array_equal(read(tmp_path, content), expected)


def test_palette_of_sixteen_bits(tmp_path):
    table = np.random.default_rng(0).integers(0, 65536, (3, 16))
    indices = numbers(1, 4)
    content = tiff(indices, 4, PALETTE, tags={320: tuple(table.ravel().tolist())})
    result = read(tmp_path, content)
    assert result.dtype == np.uint16
    np.testing.assert_array_equal(result, table.T[indices[..., 0]])


@pytest.mark.parametrize("compression", ["lzw", "zlib", "packbits", "zstd"])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("channels", [1, 3, 4])
@pytest.mark.parametrize("tile", [None, (16, 16)])
def test_compressed(tmp_path, compression, dtype, channels, tile):
    top = np.iinfo(dtype).max
    image = np.random.default_rng(0).integers(0, top + 1, (37, 21, channels))
    image = image.astype(dtype)
    tifffile.imwrite(
        tmp_path / "a.tif",
        image[..., 0] if channels == 1 else image,
        photometric="minisblack" if channels == 1 else "rgb",
        extrasamples=["unassalpha"] if channels == 4 else None,
        compression=compression,
        predictor=compression != "packbits",
        rowsperstrip=None if tile else 8,
        tile=tile,
        bigtiff=dtype == np.uint16,
    )
    np.testing.assert_array_equal(read_image(tmp_path / "a.tif"), image)


def test_jpeg_in_tiff(tmp_path):
    rows, columns = np.mgrid[:48, :64]
    image = np.stack([rows * 4, columns * 3, rows + columns], -1).astype(np.uint8)
    for space in ("rgb", "ycbcr"):
        path = tmp_path / f"{space}.tif"
        options = {"level": 95, "outcolorspace": space}
        tifffile.imwrite(
            path,
            image,
            photometric="rgb",
            compression="jpeg",
            compressionargs=options,
        )
        difference = read_image(path).astype(int) - image
        assert np.abs(difference).max() <= 4


@pytest.mark.parametrize("compression", ["group3", "group4", "tiff_ccitt", "tiff_lzw"])
def test_bilevel_compressed(tmp_path, compression):
    image = np.random.default_rng(0).integers(0, 2, (9, 21)).astype(bool)
    Image.fromarray(image).save(tmp_path / "a.tif", compression=compression)
    result = read_image(tmp_path / "a.tif")
    np.testing.assert_array_equal(result[..., 0], image * np.uint8(255))


def test_ycbcr_without_compression(tmp_path):
    # Flat colours of ITU-R BT.601: white, black, and red as (76, 85, 255).
    samples = np.array([[[255, 128, 128], [0, 128, 128], [76, 85, 255]]])
    content = tiff(samples, 8, 6, tags={530: (1, 1)})
    expected = [[[255, 255, 255], [0, 0, 0], [254, 0, 0]]]
    if int(PIL.__version__.partition(".")[0]) < 13:
        with pytest.raises(InputError, match="a.tif: expected a whole image file"):
            read(tmp_path, content)
        return
    difference = read(tmp_path, content).astype(int) - expected
    assert np.abs(difference).max() <= 2


@pytest.mark.parametrize(
    "content, message",
    [
        (tiff(numbers(1, 16), 16, 1, tags={339: 2}), "8 or 16 bits .* signed numbers"),
        (tiff(numbers(1, 16), 16, 1, tags={339: 3}), "8 or 16 bits .* floating point"),
        (tiff(numbers(3, 8), 8, CIELAB), "gray, RGB, CMYK or a palette, got CIELAB"),
        (tiff(numbers(4, 8), 8, CMYK, tags={332: 2}), "the inks CMYK, got others"),
        (tiff(numbers(2, 8), 8, 0, tags={338: 1}), "multiplied by alpha"),
        (tiff(numbers(2, 8), 8, RGB), "2 samples are too few"),
        (tiff(numbers(9999, 8), 8, 1), "up to 8 extra samples, got 9998"),
        (tiff(numbers(3, 16), 16, 6), "8 bits a channel of YCbCr"),
        (tiff(numbers(1, 4), 4, PALETTE, tags={320: (1,) * 9}), "palette is not whole"),
    ],
)
def test_refused(tmp_path, content, message):
    with pytest.raises(InputError, match=f"a.tif: .*{message}"):
        read(tmp_path, content)


def test_mixed_depths_refused(tmp_path):
    with pytest.raises(InputError, match="a.tif: "):
        read(tmp_path, tiff(numbers(3, 8), 8, RGB, tags={258: (5, 6, 5)}))


@pytest.mark.parametrize("bits", [1, 8, 16])
@pytest.mark.parametrize("planar", [1, 2])
def test_more_rows_promised_refused(tmp_path, bits, planar):
    content = tiff(numbers(3, bits), bits, RGB, planar=planar, tags={257: 50, 278: 50})
    with pytest.raises(InputError, match="a.tif: expected a whole image file"):
        read(tmp_path, content)


def test_strips_missing_refused(tmp_path):
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, np.full((64, 8), 9, np.uint8), rowsperstrip=8)
    with tifffile.TiffFile(path, mode="r+b") as file:
        offsets = file.pages[0].tags[279]
        offsets.overwrite((*offsets.value[:-1], 0))
    with pytest.raises(InputError, match="the file ends before its pixels do"):
        read_image(path)


def test_without_imagecodecs(tmp_path, monkeypatch):
    # As in an installation without the extra: Pillow reads the 8 bits.
    from tifffile.tifffile import TIFF

    def missing(key):
        raise KeyError(f"{key!r} requires the 'imagecodecs' package")

    image = np.random.default_rng(0).integers(0, 256, (9, 8, 3), np.uint8)
    deep = image.astype(np.uint16) * 257
    for name, pixels in (("a.tif", image), ("b.tif", deep)):
        tifffile.imwrite(tmp_path / name, pixels, photometric="rgb", compression="lzw")
    codecs = type(TIFF.DECOMPRESSORS)
    monkeypatch.setattr(codecs, "__getitem__", lambda _, key: missing(key))
    np.testing.assert_array_equal(read_image(tmp_path / "a.tif"), image)
    with pytest.raises(InputError, match=r"b.tif: .*pip install .*\[tiff\]"):
        read_image(tmp_path / "b.tif")


def test_first_page_counts(tmp_path):
    pages = [Image.new("L", (4, 3), 7), Image.new("L", (9, 9), 200)]
    pages[0].save(tmp_path / "a.tif", save_all=True, append_images=pages[1:])
    pixels, metadata = read_picture(tmp_path / "a.tif")
    np.testing.assert_array_equal(pixels, np.full((3, 4, 1), 7))
    assert metadata.icc is None and metadata.exif is None


def test_damaged_bytes_are_one_error(tmp_path, capfd):
    # Whatever is flipped: a picture or one InputError, and no word of a decoder's.
    random = np.random.default_rng(0)
    buffer = io.BytesIO()
    image = random.integers(0, 256, (32, 32, 3), np.uint8)
    tifffile.imwrite(buffer, image, photometric="rgb", compression="lzw")
    whole = np.frombuffer(buffer.getvalue(), np.uint8)
    for _ in range(200):
        damaged = whole.copy()
        at = random.integers(0, 400, 3)
        damaged[at] = random.integers(0, 256, 3)
        try:
            read(tmp_path, damaged.tobytes())
        except InputError as error:
            assert "\n" not in str(error)
    assert capfd.readouterr() == ("", "")
