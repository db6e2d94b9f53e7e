"""Training patches cut on the accelerator, from images that all live there as uint8.

Nothing travels from host to device while training: `draw_batch` is a pure function that
becomes part of the compiled step. It needs no TensorFlow, and it draws as
`jaxsr.data.tf_pipeline` does: each image once an epoch in an order drawn anew, places
uniform over the image, all eight symmetries. Patches are functions of the seed and
their number alone; the numbers drawn are others than tf.data's.
"""

import dataclasses
import functools
import math
import os
from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxsr.data.pairs import Pair, read_pairs
from jaxsr.data.source import Source
from jaxsr.errors import InputError


class DoesNotFitError(InputError):
    """The source's images are larger than the memory that they may take."""


@functools.partial(
    jax.tree_util.register_dataclass,
    data_fields=["lr", "hr", "places"],
    meta_fields=["scale", "channels"],
)
@dataclasses.dataclass(frozen=True)
class DeviceImages:
    """All images of a source, side by side on one LR and one HR sheet.

    Sheets are matrices of rows: on a TPU, a last axis of three channels would be padded
    to 128. Both have the same layout, the HR sheet's magnified by `scale`.

    Attributes:
        lr: the LR sheet, uint8 [h, w * channels].
        hr: the HR sheet, uint8 [scale * h, scale * w * channels].
        places: top, left, height and width of each LR image on its sheet, int32 [n, 4].
        scale: the factor between LR and HR.
        channels: 1 or 3.
    """

    lr: jax.Array
    hr: jax.Array
    places: jax.Array
    scale: int
    channels: int

    def __len__(self) -> int:
        return self.places.shape[0]

    @property
    def nbytes(self) -> int:
        """Bytes that each device holds."""
        return self.lr.nbytes + self.hr.nbytes


def load_images(
    source: Source,
    *,
    scale: int,
    patch_size: int,
    channels: int = 3,
    sharding: jax.sharding.Sharding,
    skip_small: bool = False,
    memory_limit_gb: float | None = None,
    progress: bool = True,
) -> DeviceImages:
    """Reads every image of the source and puts it on the devices.

    Args:
        source: where images come from.
        scale: the factor between LR and HR.
        patch_size: side of the LR patch in pixels; images smaller than that are refused
            or left out.
        channels: 3 (RGB; gray images are repeated) or 1 (luma).
        sharding: where the images go; every device is to hold them whole.
        skip_small: whether images smaller than a patch are left out, which is logged,
            instead of refused.
        memory_limit_gb: what the images may take of each device, in GB (1e9 bytes);
            default: half of its memory.
        progress: whether reading the images shows a progress bar.

    Raises:
        DoesNotFitError: the images take more than the limit or the device's memory.
        InputError: an image is smaller than a patch, or an LR image does not fit its HR
            image.
    """
    device = min(sharding.addressable_devices, key=lambda device: device.id)
    limit = _memory_limit(device, memory_limit_gb)
    source = source.at_scale(scale)
    numbered_pairs = read_pairs(
        source,
        scale=scale,
        channels=channels,
        patch_size=patch_size,
        skip_small=skip_small,
        threads=os.cpu_count() or 1,
        progress=progress,
    )

    def check_fits(size: int, count: int) -> None:
        if size > limit:
            raise DoesNotFitError(
                f"{source.name} does not fit on the device: {count} of its "
                f"{len(source)} images take {_gb(size)} and may take {_gb(limit)} of "
                f"each {device.device_kind} (data.memory_limit_gb); "
                "data.pipeline=tfdata keeps images on the host"
            )

    pairs: list[Pair] = []
    size = 0
    for index, pair in numbered_pairs:
        size += pair.lr.nbytes + pair.hr.nbytes
        check_fits(size, index + 1)
        pairs.append(pair)

    places, height, width = _pack([pair.lr.shape[:2] for pair in pairs])
    check_fits(height * width * channels * (1 + scale**2), len(pairs))
    lr = np.zeros((height, width * channels), np.uint8)
    hr = np.zeros((scale * height, scale * width * channels), np.uint8)
    for top, left, *_ in places[::-1]:
        pair = pairs.pop()  # freed one by one: source and sheets need not both fit
        _paste(lr, pair.lr, top, left)
        _paste(hr, pair.hr, scale * top, scale * left)
    put = functools.partial(_put, sharding=sharding)
    return DeviceImages(put(lr), put(hr), put(places), scale, channels)


