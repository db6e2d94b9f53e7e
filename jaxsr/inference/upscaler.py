"""A network with its parameters, for pictures of any size and kind: `Upscaler`."""

import copy
import itertools
import math
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import jax
import numpy as np
from jaxtyping import Float, UInt

from jaxsr.errors import InputError
from jaxsr.imaging import fill_transparent, imresize, rgb_to_ycbcr, ycbcr_to_rgb
from jaxsr.inference.programs import Device, PlacedVariables, enlarge
from jaxsr.inference.tiling import join_tiles, tile_starts
from jaxsr.models import Network
from jaxsr.models.variables import check_finite, count_learned
from jaxsr.weights import Weights

WHOLE_PICTURE_PIXELS = 2**22
"""Pictures of up to so many output pixels go through the network whole by default.

Every picture of the usual benchmarks does, DIV2K's 2040x2040 included. XLA needs 1 GiB
for such a one with RCBAM x2 and 8 GiB with EDSR x2 of 256 features (CPU, float32).
"""

AUTOMATIC_TILE_PIXELS = 2**20
"""Output pixels of a tile where the tile is chosen automatically."""


class Upscaler:
    """A network with its parameters, ready for pictures of any size and kind.

    One- and three-channel networks take gray and colour pictures alike. A one-channel
    network gets the luma of a colour picture, whose chroma is enlarged by bicubic; a
    three-channel network gets a gray picture three times, and its outputs are averaged.

    Large pictures go through in overlapping tiles of one shape, so that one compilation
    serves all: the last row and column are shifted inward rather than shrunk. Where two
    tiles share a strip, the outer quarter on either side is dropped and the middle half
    fades from one into the other. A pixel of a network without global operations is
    therefore the same as in the whole picture if the network looks no further than
    `overlap / 4`. Global operations (the pooling of channel attention, non-local
    attention, covariance pooling) see one tile instead of the picture, so there the
    result differs a little everywhere, and the fade hides where tiles meet.

    Each new shape of picture or tile is compiled once per network, at 1 to 3 s, and the
    programs used last are kept. The parameters are arguments of the compiled function:
    another `Upscaler` of an equal network with other parameters, as during training,
    compiles nothing. A uint8 or uint16 picture is put on a canvas of few shapes, so
    that a folder of photos compiles a handful of programs, where the network's layers
    know of canvases (all but those of AMMS, SAN and SCN do).

    Attributes:
        model: the network.
        variables: its parameters, on the host.
        devices: where the network runs; they share the rows of a picture.
        scale: its integer factor.
        channels: 1 (it works on luma) or 3.
        tile: as given; None means chosen per picture.
        overlap: as given.
        self_ensemble: as given.
    """

    def __init__(
        self,
        model: Network,
        variables: Mapping[str, Any],
        *,
        tile: int | None = None,
        overlap: int = 32,
        self_ensemble: bool = False,
        device: Device | None = None,
    ):
        """Places the parameters on a device.

        Args:
            model: a network, with 1 or 3 channels.
            variables: what `model.init` returns; arrays of NumPy or JAX.
            tile: side of the square tiles. 0 never tiles. None tiles only pictures of
                more than `WHOLE_PICTURE_PIXELS` output pixels.
            overlap: least width of the strip that neighbouring tiles share.
            self_ensemble: average over the 8 flips and quarter turns of the picture:
                8 times the work, usually 0.05 to 0.2 dB better.
            device: where the network runs; by default the first accelerator, or all
                CPU devices (see `jaxsr.cpu.use_every_core`).

        Raises:
            InputError: `tile` below 0 or below twice the `overlap`, negative `overlap`;
                a variable that is NaN or infinite.
        """
        self.model = model
        self.scale = model.scale
        self.channels = model.channels
        if self.channels not in (1, 3):
            raise ValueError(f"a network has 1 or 3 channels, got {self.channels}")
        if overlap < 0:
            raise InputError(f"overlap must be at least 0, got {overlap}")
        if tile is not None and (tile < 0 or 0 < tile < 2 * max(overlap, 1)):
            raise InputError(
                f"tile must be 0 (never) or at least {2 * max(overlap, 1)} pixels, "
                f"twice the overlap, got {tile}"
            )
        self.tile = tile
        self.overlap = overlap
        self.self_ensemble = self_ensemble
        devices = jax.local_devices() if device is None else [device]
        if devices[0].platform != "cpu":
            devices = devices[:1]
        # Through the host: parameters of a training run may be spread over devices,
        # each of which would otherwise repeat the whole work.
        self.variables = jax.device_get(dict(variables))
        check_finite(self.variables)
        self._placed = PlacedVariables(self.variables, devices)

    @property
    def devices(self) -> tuple[Device, ...]:
        return self._placed.devices

    def on(self, device: Device) -> "Upscaler":
        """Returns the same upscaler on another device."""
        other = copy.copy(self)
        other._placed = PlacedVariables(self.variables, [device])
        return other

    def save(self, path: str | Path, **origin: Any) -> None:
        """Writes the network with its weights to a file that `jaxsr.load` reads.

        Args:
            path: of the `.safetensors` file.
            origin: where they come from, to be kept in the file.
        """
        Weights.of(self.model, self.variables, **origin).save(path)

    @property
    def parameters(self) -> int:
        """How many numbers the network learned."""
        return count_learned(self.variables)

    def tile_shape(self, height: int, width: int) -> tuple[int, int]:
        """Returns the shape of tiles for such an LR picture: its own if it is not cut.

        Args:
            height: of the LR picture.
            width: of the LR picture.
        """
        tile = self.tile
        if tile is None:
            whole = height * width * self.scale**2 <= WHOLE_PICTURE_PIXELS
            side = math.isqrt(AUTOMATIC_TILE_PIXELS) // self.scale
            tile = 0 if whole else max(side, 2 * self.overlap)
        return (min(tile, height), min(tile, width)) if tile else (height, width)

    def __call__(
        self,
        image: UInt[np.ndarray, "..."],
        *,
        progress: Callable[[int, int], object] | None = None,
    ) -> UInt[np.ndarray, "..."]:
        """Returns the picture enlarged `scale` times, rounded, in the same kind.

        Rows are rounded as they come: beside the result there is a row of tiles.

        Args:
            image: uint8 or uint16, `[H, W]` or `[H, W, C]` with C in 1 to 4. Alpha (the
                last of 2 or 4 channels) is enlarged by bicubic interpolation; colours
                of pixels that it hides give way to those of their neighbours.
            progress: told after each tile how many are done, and of how many.

        Raises:
            InputError: another type or shape, or no pixels; the network's output is not
                finite.
        """
        image = np.asarray(image)
        if image.ndim == 2:
            return self(image[..., None], progress=progress)[..., 0]
        if image.dtype not in (np.uint8, np.uint16):
            raise InputError(
                f"expected a uint8 or uint16 picture, got {image.dtype} "
                "(for floats in [0, 1] use Upscaler.run)"
            )
        if image.ndim != 3 or image.shape[-1] not in (1, 2, 3, 4) or not image.size:
            raise InputError(
                "expected a picture [H, W] or [H, W, 1 to 4] with at least one pixel, "
                f"got {list(image.shape)}"
            )
        height, width, channels = image.shape
        colours = 1 if channels < 3 else 3
        sr = np.empty((height * self.scale, width * self.scale, channels), image.dtype)
        lr, alpha = image[..., :colours], image[..., colours:]
        if channels > colours:
            lr = fill_transparent(lr, alpha)
        top = 0
        for stretch in self._stretches(lr, few_shapes=True, progress=progress):
            _round_into(sr[top : top + len(stretch), :, :colours], stretch)
            top += len(stretch)
        if channels > colours:
            sr[..., colours:] = imresize(alpha, self.scale)
        return sr

    def run(self, lr: Float[np.ndarray, "h w c"]) -> Float[np.ndarray, "sh sw c"]:
        """Returns the enlarged picture as float32, neither clipped nor rounded.

        Args:
            lr: float `[H, W, 1]` or `[H, W, 3]` in [0, 1].
        """
        lr = np.asarray(lr)
        if lr.dtype.kind in "biu":
            raise InputError(
                f"expected floats in [0, 1], got {lr.dtype} (call the Upscaler itself "
                "with a uint8 or uint16 picture)"
            )
        lr = lr.astype(np.float32, copy=False)
        if lr.ndim != 3 or lr.shape[-1] not in (1, 3) or not lr.size:
            raise InputError(
                "expected a picture [H, W, 1] or [H, W, 3] with at least one pixel, "
                f"got {list(lr.shape)}"
            )
        stretches = list(self._stretches(lr, few_shapes=False))
        return stretches[0] if len(stretches) == 1 else np.concatenate(stretches)

    def _stretches(
        self,
        lr: np.ndarray,
        *,
        few_shapes: bool,
        progress: Callable[[int, int], object] | None = None,
    ) -> Iterator[np.ndarray]:
        """Yields the enlarged picture, float32, from the top down.

        Args:
            lr: float in [0, 1], uint8 or uint16, with 1 or 3 channels.
            few_shapes: see `jaxsr.inference.programs.enlarge`.
            progress: see `__call__`.
        """
        height, width = lr.shape[:2]
        tile_height, tile_width = self.tile_shape(height, width)
        tops = tile_starts(height, tile_height, self.overlap)
        lefts = tile_starts(width, tile_width, self.overlap)
        done = itertools.count(1)

        def enlarge_tile(top: int, left: int) -> np.ndarray:
            part = (slice(top, top + tile_height), slice(left, left + tile_width))
            sr = self._enlarge(lr, part, few_shapes=few_shapes)
            if progress is not None:
                progress(next(done), len(tops) * len(lefts))
            return sr.swapaxes(0, 1)

        def enlarge_row(top: int) -> np.ndarray:
            tiles = (enlarge_tile(top, left) for left in lefts)
            if len(lefts) == 1:
                return next(tiles).swapaxes(0, 1)
            shape = (tile_height * self.scale, width * self.scale, lr.shape[-1])
            row = np.empty(shape, np.float32)
            left = 0
            for stretch in join_tiles(tiles, lefts, self.scale):
                row[:, left : left + len(stretch)] = stretch.swapaxes(0, 1)
                left += len(stretch)
            return row

        return join_tiles(map(enlarge_row, tops), tops, self.scale)

    def _enlarge(
        self, picture: np.ndarray, part: tuple[slice, slice], *, few_shapes: bool
    ) -> np.ndarray:
        """Returns a part of the picture, enlarged, with the picture's channels."""
        lr = _to_float(picture[part])
        if lr.shape[-1] == self.channels:
            return self._average(lr, few_shapes=few_shapes)
        if self.channels == 3:
            sr = self._average(np.repeat(lr, 3, axis=-1), few_shapes=few_shapes)
            return sr.mean(axis=-1, keepdims=True)
        luma = np.asarray(rgb_to_ycbcr(lr))[..., :1]
        luma = self._average(luma, few_shapes=few_shapes)
        chroma = _bicubic_chroma(picture, part, self.scale)
        sr = ycbcr_to_rgb(np.concatenate([luma, chroma], axis=-1))
        return np.asarray(sr, np.float32)

    def _average(self, lr: np.ndarray, *, few_shapes: bool) -> np.ndarray:
        """Returns the network's output, of the 8 views on average if so asked."""

        def forward(view: np.ndarray) -> np.ndarray:
            return enlarge(self.model, self._placed, view, few_shapes=few_shapes)

        if not self.self_ensemble:
            return forward(lr)
        total = np.zeros((), np.float64)
        for turns in range(4):
            for flip in (False, True):
                view = np.rot90(lr, turns)
                sr = forward(view[:, ::-1] if flip else view)
                total = total + np.rot90(sr[:, ::-1] if flip else sr, -turns)
        return (total / 8).astype(np.float32)


