"""Image files in and out of arrays `[H, W, C]`.

C is 1 (gray), 2 (gray and alpha), 3 (RGB) or 4 (RGB and alpha), the values uint8 or
uint16 over their full range; alpha is not premultiplied. Of an animation or a file of
several pages the first picture counts. Colour profiles are ignored, as is the custom of
the field: its published numbers are those of the raw values.
"""

import contextlib
import io
import os
import secrets
import struct
import zlib
from pathlib import Path

import numpy as np
from PIL import Image, ImageFile

from jaxsr.errors import InputError

SUFFIXES = (".bmp", ".jpeg", ".jpg", ".png", ".tif", ".tiff", ".webp")

_EXIF_ORIENTATION = 0x0112
_TIFF_BITS, _TIFF_PLANAR = 258, 284
# Where Pillow alone would lose detail: JPEG keeps its defaults of 75 and half chroma.
_SAVE_OPTIONS = {
    "JPEG": {"quality": 95, "subsampling": "4:4:4"},
    "WEBP": {"lossless": True, "exact": True},
}


def read_image(path: str | os.PathLike) -> np.ndarray:
    """Returns the picture in a file as `[H, W, C]`, uint8, or uint16 where it has 16.

    EXIF orientation is applied, a palette expanded (with its transparency as alpha),
    and CMYK converted to RGB.

    Raises:
        InputError: no such file; no image, or a truncated one; floating-point or
            32-bit pixels.
    """
    path = Path(path)
    if not path.is_file():
        raise InputError(f"{path}: expected an image file, found none")
    try:
        return _decode(path)
    except InputError:
        raise
    # Pillow's decoders raise all of these for damaged files, some of them bare.
    except (
        OSError,
        SyntaxError,
        ValueError,
        TypeError,
        LookupError,
        EOFError,
        OverflowError,
        struct.error,
        zlib.error,
        Image.DecompressionBombError,
    ) as error:
        raise InputError(
            f"{path}: expected a whole image file: {error or type(error).__name__}"
        ) from error


def read_image8(path: str | os.PathLike) -> np.ndarray:
    """Returns a picture as uint8 `[H, W, 1 or 3]`: no alpha, 16 bits rounded to 8.

    Raises:
        InputError: as `read_image`.
    """
    image = read_image(path)
    if image.shape[-1] in (2, 4):
        image = image[..., :-1]
    if image.dtype == np.uint16:
        image = ((image.astype(np.uint32) + 128) // 257).astype(np.uint8)
    return image


def write_image(path: str | os.PathLike, image: np.ndarray) -> None:
    """Writes `[H, W]` or `[H, W, C]` to a file; its suffix gives the format.

    The file appears whole or not at all: on any error what was there before stays.
    JPEG is written at quality 95 with full chroma, WebP without loss. 16-bit images go
    to .png, one-channel ones to .tif as well.

    Raises:
        InputError: a shape or dtype that is no image, a suffix that is no format, or a
            format that cannot hold the image's alpha or its 16 bits.
        OSError: the disk is full, or the folder missing or not writable.
    """
    path = Path(path)
    if image.ndim == 2:
        image = image[..., None]
    if image.ndim != 3 or image.shape[-1] not in (1, 2, 3, 4) or 0 in image.shape:
        raise InputError(f"{path}: expected [H, W, 1 to 4], got shape {image.shape}")
    if image.dtype not in (np.uint8, np.uint16):
        raise InputError(f"{path}: expected uint8 or uint16, got {image.dtype}")
    content = _encode(path, image)
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}.tmp")
    try:
        temporary.write_bytes(content)
        os.replace(temporary, path)
    except BaseException:
        with contextlib.suppress(OSError):
            temporary.unlink()
        raise


