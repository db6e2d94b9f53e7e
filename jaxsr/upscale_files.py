"""Picture files, enlarged into others, one after another or several at once."""

import contextlib
import errno
from collections.abc import Callable, Generator, Iterable, Iterator
from pathlib import Path
from typing import Protocol

import numpy as np

from jaxsr.errors import InputError, is_out_of_memory, named
from jaxsr.imaging import (
    Metadata,
    check_writable,
    read_picture,
    takes_rows,
    write_image,
    write_rows,
)
from jaxsr.imaging.files import MAX_MEGAPIXELS
from jaxsr.in_order import map_in_order
from jaxsr.inference.tiles import fits_beside_others

# These go wrong for every picture that follows.
_ENDS_THE_RUN = (errno.ENOSPC, errno.EDQUOT, errno.EROFS)


Outcome = tuple[Path, InputError | None]
"""A picture that was read, and what was wrong with it."""

# What is read, what is written, and the picture or why there is none.
_Job = tuple[Path, Path, tuple[np.ndarray, Metadata] | InputError]


class Enlarger(Protocol):
    """What `upscale_files` calls, such as an `Upscaler`; see there."""

    def output_shape(self, height: int, width: int) -> tuple[int, int]: ...

    def enlarge_rows(
        self,
        image: np.ndarray,
        take: Callable[[Iterator[np.ndarray]], object],
        *,
        progress: Callable[[int, int], object] | None,
    ) -> None: ...

    def __call__(
        self, picture: np.ndarray, *, progress: Callable[[int, int], object] | None
    ) -> np.ndarray: ...

    def beside_others(self) -> "Enlarger": ...


def upscale_files(
    upscaler: Enlarger,
    pairs: Iterable[tuple[Path, Path]],
    *,
    strip: bool = False,
    quality: int | None = None,
    max_megapixels: float = MAX_MEGAPIXELS,
    at_once: int = 1,
    progress: Callable[[int, int], object] | None = None,
) -> Generator[Outcome, None, None]:
    """Enlarges file by file; yields each one read, with what was wrong with it if so.

    Folders are made as needed. A picture that cannot be read or enlarged, or whose
    result cannot be written, is left out, before it is enlarged wherever that can be
    known; a full disk ends the run.

    Args:
        upscaler: enlarges a picture.
        pairs: pictures to read, each with the file to write.
        strip: do not hand on colour profile, EXIF and resolution.
        quality: see `write_image`.
        max_megapixels: millions of pixels that a picture may have.
        at_once: how many pictures are in work; large ones are alone.
        progress: told of each picture that is alone how many of its tiles are done, and
            of how many.
    """

    beside_others = upscaler.beside_others() if at_once > 1 else upscaler

    def read(pair: tuple[Path, Path]) -> _Job:
        source, target = pair
        try:
            return source, target, read_picture(source, max_megapixels=max_megapixels)
        except (InputError, OSError) as error:
            return source, target, _as_input_error(error, source)

    def is_large(job: _Job) -> bool:
        if isinstance(job[2], InputError):
            return False
        return not fits_beside_others(*upscaler.output_shape(*job[2][0].shape[:2]))

    def write(job: _Job) -> Outcome:
        source, target, picture = job
        if isinstance(picture, InputError):
            return source, picture
        image, metadata = picture
        is_alone = at_once == 1 or is_large(job)
        try:
            enlarge_into(
                target,
                upscaler if is_alone else beside_others,
                image,
                source,
                None if strip else metadata,
                quality=quality,
                progress=progress if is_alone else None,
            )
        except (InputError, OSError) as error:
            return source, _as_input_error(error, target)
        return source, None

    yield from map_in_order(write, map(read, pairs), at_once, alone=is_large)


def _as_input_error(error: InputError | OSError, file: Path) -> InputError:
    if isinstance(error, InputError):
        return error
    if error.errno in _ENDS_THE_RUN:
        raise error
    return InputError(f"{file}: {error.strerror or error}")


def preview_files(
    upscaler: Enlarger,
    pairs: Iterable[tuple[Path, Path]],
    *,
    max_megapixels: float = MAX_MEGAPIXELS,
) -> Iterator[tuple[str, InputError | None]]:
    """Yields what `upscale_files` would do with each picture, or what is wrong with it.

    Pictures are read; nothing is computed or written.
    """
    for source, target in pairs:
        try:
            image, _ = read_picture(source, max_megapixels=max_megapixels)
            enlarged = enlarged_shape(upscaler, image)
            check_writable(target, enlarged, image.dtype)
        except InputError as error:
            yield "", error
        else:
            (height, width), (rows, columns) = image.shape[:2], enlarged[:2]
            yield f"{source} ({width}x{height}) -> {target} ({columns}x{rows})", None


def enlarged_shape(upscaler: Enlarger, image: np.ndarray) -> tuple[int, int, int]:
    """Returns the shape `(H, W, C)` of what becomes of a picture."""
    return *upscaler.output_shape(*image.shape[:2]), image.shape[-1]


def enlarge_into(
    target: Path,
    upscaler: Enlarger,
    image: np.ndarray,
    source: str | Path,
    metadata: Metadata | None,
    *,
    quality: int | None = None,
    progress: Callable[[int, int], object] | None = None,
) -> None:
    """Enlarges a picture into a file, row by row where its format allows it.

    Raises:
        InputError: as `check_writable`, before it is enlarged; as `enlarge`.
        OSError: the file cannot be written.
    """
    shape = enlarged_shape(upscaler, image)
    check_writable(target, shape, image.dtype, quality=quality)
    if not takes_rows(target):
        sr = enlarge(upscaler, image, source, progress)
        write_image(target, sr, metadata, quality=quality)
        return

    def write(rows: Iterator[np.ndarray]) -> None:
        write_rows(target, _named_rows(rows, source), shape, image.dtype, metadata)

    with _memory_may_lack(image, source):
        upscaler.enlarge_rows(image, write, progress=progress)


def _named_rows(rows: Iterator[np.ndarray], source: str | Path) -> Iterator[np.ndarray]:
    with named(source):
        yield from rows


def enlarge(
    upscaler: Enlarger,
    image: np.ndarray,
    source: str | Path,
    progress: Callable[[int, int], object] | None,
) -> np.ndarray:
    """Returns the picture enlarged; errors name where it comes from.

    Raises:
        InputError: the upscaler's, and that there is not enough memory.
    """
    with _memory_may_lack(image, source), named(source):
        return upscaler(image, progress=progress)


@contextlib.contextmanager
def _memory_may_lack(image: np.ndarray, source: str | Path) -> Iterator[None]:
    """Says so in an InputError."""
    try:
        yield
    except (MemoryError, RuntimeError) as error:
        if not is_out_of_memory(error):
            raise
        height, width = image.shape[:2]
        raise InputError(
            f"{source}: not enough memory to enlarge {width}x{height} pixels: pass a "
            "smaller --tile"
        ) from error
