"""Files that promise more than they hold, or claim sizes that nobody has memory for."""

import io
import struct
import subprocess
import sys
import zlib

import numpy as np
import pytest
from PIL import Image

from jaxsr.errors import InputError
from jaxsr.imaging import read_image, write_image
from tests.imaging.png_chunk import chunk


def noise(height, width, channels=3):
    random = np.random.default_rng(0)
    return random.integers(0, 256, (height, width, channels), np.uint8)


def png(width, height, depth, colour, rows, *, interlaced=0):
    header = struct.pack(">2I5B", width, height, depth, colour, 0, 0, interlaced)
    pixels = zlib.compress(b"".join(rows))
    chunks = [(b"IHDR", header), (b"IDAT", pixels), (b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunk(*c) for c in chunks)


def refused(path, content, message="expected a whole image file"):
    path.write_bytes(content)
    with pytest.raises(InputError, match=f"{path.name}: {message}") as caught:
        read_image(path)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("depth", [8, 16])
@pytest.mark.parametrize("colour, channels", [(0, 1), (2, 3), (4, 2), (6, 4)])
def test_png_rows_missing(tmp_path, depth, colour, channels):
    length = 7 * channels * depth // 8
    rows = [b"\0" + bytes(row) for row in noise(12, length, 1)]
    path = tmp_path / "a.png"
    path.write_bytes(png(7, 12, depth, colour, rows))
    assert read_image(path).shape == (12, 7, channels)
    for kept in (1, 6, 11):
        refused(path, png(7, 12, depth, colour, rows[:kept]))
    refused(path, png(7, 12, depth, colour, [*rows[:-1], rows[-1][:-1]]))


def test_png_rows_missing_interlaced(tmp_path):
    # Passes of an 8x8 picture: 1x1, 1x1, 2x1, 2x2, 4x2, 4x4, 8x4 pixels.
    sizes = [(1, 1), (1, 1), (2, 1), (2, 2), (4, 2), (4, 4), (8, 4)]
    rows = [b"\0" + b"\xc8" * width for width, height in sizes for _ in range(height)]
    path = tmp_path / "a.png"
    path.write_bytes(png(8, 8, 8, 0, rows, interlaced=1))
    np.testing.assert_array_equal(read_image(path), np.full((8, 8, 1), 200))
    for kept in (1, 8, len(rows) - 1):
        refused(path, png(8, 8, 8, 0, rows[:kept], interlaced=1))


@pytest.mark.parametrize("channels", [1, 3])
def test_png_black_rows_are_rows(tmp_path, channels):
    for dtype in (np.uint8, np.uint16):
        black = np.zeros((9, 6, channels), dtype)
        write_image(tmp_path / "a.png", black)
        np.testing.assert_array_equal(read_image(tmp_path / "a.png"), black)


@pytest.mark.parametrize("mode", ["L", "RGB", "CMYK"])
@pytest.mark.parametrize(
    "options",
    [
        {},
        {"progressive": True},
        {"restart_marker_rows": 1},
        {"restart_marker_blocks": 3},
        {"subsampling": "4:2:0"},
    ],
    ids=str,
)
def test_jpeg_rows_missing(tmp_path, mode, options):
    path = tmp_path / "a.jpg"
    for width, height in ((9, 64), (37, 29), (160, 64)):
        image = noise(height, width, len(mode))
        # What missing pixels look like must not be enough to be refused.
        image[-8:] = 127 if mode == "CMYK" else 128
        pillows = Image.frombytes(mode, (width, height), image.tobytes())
        buffer = io.BytesIO()
        pillows.save(buffer, "JPEG", **options)
        content = buffer.getvalue()
        path.write_bytes(content)
        assert read_image(path).shape[:2] == (height, width)
        frame = max(content.find(b"\xff\xc0"), content.find(b"\xff\xc2"))
        whole_blocks = (height + 15) // 16 * 16
        for more in (1, 8, 200):
            promised = struct.pack(">H", whole_blocks + more)
            refused(path, content[: frame + 5] + promised + content[frame + 7 :])


@pytest.mark.parametrize("mode", ["RGB", "P"])
def test_bmp_rows_missing(tmp_path, mode):
    buffer = io.BytesIO()
    Image.fromarray(noise(9, 7)).convert(mode).save(buffer, "BMP")
    content = buffer.getvalue()
    promised = struct.pack("<i", 20)
    refused(tmp_path / "a.bmp", content[:22] + promised + content[26:])


def webp_of(width, height):
    """Returns 34 bytes that are a WebP without loss of one colour."""
    body = b"\x2f" + struct.pack("<I", width - 1 | (height - 1) << 14)
    body += b"\x88\x88\x08" + bytes(6)
    body = b"VP8L" + struct.pack("<I", len(body)) + body
    return b"RIFF" + struct.pack("<I", 4 + len(body)) + b"WEBP" + body


def tiff_of(width, height):
    tags = [(256, 4, width), (257, 4, height), (258, 3, 8), (259, 3, 1), (262, 3, 1)]
    tags += [(273, 4, 8), (277, 3, 1), (278, 4, height), (279, 4, 1)]
    entries = b"".join(struct.pack("<HHII", tag, kind, 1, v) for tag, kind, v in tags)
    return struct.pack("<2sHIH", b"II", 42, 8, len(tags)) + entries + bytes(4)


def bmp_of(width, height):
    head = struct.pack("<IiiHHIIiiII", 40, width, height, 1, 24, 0, 0, 0, 0, 0, 0)
    return b"BM" + struct.pack("<IHHI", 54, 0, 0, 54) + head


def jpeg_of(width, height):
    buffer = io.BytesIO()
    Image.new("L", (8, 8)).save(buffer, "JPEG")
    content = buffer.getvalue()
    at = content.find(b"\xff\xc0") + 5
    return content[:at] + struct.pack(">2H", height, width) + content[at + 4 :]


def gif_of(width, height):
    buffer = io.BytesIO()
    Image.new("P", (1, 1)).save(buffer, "GIF")
    content = buffer.getvalue()
    return content[:6] + struct.pack("<2H", width, height) + content[10:]


BOMBS = {
    "a.webp": webp_of(16383, 16383),
    "a.tif": tiff_of(2**31, 2**31),
    "a.bmp": bmp_of(2**30, 2**30),
    "a.jpg": jpeg_of(65000, 65000),
    "a.gif": gif_of(65000, 65000),
    "a.png": png(2**30, 2**30, 8, 6, [b"\0" * 100]),
}


@pytest.mark.parametrize("name", BOMBS)
def test_bomb_refused_in_one_line(tmp_path, name):
    path = tmp_path / name
    message = r"\d+x\d+ are \d+ megapixels, more than the 100 .* --max-megapixels"
    refused(path, BOMBS[name], message)


def test_bomb_takes_no_memory(tmp_path):
    for name, content in BOMBS.items():
        (tmp_path / name).write_bytes(content)
    program = """
import resource, sys
from jaxsr.errors import InputError
from jaxsr.imaging import read_image
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
for path in sys.argv[1:]:
    try:
        read_image(path)
    except InputError:
        pass
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
"""
    command = [sys.executable, "-c", program, *(str(tmp_path / n) for n in BOMBS)]
    run = subprocess.run(command, capture_output=True, text=True, check=True)
    unit = 1 if sys.platform == "darwin" else 1024
    assert int(run.stdout) * unit < 64 * 2**20
    assert run.stderr == ""


def test_more_than_promised_takes_no_memory(tmp_path):
    # A gigabyte of zeros behind the few pixels, in a file of one megabyte.
    pack = zlib.compressobj(9)
    zeros = b"".join(pack.compress(bytes(2**24)) for _ in range(64)) + pack.flush()
    header = chunk(b"IHDR", struct.pack(">2I5B", 8, 8, 8, 2, 0, 0, 0))
    content = b"\x89PNG\r\n\x1a\n" + header + chunk(b"iCCP", b"a\0\0" + zeros)
    content += chunk(b"IDAT", zeros) + chunk(b"IEND", b"")
    (tmp_path / "a.png").write_bytes(content)
    program = """
import resource, sys
from jaxsr.imaging import read_image
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
assert not read_image(sys.argv[1]).any()
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
"""
    command = [sys.executable, "-c", program, str(tmp_path / "a.png")]
    run = subprocess.run(command, capture_output=True, text=True, check=True)
    unit = 1 if sys.platform == "darwin" else 1024
    assert int(run.stdout) * unit < 128 * 2**20


def test_limit_can_be_raised(tmp_path):
    write_image(tmp_path / "a.png", noise(30, 40))
    with pytest.raises(InputError, match="40x30 are .* raise --max-megapixels"):
        read_image(tmp_path / "a.png", max_megapixels=0.001)
    assert read_image(tmp_path / "a.png", max_megapixels=0.0012).shape == (30, 40, 3)


def test_other_formats_are_not_tried(tmp_path):
    # PostScript would be run by an interpreter.
    for content in (b"%!PS-Adobe-3.0 EPSF-3.0\n", b"P6 1 1 255\n\0\0\0", b""):
        refused(tmp_path / "a.png", content)


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".tif", ".webp", ".bmp", ".avif"])
def test_flips_end_in_one_line(tmp_path, suffix, capfd):
    random = np.random.default_rng(0)
    try:
        write_image(tmp_path / f"a{suffix}", noise(24, 32))
    except InputError:
        pytest.skip("this Pillow has no AVIF")
    whole = np.fromfile(tmp_path / f"a{suffix}", np.uint8)
    for _ in range(100):
        damaged = whole.copy()
        at = random.integers(0, min(300, len(whole)), 3)
        damaged[at] = random.integers(0, 256, 3)
        (tmp_path / f"b{suffix}").write_bytes(damaged.tobytes())
        try:
            read_image(tmp_path / f"b{suffix}")
        except InputError as error:
            assert "\n" not in str(error)
    assert capfd.readouterr() == ("", "")