def draw_batch(
    images: DeviceImages,
    step: jax.Array,
    rows: jax.Array,
    *,
    batch_size: int,
    patch_size: int,
    seed: int,
    augment: bool = True,
) -> dict[str, jax.Array]:
    """Returns rows of the batch of one step, for use inside a compiled function.

    Args:
        images: what `load_images` returned.
        step: number of the batch, int32 scalar.
        rows: which of its rows, int32 [b]. A row does not depend on which others are
            drawn with it, so devices that draw rows of their own make up one batch.
        batch_size: rows of the whole batch.
        patch_size: p, side of the LR patch in pixels.
        seed: picks the stream.
        augment: whether patches are flipped along either axis and transposed, each
            with probability 1/2, independently.

    Returns:
        {"lr": uint8 [b, p, p, C], "hr": uint8 [b, scale*p, scale*p, C]}
    """
    order_key, patch_key = jax.random.split(jax.random.key(seed))
    order = _visiting_order(order_key, step, rows, batch_size, len(images))

    def cut(number: jax.Array, row: jax.Array) -> dict[str, jax.Array]:
        key = jax.random.fold_in(jax.random.fold_in(patch_key, step), row)
        bits = jax.random.bits(key, (5,))
        sheet_top, sheet_left, height, width = images.places[number]
        top = sheet_top + _below(bits[0], height - patch_size + 1)
        left = sheet_left + _below(bits[1], width - patch_size + 1)
        patches = {}
        for name, sheet, factor in (
            ("lr", images.lr, 1),
            ("hr", images.hr, images.scale),
        ):
            side = factor * patch_size
            patch = jax.lax.dynamic_slice(
                sheet,
                (factor * top, factor * left * images.channels),
                (side, side * images.channels),
            ).reshape(side, side, images.channels)
            patches[name] = _turn(patch, bits[2:] % 2 > 0) if augment else patch
        return patches

    return jax.vmap(cut)(order, rows)


def _visiting_order(
    key: jax.Array, step: jax.Array, rows: jax.Array, batch_size: int, count: int
) -> jax.Array:
    """Returns which image each row shows: each once an epoch, shuffled anew each time.

    Row r of step k is sample k * batch_size + r, which may pass 2^31: epoch and place
    in the epoch are computed without it.
    """
    first_epoch = step // count * batch_size + step % count * batch_size // count
    samples = step % count * batch_size % count + rows
    # A batch that begins within an epoch touches so many.
    epochs = first_epoch + jnp.arange((batch_size - 2) // count + 2)
    orders = jax.vmap(
        lambda epoch: jax.random.permutation(jax.random.fold_in(key, epoch), count)
    )(epochs)
    return orders[samples // count, samples % count]


def _below(bits: jax.Array, bound: jax.Array) -> jax.Array:
    """Returns random bits as a number in [0, bound), uniform up to bound / 2^32."""
    return (bits % bound.astype(jnp.uint32)).astype(jnp.int32)


def _turn(patch: jax.Array, draws: jax.Array) -> jax.Array:
    patch = jnp.where(draws[0], patch[::-1], patch)
    patch = jnp.where(draws[1], patch[:, ::-1], patch)
    return jnp.where(draws[2], patch.swapaxes(0, 1), patch)


def _pack(sizes: Sequence[tuple[int, ...]]) -> tuple[np.ndarray, int, int]:
    """Lays out rectangles on shelves of a nearly square sheet, tall ones first.

    Returns:
        top, left, height and width of each, int32 [n, 4]; the sheet's height and width.
    """
    area = sum(height * width for height, width in sizes)
    sheet_width = max(math.isqrt(area), *(width for _, width in sizes), 1)
    places = np.empty((len(sizes), 4), np.int32)
    top = left = shelf_height = 0
    for index in sorted(range(len(sizes)), key=lambda i: -sizes[i][0]):
        height, width = sizes[index]
        if left + width > sheet_width:
            top, left, shelf_height = top + shelf_height, 0, 0
        shelf_height = max(shelf_height, height)
        places[index] = top, left, height, width
        left += width
    return places, top + shelf_height, sheet_width


def _paste(sheet: np.ndarray, image: np.ndarray, top: int, left: int) -> None:
    height, width, channels = image.shape
    begin = left * channels
    sheet[top : top + height, begin : begin + width * channels] = image.reshape(
        height, -1
    )


def _put(array: np.ndarray, *, sharding: jax.sharding.Sharding) -> jax.Array:
    # Unlike device_put, this does not compare gigabytes among processes.
    return jax.make_array_from_callback(array.shape, sharding, lambda at: array[at])


def _memory_limit(device: Any, gigabytes: float | None) -> int:
    """Returns how many bytes images may take of the device."""
    statistics = device.memory_stats() or {}
    # CPUs tell nothing: they share the machine's memory.
    memory = statistics.get("bytes_limit") or (
        os.sysconf("SC_PHYS_PAGES")
        * os.sysconf("SC_PAGE_SIZE")
        // jax.local_device_count()
    )
    return memory // 2 if gigabytes is None else min(int(gigabytes * 1e9), memory)


def _gb(size: int) -> str:
    return f"{size / 1e9:.3g} GB"
