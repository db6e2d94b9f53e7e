"""A network with its parameters, for pictures of any size and kind: `Upscaler`."""

import copy
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import jax
import numpy as np
from jaxtyping import Float, UInt

from jaxsr.cpu import count_idle_threads
from jaxsr.imaging import fill_transparent, imresize
from jaxsr.inference.comparison import compare
from jaxsr.inference.pictures import apply_to
from jaxsr.inference.pixels import (
    as_floats,
    check_picture,
    enlarge_part,
    join_rows,
    round_rows,
)
from jaxsr.inference.pretrained import Pretrained
from jaxsr.inference.programs import Device, PlacedVariables, enlarge
from jaxsr.inference.self_ensemble import average_views
from jaxsr.inference.tiles import Tiles
from jaxsr.models import Network, name_of
from jaxsr.models.variables import check_collections, check_finite, count_learned
from jaxsr.weights import Weights

if TYPE_CHECKING:  # an optional dependency
    from matplotlib.figure import Figure


class Upscaler(Pretrained):
    """A network with its parameters, ready for pictures of any size and kind.

    One- and three-channel networks take gray and colour pictures alike, see
    `jaxsr.inference.pixels.enlarge_part`; arrays, batches, lists, paths and PIL images
    give what they are, see `jaxsr.inference.pictures`.

    Large pictures go through in overlapping tiles of one shape, so that one compilation
    serves all: the last row and column are shifted inward rather than shrunk. Where two
    tiles share a strip, the outer quarter on either side is dropped and the middle half
    fades from one into the other. A pixel of a network without global operations is
    therefore the same as in the whole picture if the network looks no further than
    `overlap / 4`. Global operations (the pooling of channel attention, non-local
    attention, covariance pooling) see one tile instead of the picture, so there the
    result differs a little everywhere, and the fade hides where tiles meet.

    Where the memory does not suffice, the picture is begun anew with tiles of half the
    side, down to twice the overlap, and a line is logged; later pictures begin with
    what sufficed. `tile=0` forbids that.

    Each new shape is compiled once per network, at 1 to 3 s, and the programs used last
    are kept. Another `Upscaler` of an equal network compiles nothing. Where the layers
    know of canvases (all but those of AMMS, SAN and SCN do) a uint8 or uint16 picture
    is put on one of few shapes, so that a folder compiles a handful of programs.

    Attributes:
        model: the network.
        variables: its parameters, on the host.
        devices: where the network runs; all but few CPU devices share a picture's rows.
        scale: its integer factor.
        channels: 1 (it works on luma) or 3.
        tile, overlap, self_ensemble, weights: as given; None means chosen per picture.
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
        weights: str = "given",
    ):
        """Places the parameters on a device.

        Args:
            model: a network, with 1 or 3 channels.
            variables: what `model.init` returns; arrays of NumPy or JAX.
            tile, overlap: see `jaxsr.inference.tiles.Tiles`.
            self_ensemble: average over the 8 flips and quarter turns of the picture:
                8 times the work, usually 0.05 to 0.2 dB better.
            device: where the network runs; by default all accelerators, or all CPU
                devices (see `jaxsr.cpu.use_every_core`).
            weights: what they are called, for people to read.

        Raises:
            InputError: as `Tiles`; variables without "params", or one of them NaN or
                infinite.
        """
        self.model = model
        self.scale = model.scale
        self.channels = model.channels
        if self.channels not in (1, 3):
            raise ValueError(f"a network has 1 or 3 channels, got {self.channels}")
        self._tiles = Tiles(tile, overlap, self.scale)
        self.self_ensemble = self_ensemble
        self.weights = weights
        devices = jax.local_devices() if device is None else [device]
        # Those of a training run may be spread over devices, which would all repeat it.
        self.variables = jax.device_get(dict(variables))
        check_collections(self.variables)
        check_finite(self.variables)
        self._placed = PlacedVariables(self.variables, devices)
        self._beside_others = False

    def __repr__(self) -> str:
        return f"<Upscaler {self.describe()}>"

    def describe(self) -> str:
        """Returns a line that names network, scale, weights and devices."""
        count, platform = len(self.devices), self.devices[0].platform
        return (
            f"{name_of(self.model)} x{self.scale}, weights {self.weights}, "
            f"{self.parameters:,} parameters, on {count} {platform} "
            f"device{'' if count == 1 else 's'}"
        )

    @property
    def tile(self) -> int | None:
        return self._tiles.tile

    @property
    def overlap(self) -> int:
        return self._tiles.overlap

    @property
    def devices(self) -> tuple[Device, ...]:
        return self._placed.devices

    def on(self, device: Device) -> "Upscaler":
        """Returns the same upscaler on another device."""
        other = copy.copy(self)
        other._placed = PlacedVariables(self.variables, [device])
        return other

    def beside_others(self) -> "Upscaler":
        """Returns the same upscaler for calls from several threads at once.

        On a CPU each picture keeps to one device then, and waits for no exchange.
        """
        other = copy.copy(self)
        other._beside_others = True
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

    def output_shape(self, height: int, width: int) -> tuple[int, int]:
        """Returns height and width of what becomes of a picture of this size."""
        return height * self.scale, width * self.scale

    def tile_shape(self, height: int, width: int) -> tuple[int, int]:
        """Returns the shape of tiles for such an LR picture, which may be its own."""
        return self._tiles.shape(height, width)

    def __call__(
        self,
        picture: Any,
        *,
        progress: Callable[[int, int], object] | None = None,
    ) -> Any:
        """Returns the picture enlarged `scale` times, rounded, in the same kind.

        Args:
            picture: uint8 or uint16, `[H, W]` or `[H, W, C]` with C in 1 to 4, as an
                array of NumPy or JAX (gives an array of that library); a batch
                `[N, H, W, C]` (gives a batch); a PIL image (gives a PIL image); a path
                (gives an array of NumPy); a list of any of these (gives a list). Small
                pictures of a batch or list share the cores. Alpha, the last of 2 or 4
                channels, is enlarged by bicubic interpolation; colours that it hides
                give way to those of their neighbours.
            progress: told after each tile how many are done, and of how many; for each
                picture anew, of several from threads.

        Raises:
            InputError: another kind, type or shape, no pixels, or a file that cannot be
                read; the network's output is not finite.
            MemoryError, RuntimeError: not even small tiles find memory.
        """

        def upscale(image: np.ndarray, *, beside_others: bool) -> np.ndarray:
            if image.ndim == 2:
                return upscale(image[..., None], beside_others=beside_others)[..., 0]
            check_picture(image)
            shape = (*self.output_shape(*image.shape[:2]), *image.shape[2:])
            sr = np.empty(shape, image.dtype)
            one = self.beside_others() if beside_others else self
            one.enlarge_rows(image, partial(join_rows, sr), progress=progress)
            return sr

        return apply_to(picture, upscale, self.output_shape)

    def enlarge_rows(
        self,
        image: UInt[np.ndarray, "h w c"],
        take: Callable[[Iterator[UInt[np.ndarray, "_ sw c"]]], object],
        *,
        progress: Callable[[int, int], object] | None = None,
    ) -> None:
        """Enlarges a picture whose result need not be in memory whole.

        Args:
            image: uint8 or uint16, `[H, W, C]` with C in 1 to 4.
            take: is given rows, a few at a time, from the top down; called again where
                the picture is begun anew, see the class. May raise what it likes.
            progress: as of a call, which also raises the same.
        """
        check_picture(image)
        colours = 1 if image.shape[-1] < 3 else 3
        lr, alpha = image[..., :colours], image[..., colours:]
        if alpha.size:
            lr, alpha = fill_transparent(lr, alpha), imresize(alpha, self.scale)

        def take_rounded(stretches: Iterator[np.ndarray]) -> None:
            take(round_rows(stretches, image.dtype, alpha))

        self._run_tiles(lr, take_rounded, progress, few_shapes=True, gray=True)

    def run(
        self, lr: Float[np.ndarray, "... h w c"], *, gray: bool = False
    ) -> Float[np.ndarray, "..."]:
        """Returns the picture or batch enlarged: float32, neither clipped nor rounded.

        Args:
            lr: float `[H, W, 1]` or `[H, W, 3]` in [0, 1], or a batch of such.
            gray: whether one channel is a gray picture, as in a call, and not luma.

        Raises:
            InputError: another type, shape or range, or NaN.
        """
        lr = as_floats(lr)
        if lr.ndim == 4:
            return np.stack([self.run(one, gray=gray) for one in lr])
        shape = (*self.output_shape(*lr.shape[:2]), lr.shape[2])
        sr = np.empty(shape, np.float32)
        self._run_tiles(lr, partial(join_rows, sr), few_shapes=False, gray=gray)
        return sr

    def compare(self, photo: Any, *, crop: int | None = None) -> "Figure":
        """Returns a figure for a notebook: bicubic, this network, and a detail of both.

        Needs matplotlib. The detail is where the two differ most.

        Args:
            photo: what the upscaler takes, but one picture.
            crop: side of the detail in pixels of the photo; None is a quarter of its
                shorter side.

        Raises:
            InputError: as a call; several pictures; matplotlib is not installed.
        """
        name = name_of(self.model)
        return compare(self, photo, crop, scale=self.scale, network=name)

    def _run_tiles(
        self,
        lr: np.ndarray,
        take: Callable[[Iterator[np.ndarray]], object],
        progress: Callable[[int, int], object] | None = None,
        *,
        few_shapes: bool,
        gray: bool,
    ) -> None:
        """Enlarges a picture of 1 or 3 channels; see `Tiles.run`."""

        def enlarge_tile(part: tuple[slice, slice]) -> np.ndarray:
            alone = lr[part].shape == lr.shape or count_idle_threads() == 1
            forward = partial(
                enlarge,
                self.model,
                self._placed,
                few_shapes=few_shapes,
                alone=alone and not self._beside_others,
            )
            network = partial(average_views, forward) if self.self_ensemble else forward
            return enlarge_part(
                lr, part, network, channels=self.channels, scale=self.scale, gray=gray
            )

        self._tiles.run(lr, enlarge_tile, take, progress)
