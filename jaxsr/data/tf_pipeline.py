"""Training patches by tf.data: the one file of jaxsr that imports TensorFlow.

The stream has no state. Every patch is a function of the source, the seed and its
number alone, so a run continues at step k by starting at step k, and processes agree on
a batch without talking to each other. Images are uint8 throughout.
"""

import os
import weakref
from collections.abc import Iterator
from typing import Any

import numpy as np

from jaxsr.data.pairs import Pair, read_pair, read_pairs
from jaxsr.data.source import Source
from jaxsr.errors import InputError

# TensorFlow only cuts patches here: no kernels that warn of unknown processors.
os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "0")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "1")
try:
    import tensorflow
except ModuleNotFoundError as missing:
    raise InputError(
        "the tf.data pipeline needs TensorFlow: "
        "python -m pip install 'jaxsr-superres[train]'"
    ) from missing

# Type checkers know TensorFlow by stubs that lack operators and newer functions.
tf: Any = tensorflow
Tensor = Any

# The accelerator is JAX's: TensorFlow would otherwise claim all its memory.
tf.config.set_visible_devices([], "GPU")

_PREFETCHED_BATCHES = 4
# Images join the long list by so many at a time: each change of a list copies its
# references, which for tens of thousands of images would take as long as reading them.
_LIST_GROWTH = 256