def _to_float(image: np.ndarray) -> np.ndarray:
    """Returns the picture as float32 in [0, 1]."""
    if image.dtype.kind == "f":
        return image
    return image.astype(np.float32) / np.float32(np.iinfo(image.dtype).max)


def _round_into(out: np.ndarray, sr: np.ndarray) -> None:
    """Writes float pixels in [0, 1] as integers over the full range of `out`.

    Raises:
        InputError: a pixel is not finite.
    """
    peak = np.float32(np.iinfo(out.dtype).max)
    step = max(2**20 // sr[0].size, 1)  # rows; what is made in between stays small
    for top in range(0, len(sr), step):
        rows = sr[top : top + step]
        if not np.isfinite(
            rows
        ).all():  # rounded it would be a picture with black spots
            raise InputError("the network made NaN or infinite pixels of this picture")
        out[top : top + step] = np.floor(np.clip(rows, 0.0, 1.0) * peak + 0.5)


def _bicubic_chroma(
    picture: np.ndarray, part: tuple[slice, slice], scale: int
) -> np.ndarray:
    """Returns a part's chroma enlarged as in the whole picture."""
    margin = 2  # as far as the interpolation looks
    wider, cut = [], []
    for side, span in zip(picture.shape[:2], part, strict=True):
        start, stop = max(span.start - margin, 0), min(span.stop + margin, side)
        wider.append(slice(start, stop))
        begin = (span.start - start) * scale
        cut.append(slice(begin, begin + (span.stop - span.start) * scale))
    ycbcr = np.asarray(rgb_to_ycbcr(_to_float(picture[tuple(wider)])))
    return imresize(ycbcr[..., 1:], scale)[tuple(cut)]
