"""Training patches by tf.data: the one file of jaxsr that imports TensorFlow.

The stream has no state. Every patch is a function of the source, the seed and its
number alone, so a run continues at step k by starting at step k, and processes agree on
a batch without talking to each other. Images are uint8 throughout.
"""

import os
import weakref
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
from tqdm import tqdm

from jaxsr.data.pairs import Pair, read_pair
from jaxsr.data.sources import Source
from jaxsr.errors import InputError

# TensorFlow only cuts patches here; its neural network kernels would merely add
# warnings about processors they do not know.
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
    memory_limit_gb: float | None = None,
    threads: int | None = None,
    progress: bool = True,
) -> Iterator[dict[str, np.ndarray]]:
    """Returns the endless stream of training batches.

    A batch is {"lr": uint8 [b, p, p, C], "hr": uint8 [b, scale*p, scale*p, C]} with b
    rows of this process. Every image is visited once an epoch, in an order drawn anew
    for each epoch; a patch's place is uniform over the image, on the LR image's grid.

    Images are read before this returns, and as many as fit are kept in memory with
    their LR images. The others are read again whenever a patch is cut from them, which
    is slow but gives the same stream.

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
        memory_limit_gb: images above this many GB (1e9 bytes) are not kept; default:
            half of the machine's memory.
        threads: processor cores that the pipeline may use; default: half of them.
        progress: whether reading the images shows a progress bar.

    Raises:
        InputError: the batch does not divide, an image is smaller than a patch, or an
            LR image does not fit its HR image. Of images that are not kept, the last
            two are raised when a patch is cut from them.
    """
    if batch_size % process_count:
        raise InputError(
            f"batch_size: expected a multiple of the {process_count} processes, "
            f"got {batch_size}"
        )
    threads = threads or max(1, (os.cpu_count() or 1) // 2)
    source = source.at_scale(scale)
    failures: list[Exception] = []

    def read(index: int) -> Pair:
        try:
            pair = read_pair(source, int(index), scale=scale, channels=channels)
            _check_patch_fits(source, int(index), pair, scale, patch_size)
        except Exception as error:
            failures.append(error)
            raise
        return pair

    kept = _KeptPairs(read, len(source), _memory_limit(memory_limit_gb))
    kept.fill(threads, progress)
    local_size = batch_size // process_count

    def cut(position: Tensor) -> dict[str, Tensor]:
        step, row = position // local_size, position % local_size
        number = step * batch_size + process_index * local_size + row
        index = tf.random.experimental.index_shuffle(
            number % len(source),
            seed=tf.stack([tf.constant(seed, tf.int64), number // len(source)]),
            max_index=len(source) - 1,
        )
        bits = tf.random.stateless_uniform(
            [5], seed=[seed, number], minval=None, maxval=None, dtype=tf.uint32
        )
        bits = tf.cast(bits, tf.int64)
        lr, hr = kept.rows(tf.cast(index, tf.int32))
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

    dataset = (
        tf.data.Dataset.range(start_step * local_size, tf.int64.max)
        .map(cut, num_parallel_calls=threads, deterministic=True)
        .batch(local_size, drop_remainder=True)
        .prefetch(_PREFETCHED_BATCHES)
    )
    options = tf.data.Options()
    options.autotune.enabled = False
    options.threading.private_threadpool_size = threads
    options.threading.max_intra_op_parallelism = 1
    return _Batches(dataset.with_options(options).as_numpy_iterator(), failures)


def _turn(patch: Tensor, draws: Tensor) -> Tensor:
    """Returns the patch flipped along either axis and transposed where drawn."""
    side, _, channels = patch.shape
    patch = tf.reverse(patch, tf.boolean_mask([0, 1], draws[:2]))
    patch = tf.transpose(patch, tf.where(draws[2], [1, 0, 2], [0, 1, 2]))
    return tf.ensure_shape(patch, [side, side, channels])


class _KeptPairs:
    """The pairs of a source, in memory up to a limit, the rest read when asked for.

    Images are kept as matrices of rows, [H, W * C], in TensorFlow's list of tensors of
    any shape: picking one copies nothing, and cutting from it copies the patch alone.
    """

    def __init__(self, read: Callable[[int], Pair], count: int, limit: int):
        self._read = read
        self._count = count
        self._limit = limit
        self._kept = 0
        self._lists = [_empty_list(count), _empty_list(count)]

    def fill(self, threads: int, progress: bool) -> None:
        """Reads pairs in order until all are here or the limit is reached."""
        size = 0
        bar = tqdm(
            total=self._count,
            desc="reading images",
            unit="image",
            leave=False,
            disable=None if progress else True,  # None: shown on terminals only
        )
        with bar, ThreadPoolExecutor(threads) as executor:
            for start in range(0, self._count, threads):
                chunk = range(start, min(start + threads, self._count))
                for pair in executor.map(self._read, chunk):
                    size += pair.lr.nbytes + pair.hr.nbytes
                    if size > self._limit:
                        return
                    self._lists = [
                        tf.raw_ops.TensorListSetItem(
                            input_handle=images, index=self._kept, item=_rows(image)
                        )
                        for images, image in zip(self._lists, pair, strict=True)
                    ]
                    self._kept += 1
                    bar.update()

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
                lambda i: [_rows(image) for image in self._read(i)],
                [index],
                [tf.uint8, tf.uint8],
            )
            return [tf.ensure_shape(image, [None, None]) for image in pair]

        if self._kept == self._count:
            return from_memory()
        return tf.cond(index < self._kept, from_memory, from_source)


def _empty_list(count: int) -> Tensor:
    return tf.raw_ops.TensorListReserve(
        element_shape=-1, num_elements=count, element_dtype=tf.uint8
    )


def _rows(image: np.ndarray) -> np.ndarray:
    return np.ascontiguousarray(image).reshape(image.shape[0], -1)


def _check_patch_fits(
    source: Source, index: int, pair: Pair, scale: int, patch_size: int
) -> None:
    height, width, _ = pair.lr.shape
    if min(height, width) < patch_size:
        raise InputError(
            f"{source.name}: image {source.image_name(index)} is "
            f"{scale * width}x{scale * height}, smaller than a patch of "
            f"{scale * patch_size}x{scale * patch_size} (patch_size {patch_size} at "
            f"x{scale})"
        )


def _memory_limit(gigabytes: float | None) -> int:
    if gigabytes is not None:
        return int(gigabytes * 1e9)
    return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") // 2


class _Batches(Iterator[dict[str, np.ndarray]]):
    """The batches; an error of reading comes out as itself, not as TensorFlow's."""

    def __init__(self, batches: Iterator, failures: list[Exception]):
        self._held = [batches]
        self._failures = failures
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