def make_batches(
    source: Source,
    *,
    scale: int,
    patch_size: int,
    batch_size: int,
    channels: int = 3,
    seed: int,
    start_step: int = 0,
    process_index: int = 0,
    process_count: int = 1,
    augment: bool = True,
    skip_small: bool = False,
    memory_limit_gb: float | None = None,
    threads: int | None = None,
    progress: bool = True,
) -> "Batches":
    """Returns the endless stream of training batches.

    A batch is {"lr": uint8 [b, p, p, C], "hr": uint8 [b, scale*p, scale*p, C]} with b
    rows of this process. Every image is visited once an epoch, in an order drawn anew
    for each epoch; a patch's place is uniform over the image, on the LR image's grid.

    Every image is read once before this returns, and as many as fit are kept in memory
    with their LR images. The others are read again whenever a patch is cut from them,
    which is slow but gives the same stream.

    Args:
        source: where images come from.
        scale: the factor between LR and HR.
        patch_size: p, side of the LR patch in pixels.
        batch_size: patches in a batch of all processes together.
        channels: 3 (RGB; gray images are repeated) or 1 (luma).
        seed: picks the stream.
        start_step: number of the first batch.
        process_index: which share of each batch this process gets.
        process_count: how many processes share a batch.
        augment: whether patches are flipped along either axis and transposed, each
            with probability 1/2, independently: all eight symmetries of the square.
        skip_small: whether images smaller than a patch are left out, which is logged,
            instead of refused.
        memory_limit_gb: images above this many GB (1e9 bytes) are not kept; default:
            half of the machine's memory.
        threads: processor cores that the pipeline may use; default: half of them.
        progress: whether reading the images shows a progress bar.

    Raises:
        InputError: the batch does not divide, an image is smaller than a patch or no
            image at all, or an LR image does not fit its HR image.
    """
    if batch_size % process_count:
        raise InputError(
            f"batch_size: expected a multiple of the {process_count} processes, "
            f"got {batch_size}"
        )
    threads = threads or max(1, (os.cpu_count() or 1) // 2)
    images = _Images(source.at_scale(scale), scale, channels)
    images.load(
        patch_size=patch_size,
        skip_small=skip_small,
        limit=_memory_limit(memory_limit_gb),
        threads=threads,
        progress=progress,
    )
    local_size = batch_size // process_count

    def cut(position: Tensor) -> dict[str, Tensor]:
        step, row = position // local_size, position % local_size
        number = step * batch_size + process_index * local_size + row
        index = tf.random.experimental.index_shuffle(
            number % len(images),
            seed=tf.stack([tf.constant(seed, tf.int64), number // len(images)]),
            max_index=len(images) - 1,
        )
        bits = tf.random.stateless_uniform(
            [5], seed=[seed, number], minval=None, maxval=None, dtype=tf.uint32
        )
        bits = tf.cast(bits, tf.int64)
        lr, hr = images.rows(tf.cast(index, tf.int32))
        height, width = tf.shape(lr, tf.int64)[0], tf.shape(lr, tf.int64)[1] // channels
        top = bits[0] % (height - patch_size + 1)
        left = bits[1] % (width - patch_size + 1)
        patches = {}
        for name, rows, factor in (("lr", lr, 1), ("hr", hr, scale)):
            side = factor * patch_size
            begin = [factor * top, factor * left * channels]
            patch = tf.slice(rows, begin, [side, side * channels])
            patch = tf.reshape(patch, [side, side, channels])
            patches[name] = _turn(patch, bits[2:] % 2 > 0) if augment else patch
        return patches

    # AutoGraph reads Python source anew from disk, which an editor may have changed
    # since; nothing here needs it.
    do_not_convert = tf.autograph.experimental.do_not_convert
    dataset = (
        tf.data.Dataset.range(start_step * local_size, tf.int64.max)
        .map(do_not_convert(cut), num_parallel_calls=threads, deterministic=True)
        .batch(local_size, drop_remainder=True)
        .prefetch(_PREFETCHED_BATCHES)
    )
    options = tf.data.Options()
    options.autotune.enabled = False
    options.threading.private_threadpool_size = threads
    options.threading.max_intra_op_parallelism = 1
    return Batches(dataset.with_options(options).as_numpy_iterator(), images)


def _turn(patch: Tensor, draws: Tensor) -> Tensor:
    """Returns the patch flipped along either axis and transposed where drawn."""
    side, _, channels = patch.shape
    patch = tf.reverse(patch, tf.boolean_mask([0, 1], draws[:2]))
    patch = tf.transpose(patch, tf.where(draws[2], [1, 0, 2], [0, 1, 2]))
    return tf.ensure_shape(patch, [side, side, channels])


class _Images:
    """The pairs of a source, in memory as far as they fit, the rest read on demand.

    Images are kept as matrices of rows, [H, W * C], in TensorFlow's list of tensors of
    any shape: picking one copies nothing, and cutting from it copies the patch alone.

    Attributes:
        failures: what went wrong while reading, as TensorFlow reports only its text.
    """

    def __init__(self, source: Source, scale: int, channels: int):
        self._source = source
        self._scale = scale
        self._channels = channels
        self._indices: list[int] = []  # of the images that are large enough
        self._kept = 0  # the first so many of them are in memory
        self._lists = [_empty_list(), _empty_list()]
        self._recent = [_empty_list(), _empty_list()]
        self.failures: list[Exception] = []

    def __len__(self) -> int:
        return len(self._indices)

    def load(
        self,
        *,
        patch_size: int,
        skip_small: bool,
        limit: int,
        threads: int,
        progress: bool,
    ) -> None:
        """Reads every pair once, and keeps them in order until `limit` bytes."""
        pairs = read_pairs(
            self._source,
            scale=self._scale,
            channels=self._channels,
            patch_size=patch_size,
            skip_small=skip_small,
            threads=threads,
            progress=progress,
        )
        size = 0
        for index, pair in pairs:
            size += pair.lr.nbytes + pair.hr.nbytes
            if size <= limit:
                self._keep(pair)
            self._indices.append(index)
        self._join_recent()

    def rows(self, index: Tensor) -> list[Tensor]:
        """Returns LR and HR image `index` as rows, in a traced function."""

        def from_memory() -> list[Tensor]:
            return [
                tf.raw_ops.TensorListGetItem(
                    input_handle=images,
                    index=index,
                    element_shape=[-1, -1],
                    element_dtype=tf.uint8,
                )
                for images in self._lists
            ]

        def from_source() -> list[Tensor]:
            pair = tf.numpy_function(
                self._read_rows,
                [tf.gather(self._indices, index)],
                [tf.uint8, tf.uint8],
            )
            return [tf.ensure_shape(image, [None, None]) for image in pair]

        if self._kept == len(self):
            return from_memory()
        return tf.cond(index < self._kept, from_memory, from_source)

    def _read(self, index: int) -> Pair:
        return read_pair(
            self._source, index, scale=self._scale, channels=self._channels
        )

    def _read_rows(self, index: np.ndarray) -> list[np.ndarray]:
        try:
            return [_rows(image) for image in self._read(int(index))]
        except Exception as error:
            # Raised here, TensorFlow would print its traceback; no patch fits into
            # this, so that the step fails all the same.
            self.failures.append(error)
            return [np.empty([0, 0], np.uint8)] * 2

    def _keep(self, pair: Pair) -> None:
        self._recent = [
            tf.raw_ops.TensorListPushBack(input_handle=images, tensor=_rows(image))
            for images, image in zip(self._recent, pair, strict=True)
        ]
        self._kept += 1
        if self._kept % _LIST_GROWTH == 0:
            self._join_recent()

    def _join_recent(self) -> None:
        self._lists = [
            tf.raw_ops.TensorListConcatLists(
                input_a=images, input_b=recent, element_dtype=tf.uint8
            )
            for images, recent in zip(self._lists, self._recent, strict=True)
        ]
        self._recent = [_empty_list(), _empty_list()]


def _empty_list() -> Tensor:
    return tf.raw_ops.EmptyTensorList(
        element_shape=-1, max_num_elements=-1, element_dtype=tf.uint8
    )


def _rows(image: np.ndarray) -> np.ndarray:
    return np.ascontiguousarray(image).reshape(image.shape[0], -1)


def _memory_limit(gigabytes: float | None) -> int:
    if gigabytes is not None:
        return int(gigabytes * 1e9)
    return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") // 2


class Batches(Iterator[dict[str, np.ndarray]]):
    """Batches of so many `images`; an error of reading comes out as itself."""

    def __init__(self, batches: Iterator, images: _Images):
        self._held = [batches]
        self._failures, self.images = images.failures, len(images)
        # TensorFlow waits for reads under way when its iterator goes, and a read can
        # no longer enter Python once that is shutting down: without this, which runs
        # before, programs hang at their end.
        weakref.finalize(self, self._held.clear)

    def __next__(self) -> dict[str, np.ndarray]:
        try:
            return next(self._held[0])
        except Exception:
            if self._failures:
                raise self._failures[0] from None
            raise
