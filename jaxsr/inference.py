"""Run a network on pictures: `Upscaler(model, variables)(photo)`.

Arrays that come from files are uint8 or uint16 `[H, W, C]` (C: 1 gray, 2 gray + alpha,
3 RGB, 4 RGB + alpha); inside, pictures are float32 `[H, W, C]` in [0, 1]. Lengths of
`tile` and `overlap` are in pixels of the small (LR) picture.
"""

import copy
import functools
import math
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import jax
import numpy as np
from jaxtyping import Float, UInt

from jaxsr.errors import InputError
from jaxsr.imaging import fill_transparent, imresize, rgb_to_ycbcr, ycbcr_to_rgb
from jaxsr.models import Network
from jaxsr.models.variables import check_finite
from jaxsr.weights import Weights

# A jax.Device, which type checkers take for a variable.
Device = Any

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

    Each new shape of picture or tile is compiled once per network, at 1 to 3 s. The
    parameters are arguments of the compiled function: another `Upscaler` of an equal
    network with other parameters, as during training, compiles nothing.

    Attributes:
        model: the network.
        variables: its parameters, on `device`.
        device: where the network runs.
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
            device: where the network runs; by default the first local device.

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
        self.device = jax.local_devices()[0] if device is None else device
        # Through the host: parameters of a training run may be spread over devices,
        # each of which would otherwise repeat the whole work.
        on_host = jax.device_get(dict(variables))
        check_finite(on_host)
        self.variables = jax.device_put(on_host, self.device)

    def on(self, device: Device) -> "Upscaler":
        """Returns the same upscaler on another device."""
        other = copy.copy(self)
        other.device = device
        other.variables = jax.device_put(self.variables, device)
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
        leaves = jax.tree.leaves(self.variables.get("params", {}))
        return sum(leaf.size for leaf in leaves)

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

    def __call__(self, image: UInt[np.ndarray, "..."]) -> UInt[np.ndarray, "..."]:
        """Returns the picture enlarged `scale` times, rounded, in the same kind.

        Args:
            image: uint8 or uint16, `[H, W]` or `[H, W, C]` with C in 1 to 4. Alpha (the
                last of 2 or 4 channels) is enlarged by bicubic interpolation; colours
                of pixels that it hides give way to those of their neighbours.

        Raises:
            InputError: another type or shape, or no pixels; the network's output is not
                finite.
        """
        image = np.asarray(image)
        if image.ndim == 2:
            return self(image[..., None])[..., 0]
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
        peak = np.iinfo(image.dtype).max
        colours = 1 if image.shape[-1] < 3 else 3
        lr = image[..., :colours]
        if image.shape[-1] > colours:
            lr = fill_transparent(lr, image[..., colours:])
        sr = self.run(lr.astype(np.float32) / np.float32(peak))
        if not np.isfinite(sr).all():  # rounded it would be a picture with black spots
            raise InputError("the network made NaN or infinite pixels of this picture")
        sr = np.clip(sr, 0.0, 1.0)
        sr = np.floor(sr * np.float32(peak) + 0.5).astype(image.dtype)
        if image.shape[-1] == colours:
            return sr
        alpha = imresize(image[..., colours:], self.scale)
        return np.concatenate([sr, alpha], axis=-1)

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
        if lr.shape[-1] == self.channels:
            return self._enlarge(lr)
        if self.channels == 3:
            sr = self._enlarge(np.repeat(lr, 3, axis=-1))
            return sr.mean(axis=-1, keepdims=True)
        ycbcr = np.asarray(rgb_to_ycbcr(lr))
        luma = self._enlarge(ycbcr[..., :1])
        chroma = imresize(ycbcr[..., 1:], self.scale)
        sr = ycbcr_to_rgb(np.concatenate([luma, chroma], axis=-1))
        return np.asarray(sr, np.float32)

    def _enlarge(self, lr: np.ndarray) -> np.ndarray:
        """Returns the network's output for a picture of its own number of channels."""
        if not self.self_ensemble:
            return self._forward(lr)
        total = np.zeros((), np.float64)
        for turns in range(4):
            for flip in (False, True):
                view = np.rot90(lr, turns)
                sr = self._forward(view[:, ::-1] if flip else view)
                total = total + np.rot90(sr[:, ::-1] if flip else sr, -turns)
        return (total / 8).astype(np.float32)

    def _forward(self, lr: np.ndarray) -> np.ndarray:
        height, width = lr.shape[:2]
        tile_height, tile_width = self.tile_shape(height, width)
        rows = _starts(height, tile_height, self.overlap)
        columns = _starts(width, tile_width, self.overlap)

        def tile(top: int, left: int) -> np.ndarray:
            view = lr[top : top + tile_height, left : left + tile_width]
            return self._forward_tile(view)

        def row(top: int) -> np.ndarray:
            tiles = (tile(top, left).swapaxes(0, 1) for left in columns)
            return _join(tiles, columns, width, self.scale).swapaxes(0, 1)

        return _join(map(row, rows), rows, height, self.scale)

    def _forward_tile(self, lr: np.ndarray) -> np.ndarray:
        batch = jax.device_put(np.ascontiguousarray(lr[None]), self.device)
        return jax.device_get(_apply(self.model, self.variables, batch))[0]


@functools.partial(jax.jit, static_argnums=0)
def _apply(model: Network, variables: Mapping[str, Any], lr: jax.Array) -> jax.Array:
    # The module is static and hashed by its fields: equal networks share compilations.
    sr = model.apply(variables, lr)
    assert isinstance(sr, jax.Array)
    return sr


def _starts(size: int, tile: int, overlap: int) -> list[int]:
    """Returns where tiles begin, evenly; neighbours share at least `overlap`."""
    if tile == size:
        return [0]
    count = math.ceil((size - overlap) / (tile - overlap))
    return [i * (size - tile) // (count - 1) for i in range(count)]


def _join(
    pieces: Iterable[np.ndarray], starts: list[int], size: int, scale: int
) -> np.ndarray:
    """Returns the pieces, which begin at `starts` on axis 0, as one array.

    Rows are joined after the tiles of each row, not both at once: a corner that four
    tiles share then never shows the outer edge of any of them.

    Args:
        pieces: enlarged `[t, w, C]`, all of one shape.
        starts: in LR pixels.
        size: of the whole on axis 0, in LR pixels.
        scale: the network's factor.
    """
    canvas = np.empty(0, np.float32)
    end = 0
    for start, piece in zip(starts, pieces, strict=True):
        if end == 0:
            if len(starts) == 1:
                return piece
            canvas = np.empty((size * scale, *piece.shape[1:]), np.float32)
        begin = start * scale
        shared = max(end - begin, 0)
        dropped = shared // 4
        fade = slice(begin + dropped, end - dropped if shared else begin)
        length = fade.stop - fade.start
        ramp = (np.arange(length, dtype=np.float32) + 0.5) / max(length, 1)
        old, new = canvas[fade], piece[dropped : dropped + length]
        # Written so, pixels on which both agree keep their exact value.
        canvas[fade] = old + ramp[:, None, None] * (new - old)
        end = begin + len(piece)
        canvas[fade.stop : end] = piece[dropped + length :]
    return canvas
