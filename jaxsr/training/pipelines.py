"""What feeds a run: tf.data on the host, or images that live on the devices.

Either becomes a function that runs steps, so that the loop knows nothing of batches.
"""

import functools
import logging
from typing import Any, NamedTuple

import jax
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from jaxsr.data.device_pipeline import DoesNotFitError, draw_batch, load_images
from jaxsr.data.source import Source
from jaxsr.errors import InputError
from jaxsr.processes import gather, is_first
from jaxsr.training.loop import RunSteps
from jaxsr.training.mesh import shard_batch
from jaxsr.training.step import Step, map_step, map_steps

_PIPELINES = ("auto", "device", "tfdata")

_log = logging.getLogger(__name__)


class Pipeline(NamedTuple):
    """Steps with the batches that belong to them.

    Attributes:
        run_steps: see `jaxsr.training.loop.RunSteps`.
        on_device: whether it can do several steps in one dispatch.
        images: how many are learned from, without those that `skip_small` leaves out.
    """

    run_steps: RunSteps
    on_device: bool
    images: int


def open_pipeline(
    step: Step,
    source: Source,
    *,
    pipeline: str = "auto",
    mesh: Mesh,
    scale: int,
    channels: int,
    patch_size: int,
    batch_size: int,
    seed: int,
    first_step: int,
    augment: bool = True,
    skip_small: bool = False,
    memory_limit_gb: float | None = None,
) -> Pipeline:
    """Reads the source and returns the steps that train on it.

    Args:
        step: what each device does, see `jaxsr.training.step.make_step`.
        source: where images come from.
        pipeline: "tfdata", "device", or "auto": on accelerators "device" if the images
            fit; on CPU "tfdata" if TensorFlow is installed; else the other one.
        mesh: the devices.
        first_step: the step that the run starts from.
        scale, channels, patch_size, batch_size, seed, augment, skip_small,
        memory_limit_gb: see `jaxsr.data.device_pipeline` and `jaxsr.data.tf_pipeline`.

    Raises:
        InputError: TensorFlow is needed and not installed, the images do not fit on
            the device, or the source and the sizes do not go together.
    """
    options: dict[str, Any] = dict(
        scale=scale,
        channels=channels,
        patch_size=patch_size,
        skip_small=skip_small,
        memory_limit_gb=memory_limit_gb,
        progress=is_first(),
    )

    def from_device() -> Pipeline:
        images = load_images(
            source, sharding=NamedSharding(mesh, PartitionSpec()), **options
        )
        draw = functools.partial(
            draw_batch,
            batch_size=batch_size,
            patch_size=patch_size,
            seed=seed,
            augment=augment,
        )
        steps = map_steps(step, mesh=mesh, draw=draw, batch_size=batch_size)
        _log.info(
            "%s: %d images on the device, %.3g GB",
            source.name,
            len(images),
            images.nbytes / 1e9,
        )
        return Pipeline(
            lambda state, count: steps(state, images, count), True, len(images)
        )

    def from_tfdata() -> Pipeline:
        # TensorFlow takes seconds to load, and need not be there.
        from jaxsr.data.tf_pipeline import make_batches

        batches = make_batches(
            source,
            **options,
            batch_size=batch_size,
            augment=augment,
            seed=seed,
            start_step=first_step,
            process_index=jax.process_index(),
            process_count=jax.process_count(),
        )
        one_step = map_step(step, mesh=mesh)
        return Pipeline(
            lambda state, count: one_step(state, shard_batch(next(batches), mesh)),
            False,
            batches.images,
        )

    if pipeline not in _PIPELINES:
        raise InputError(
            f"data.pipeline: expected one of {', '.join(_PIPELINES)}, got {pipeline!r}"
        )
    if pipeline == "device":
        return from_device()
    if pipeline == "tfdata":
        return from_tfdata()
    # Batches of the two differ: what one process cannot do, none does.
    if mesh.devices.flat[0].platform == "cpu":
        return from_tfdata() if all(gather(_has_tensorflow())) else from_device()
    on_device, reason = None, None
    try:
        on_device = from_device()
    except DoesNotFitError as error:
        reason = error
    answers = gather([on_device is not None, _has_tensorflow()])
    if on_device is not None and all(fits for fits, _ in answers):
        return on_device
    if not all(has_tensorflow for _, has_tensorflow in answers):
        raise reason or InputError(
            "data.pipeline: the images do not fit on the device of another process"
        )
    _log.info("%s", reason or "the images do not fit on another process's device")
    return from_tfdata()


def _has_tensorflow() -> bool:
    try:
        import jaxsr.data.tf_pipeline  # noqa: F401
    except InputError:
        return False
    return True
