"""The bytes of an image file into pixels, by Pillow, and for TIFF by tifffile."""

import dataclasses
import io
import threading
import warnings
from collections.abc import Callable
from typing import Any, BinaryIO

import numpy as np
from PIL import (
    BmpImagePlugin,
    GifImagePlugin,
    Image,
    ImageFile,
    JpegImagePlugin,
    PngImagePlugin,
    TiffImagePlugin,
    WebPImagePlugin,
)

from jaxsr.imaging import avif, jpeg, png, tiff, webp, xmp
from jaxsr.imaging.metadata import (
    Metadata,
    ReadExif,
    checked_dpi,
    checked_icc,
    read_exif,
)
from jaxsr.imaging.strips import join_strips

CheckSize = Callable[[int, int], None]
_HEAD = 32
_LIMIT = threading.Lock()


def decode(file: BinaryIO, check_size: CheckSize) -> tuple[np.ndarray, Metadata]:
    """Returns `[H, W, 1 to 4]`, uint8 or uint16, turned as it was held, and the rest.

    Args:
        file: an opened image file.
        check_size: is called with width and height before there is memory for them,
            and raises if they are too large.

    Raises:
        Exception: of any kind, as decoders do; a file that is damaged or unknown.
    """
    head = file.read(_HEAD)
    file.seek(0)
    with warnings.catch_warnings():
        # Only Pillow's: should two threads restore each other's filters, it is these
        # that may stay.
        warnings.filterwarnings("ignore", module=r"PIL\.")
        if tiff.is_tiff(head):
            pixels, info = _decode_tiff(file, check_size)
        elif head.startswith(png.SIGNATURE):
            pixels, info = _decode_png(file, check_size)
        else:
            pixels, info = _decode_other(file, head, check_size)
    exif = info.get("exif")
    if not isinstance(exif, ReadExif):
        exif = read_exif(exif)
    orientation = exif.orientation or 1
    if exif.orientation is None and not avif.is_avif(head):  # which has its own box
        orientation = xmp.orientation(info.get("xmp"))
    dpi = checked_dpi(info.get("dpi")) or exif.dpi
    if dpi and orientation >= 5:
        dpi = dpi[1], dpi[0]
    metadata = Metadata(
        icc=checked_icc(info.get("icc_profile"), pixels.shape[-1]),
        exif=exif.content,
        xmp=xmp.kept(info.get("xmp")),
        dpi=dpi,
        png=info.get("png", ()),
    )
    return _turn(pixels, orientation), metadata


def _decode_tiff(file: BinaryIO, check_size: CheckSize):
    decoded = tiff.decode(file, check_size)
    if decoded is not None:
        return decoded
    file.seek(0)
    with TiffImagePlugin.TiffImageFile(file) as image:
        found = read_exif(file)
        info = {key: image.info.get(key) for key in ("icc_profile", "xmp")}
        # Pillow turns the pixels itself.
        info["exif"] = dataclasses.replace(found, orientation=1)
        return _with_channels(_pixels(_simplify(image))), info


# Pillow's names of gray of fewer bits than a byte.
_GRAY_DEPTHS = {"L;2": 2, "L;4": 4}


def _decode_png(file: BinaryIO, check_size: CheckSize):
    chunks = png.read_chunks(file)
    check_size(*png.size(chunks))
    content = png.pixels_alone(chunks)
    with PngImagePlugin.PngImageFile(io.BytesIO(content)) as image:
        rawmode = _rawmode(image)
        image.load()
        # Pillow leaves rows that are missing at 0, and says nothing.
        end = _pixels(image, image.height - 2)
        if image.height == 1 or not all(row.any() for row in end):
            if not png.is_complete(chunks):
                raise EOFError("fewer rows are there than the header says")
        key = image.info.get("transparency")
        if isinstance(key, int) and (depth := _GRAY_DEPTHS.get(rawmode)):
            # Pillow makes 8 bits of the pixels, but not of the gray that is clear.
            key = image.info["transparency"] = key * 255 // (2**depth - 1)
        if rawmode.endswith(";16B") and image.mode[0] != "I":
            pixels = _decode_deep_png(content, image, rawmode)
        else:
            pixels = _pixels(_simplify(image))
    pixels = _with_channels(pixels)
    if key is not None and pixels.dtype == np.uint16 and pixels.shape[-1] in (1, 3):
        opaque = (pixels != np.asarray(key, np.uint16)).any(axis=-1, keepdims=True)
        pixels = np.concatenate([pixels, opaque * np.uint16(65535)], axis=-1)
    return pixels, png.read_metadata(chunks)


def _decode_other(file: BinaryIO, head: bytes, check_size: CheckSize):
    if webp.is_webp(head):
        # Its decoder takes memory for the whole canvas when it is opened.
        check_size(*webp.size(head))
    with _opener(head)(file) as image:
        check_size(*image.size)
        if avif.is_avif(head):
            file.seek(0)
            content = file.read()
            if avif.depth(content) > 8:
                return avif.decode_deep(content, *image.size), image.info
        image.load()
        if isinstance(image, JpegImagePlugin.JpegImageFile):
            _check_rows(file, image)
        info: dict[Any, Any] = dict(image.info)
        if image.format == "JPEG" and info.get("jfif_unit") not in (1, 2):
            info.pop("dpi", None)  # the shape of pixels, or made up by Pillow
        pixels = _with_channels(_pixels(_simplify(image)))
    return pixels, info


