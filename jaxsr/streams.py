"""One picture through standard input and output, or from one of them to a file."""

import sys
from collections.abc import Callable
from pathlib import Path

from jaxsr.errors import InputError
from jaxsr.imaging import (
    check_encodable,
    decode_picture,
    encode_picture,
    read_picture,
)
from jaxsr.imaging.files import MAX_MEGAPIXELS
from jaxsr.upscale_files import Enlarger, enlarge, enlarge_into, enlarged_shape

STANDARD = "-"
"""Stands for standard input, and for standard output."""


def upscale_stream(
    upscaler: Enlarger,
    source: str,
    target: str,
    *,
    suffix: str | None = None,
    strip: bool = False,
    quality: int | None = None,
    max_megapixels: float = MAX_MEGAPIXELS,
    progress: Callable[[int, int], object] | None = None,
) -> None:
    """Reads a picture, enlarges it and writes it.

    Args:
        upscaler: enlarges a picture.
        source: a file, or "-" for standard input.
        target: a file, or "-" for standard output.
        suffix: the format on standard output; None is the source's, of standard input
            PNG.
        strip, quality, max_megapixels, progress: see `upscale_files`.

    Raises:
        InputError: no picture, or one that cannot be written so; standard output is a
            terminal.
        OSError: the result cannot be written.
    """
    to_pipe = target == STANDARD
    if to_pipe and sys.stdout.isatty():
        raise InputError("standard output: expected a file or a pipe, got a terminal")
    if source == STANDARD:
        source, written = "standard input", suffix or ".png"
        try:
            content = sys.stdin.buffer.read()
        except OSError as error:
            raise OSError(error.errno, error.strerror, source) from error
        image, metadata = decode_picture(content, source, max_megapixels=max_megapixels)
    else:
        written = suffix or Path(source).suffix
        image, metadata = read_picture(source, max_megapixels=max_megapixels)
    kept = None if strip else metadata
    if not to_pipe:
        file = Path(target)
        enlarge_into(
            file, upscaler, image, source, kept, quality=quality, progress=progress
        )
        return
    name = Path(f"standard output{written}")  # says the format alone
    shape = enlarged_shape(upscaler, image)
    check_encodable(name, shape, image.dtype, quality=quality)
    sr = enlarge(upscaler, image, source, progress)
    sys.stdout.buffer.write(encode_picture(name, sr, kept, quality=quality))
    sys.stdout.buffer.flush()