def list_images(folder: str | os.PathLike) -> list[Path]:
    """Returns the image files directly inside a folder, sorted by name.

    Raises:
        InputError: the folder does not exist or holds no image.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise InputError(f"{folder}: expected a folder of images, found none")
    paths = sorted(
        path
        for path in folder.iterdir()
        if path.suffix.lower() in SUFFIXES and not path.name.startswith(".")
    )
    if not paths:
        raise InputError(f"{folder}: expected images ({', '.join(SUFFIXES)}), got none")
    return paths


def _decode(path: Path) -> np.ndarray:
    # Given a path, Pillow maps plain TIFFs into memory, with height and width swapped
    # where they are stored turned (seen with Pillow 13.0); given a file, it reads them.
    with path.open("rb") as file, Image.open(file) as image:
        tags = getattr(image, "tag_v2", {})
        if tags.get(_TIFF_PLANAR) == 2 and 16 in tags.get(_TIFF_BITS, ())[1:]:
            raise InputError(
                f"{path}: expected interleaved channels, got a 16-bit TIFF of planes"
            )
        rawmode = _rawmode(image)
        deep = rawmode.endswith((";16B", ";16L", ";16N")) and image.mode[0] != "I"
        if deep:
            pixels = _decode_deep(path, image, rawmode)
        else:
            image.load()
            pixels = np.asarray(_simplify(path, image))
        # Asked after loading: PNG may store EXIF behind the pixels, and for TIFF Pillow
        # has then turned the pixels itself and dropped the tag.
        orientation = image.getexif().get(_EXIF_ORIENTATION, 1)
        key = image.info.get("transparency")
    if pixels.dtype != np.uint8:
        pixels = pixels.astype(np.uint16)
    pixels = pixels.reshape(*pixels.shape[:2], -1)
    if key is not None and pixels.dtype == np.uint16 and pixels.shape[-1] in (1, 3):
        opaque = (pixels != np.asarray(key, np.uint16)).any(axis=-1, keepdims=True)
        pixels = np.concatenate([pixels, opaque * np.uint16(65535)], axis=-1)
    return _orient(pixels, orientation)


def _rawmode(image: ImageFile.ImageFile) -> str:
    """Returns how the decoder is told that the file stores its pixels."""
    arguments = image.tile[0].args if image.tile else ""
    rawmode = arguments[0] if isinstance(arguments, tuple) else arguments
    return rawmode if isinstance(rawmode, str) else ""


def _decode_deep(path: Path, image: ImageFile.ImageFile, rawmode: str) -> np.ndarray:
    """Returns the 16-bit pixels of an image with several channels.

    Pillow has no such mode and keeps the high bytes only. Told that the file has the
    other byte order, it takes the low bytes for the high ones: two decodes give both.
    """
    if image.mode not in ("RGB", "RGBA"):
        raise InputError(
            f"{path}: 16-bit images are read as gray or RGB, got {image.mode}"
        )
    is_gray = rawmode.startswith("LA;")
    image.load()
    high = np.asarray(image).astype(np.uint16)
    with path.open("rb") as file, Image.open(file) as again:
        if is_gray:
            # Four bytes a pixel: both bytes of gray, then both of alpha.
            _set_rawmode(again, "RGBA")
            parts = np.asarray(again).astype(np.uint16)
            return parts[..., ::2] << 8 | parts[..., 1::2]
        stem, _, order = rawmode.rpartition(";16")
        # "N" is this machine's order; every platform that JAX runs on is "L".
        _set_rawmode(again, f"{stem};16{'L' if order == 'B' else 'B'}")
        low = np.asarray(again).astype(np.uint16)
    return high << 8 | low


def _set_rawmode(image: ImageFile.ImageFile, rawmode: str) -> None:
    """Changes how Pillow's decoder will unpack the pixels of an opened image."""
    tiles = []
    for tile in image.tile:
        arguments = tile.args
        rest = arguments[1:] if isinstance(arguments, tuple) else None
        tiles.append(tile._replace(args=rawmode if rest is None else (rawmode, *rest)))
    image.tile = tiles


def _simplify(path: Path, image: Image.Image) -> Image.Image:
    """Returns the image in one of the modes L, LA, RGB, RGBA, I;16."""
    if image.mode.startswith("I;16"):
        return image
    if image.mode in ("I", "F"):
        raise InputError(
            f"{path}: expected 8 or 16 bits a channel, got 32 (mode {image.mode})"
        )
    is_gray = image.mode in ("1", "L", "LA", "La")
    if image.has_transparency_data:
        return image.convert("LA" if is_gray else "RGBA")
    return image.convert("L" if is_gray else "RGB")


def _orient(pixels: np.ndarray, orientation: int) -> np.ndarray:
    """Returns the pixels as the camera was held, for an EXIF orientation of 1 to 8."""
    if orientation in (5, 6, 7, 8):
        pixels = pixels.swapaxes(0, 1)
    if orientation in (3, 4, 7, 8):
        pixels = pixels[::-1]
    if orientation in (2, 3, 6, 7):
        pixels = pixels[:, ::-1]
    return np.ascontiguousarray(pixels)


def _encode(path: Path, image: np.ndarray) -> bytes:
    kind = Image.registered_extensions().get(path.suffix.lower())
    if path.suffix.lower() not in SUFFIXES or kind is None:
        raise InputError(
            f"{path}: expected a suffix among {', '.join(SUFFIXES)}, "
            f"got {path.suffix or 'none'}"
        )
    channels = image.shape[-1]
    deep = image.dtype == np.uint16
    if deep and kind == "PNG":
        return _encode_png16(image)
    if deep and not (kind == "TIFF" and channels == 1):
        raise InputError(
            f"{path}: {kind} would lose the image's 16 bits a channel: write .png"
        )
    if channels in (2, 4) and kind in ("JPEG", "BMP"):
        raise InputError(f"{path}: {kind} cannot hold transparency: write .png")
    buffer = io.BytesIO()
    pixels = Image.fromarray(image[..., 0] if channels == 1 else image)
    try:
        pixels.save(buffer, format=kind, **_SAVE_OPTIONS.get(kind, {}))
    except (ValueError, OSError) as error:
        # Nothing has touched the disk yet: it is the image that does not fit.
        height, width = image.shape[:2]
        raise InputError(
            f"{path}: {kind} cannot hold {width}x{height} pixels: {error}"
        ) from error
    return buffer.getvalue()


def _encode_png16(image: np.ndarray) -> bytes:
    """Returns a PNG of 16 bits a channel, which Pillow writes for gray only.

    Every row is stored as its difference to the row above (PNG filter type 2).
    Source: https://www.w3.org/TR/png-3/
    """
    height, width, channels = image.shape
    rows = np.ascontiguousarray(image.astype(">u2")).view(np.uint8)
    rows = rows.reshape(height, -1)
    filtered = np.empty((height, rows.shape[1] + 1), np.uint8)
    filtered[:, 0] = 2
    filtered[0, 1:] = rows[0]
    filtered[1:, 1:] = rows[1:] - rows[:-1]
    colour_type = {1: 0, 2: 4, 3: 2, 4: 6}[channels]
    header = struct.pack(">2I5B", width, height, 16, colour_type, 0, 0, 0)

    def chunk(name: bytes, body: bytes) -> bytes:
        checksum = zlib.crc32(name + body)
        return struct.pack(">I", len(body)) + name + body + struct.pack(">I", checksum)

    return b"".join(
        [
            b"\x89PNG\r\n\x1a\n",
            chunk(b"IHDR", header),
            chunk(b"IDAT", zlib.compress(filtered.tobytes(), 6)),
            chunk(b"IEND", b""),
        ]
    )