def _opener(head: bytes) -> Callable[[BinaryIO], ImageFile.ImageFile]:
    """Returns the class that opens a file of these first bytes.

    By name, not by `Image.open`: that would try every format there is, PostScript with
    its interpreter among them, and has a limit on pixels of its own.
    """
    if head.startswith(b"\xff\xd8\xff"):
        return JpegImagePlugin.JpegImageFile
    if webp.is_webp(head):
        return _open_webp
    if head.startswith(b"BM"):
        return BmpImagePlugin.BmpImageFile
    if head.startswith((b"GIF87a", b"GIF89a")):
        return GifImagePlugin.GifImageFile
    if avif.is_avif(head) and "AVIF" in Image.SAVE:
        from PIL import AvifImagePlugin

        return AvifImagePlugin.AvifImageFile
    if head[4:8] == b"ftyp":
        raise ValueError("a format of the HEIF family that this Pillow does not read")
    raise ValueError("empty" if not head else "no format that is read here")


def _open_webp(file: BinaryIO) -> ImageFile.ImageFile:
    """Opens a WebP whose size has been allowed, whatever Pillow's own limit."""
    with _LIMIT:
        limit, Image.MAX_IMAGE_PIXELS = Image.MAX_IMAGE_PIXELS, None
        try:
            return WebPImagePlugin.WebPImageFile(file)
        finally:
            Image.MAX_IMAGE_PIXELS = limit


def _check_rows(file: BinaryIO, image: Image.Image) -> None:
    """Refuses a JPEG whose last pixels libjpeg has made up."""
    corner = _pixels(image, image.height - 1)[-1, -1:].ravel().tolist()
    if not jpeg.looks_unfinished(image.width, corner):
        return
    file.seek(0)
    filled = io.BytesIO(jpeg.fill_scans(file.read()))
    with JpegImagePlugin.JpegImageFile(filled) as other:
        other.load()
        if not np.array_equal(_pixels(other), _pixels(image)):
            raise EOFError("fewer rows are there than the header says")


def _rawmode(image: ImageFile.ImageFile) -> str:
    """Returns how the decoder is told that the file stores its pixels."""
    arguments: Any = image.tile[0].args if image.tile else ""
    rawmode = arguments[0] if isinstance(arguments, tuple) else arguments
    return rawmode if isinstance(rawmode, str) else ""


def _decode_deep_png(content: bytes, image: Image.Image, rawmode: str) -> np.ndarray:
    """Returns the 16-bit pixels of a PNG with several channels.

    Pillow has no such mode and keeps the high bytes only. Told that the file has the
    other byte order, it takes the low bytes for the high ones: two decodes give both.
    """
    high = _pixels(image).astype(np.uint16)
    with PngImagePlugin.PngImageFile(io.BytesIO(content)) as again:
        if rawmode.startswith("LA;"):
            # Four bytes a pixel: both bytes of gray, then both of alpha.
            _set_rawmode(again, "RGBA")
            parts = _pixels(again).astype(np.uint16)
            return parts[..., ::2] << 8 | parts[..., 1::2]
        _set_rawmode(again, rawmode.removesuffix("B") + "L")
        low = _pixels(again).astype(np.uint16)
    return high << 8 | low


def _set_rawmode(image: ImageFile.ImageFile, rawmode: str) -> None:
    """Changes how Pillow's decoder will unpack the pixels of an opened image."""
    tiles = []
    for tile in image.tile:
        arguments: Any = tile.args
        rest = arguments[1:] if isinstance(arguments, tuple) else None
        tiles.append(tile._replace(args=rawmode if rest is None else (rawmode, *rest)))
    image.tile = tiles


def _pixels(image: Image.Image, top: int = 0) -> np.ndarray:
    """Returns the rows from `top` on, as `np.asarray` would with thrice the memory."""

    def rows(start: int, end: int) -> np.ndarray:
        return np.asarray(image.crop((0, start, image.width, end)))

    return join_strips(rows, max(top, 0), image.height, image.width)


def _simplify(image: Image.Image) -> Image.Image:
    """Returns the image in one of the modes L, LA, RGB, RGBA, I;16."""
    if image.mode.startswith("I;16"):
        return image
    if image.mode in ("I", "F"):
        raise tiff.Unsupported(f"expected 8 or 16 bits a channel, got {image.mode}")
    is_gray = image.mode in ("1", "L", "LA", "La")
    mode = "L" if is_gray else "RGB"
    if image.has_transparency_data:
        mode = "LA" if is_gray else "RGBA"
    return image if image.mode == mode else image.convert(mode)


def _with_channels(pixels: np.ndarray) -> np.ndarray:
    if pixels.dtype != np.uint8:
        pixels = pixels.astype(np.uint16)
    return pixels.reshape(*pixels.shape[:2], -1)


def _turn(pixels: np.ndarray, orientation: int) -> np.ndarray:
    """Returns the pixels as the camera was held, for an EXIF orientation of 1 to 8."""
    if orientation in (5, 6, 7, 8):
        pixels = pixels.swapaxes(0, 1)
    if orientation in (3, 4, 7, 8):
        pixels = pixels[::-1]
    if orientation in (2, 3, 6, 7):
        pixels = pixels[:, ::-1]
    return np.ascontiguousarray(pixels)
