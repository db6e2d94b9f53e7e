"""One optimiser step, or several in one dispatch, mapped over the devices.

The step runs once per device on that device's part of the batch, and gradients are
averaged over the devices. It is written as `jax.jit(jax.shard_map(step))`, which is
what `jax.pmap` lowers to since JAX 0.8 and what JAX's documentation tells its users to
write.

The mean over devices is taken of the loss, inside the differentiated function: under
shard_map's replication checking, `grad(pmean(loss))` is the gradient of the global mean
whereas `pmean(grad(loss))` is too large by the number of devices.
"""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import optax
from jax.sharding import Mesh, PartitionSpec

from jaxsr.imaging import imresize_jnp
from jaxsr.models import Network
from jaxsr.training.ema import update_ema
from jaxsr.training.losses import Loss
from jaxsr.training.mesh import DATA_AXIS
from jaxsr.training.state import TrainState

Batch = dict[str, jax.Array]
# Of one step scalars, of several in one dispatch arrays [steps].
Metrics = dict[str, jax.Array]
Step = Callable[[TrainState, Batch], tuple[TrainState, Metrics]]
# `draw(images, step, rows)` returns those rows of the batch of that step.
Draw = Callable[[Any, jax.Array, jax.Array], Batch]
# `degrade(hr, step, rows)` makes LR of those rows of the batch of that step.
Degrade = Callable[[jax.Array, jax.Array, jax.Array], Batch]

_REPLICATED, _SPLIT = PartitionSpec(), PartitionSpec(DATA_AXIS)


def to_unit_range(images: jax.Array) -> jax.Array:
    """Returns uint8 images as float32 in [0, 1]; float images as they are."""
    if images.dtype == jnp.uint8:
        return images.astype(jnp.float32) / 255.0
    return images


def supervised_loss(
    loss: Loss, sr: jax.Array, supervision: Any, hr: jax.Array, weight: float
) -> jax.Array:
    """Returns `loss(sr, hr)` plus `weight` times that of each intermediate prediction.

    A prediction smaller than `hr` is compared with the bicubic-shrunk `hr`.
    """
    total = loss(sr, hr)
    for prediction in jax.tree.leaves(supervision):
        factor = prediction.shape[1] / hr.shape[1]
        target = hr if factor == 1 else imresize_jnp(hr, factor)
        total += weight * loss(prediction, target)
    return total


def make_step(
    model: Network,
    optimizer: optax.GradientTransformation,
    loss: Loss,
    *,
    ema_decay: float,
    supervision_weight: float = 1.0,
    seed: int = 0,
) -> Step:
    """Returns what each device does with its part of a batch, inside of shard_map.

    Args:
        loss: of the network's output, see `jaxsr.training.losses`.
        ema_decay: see `update_ema`; not used if the state has no average.
        supervision_weight: weight of each intermediate prediction's loss, for networks
            that have some (DRCN, LapSRN, MemNet).
        seed: of what a network of one's own draws as "dropout", anew in each step and
            on each device.
    """

    def loss_fn(params, model_state, lr, hr, number):
        key = jax.random.fold_in(jax.random.key(seed), number)
        key = jax.random.fold_in(key, jax.lax.axis_index(DATA_AXIS))
        sr, new_state = model.apply(
            {"params": params, **model_state},
            lr,
            train=True,
            mutable=[*model_state, "supervision"],
            rngs={"dropout": key},
        )
        new_state = dict(new_state)
        supervision = new_state.pop("supervision", {})
        value = supervised_loss(loss, sr, supervision, hr, supervision_weight)
        new_state = jax.lax.pmean(new_state, DATA_AXIS)
        return jax.lax.pmean(value, DATA_AXIS), new_state

    def step(state: TrainState, batch: Batch) -> tuple[TrainState, Metrics]:
        lr, hr = to_unit_range(batch["lr"]), to_unit_range(batch["hr"])
        (value, model_state), grads = jax.value_and_grad(loss_fn, has_aux=True)(
            state.params, state.model_state, lr, hr, state.step
        )
        updates, opt_state = optimizer.update(grads, state.opt_state, state.params)
        params = optax.apply_updates(state.params, updates)
        metrics = {"loss": value, "grad_norm": optax.tree.norm(grads)}
        return TrainState(
            step=state.step + 1,
            params=params,
            model_state=model_state,
            opt_state=opt_state,
            ema=update_ema(state.ema, params, decay=ema_decay, step=state.step),
        ), metrics

    return step


def degrade_first(step: Step, degrade: Degrade) -> Step:
    """Returns the step on LR patches that it makes from the batch's HR patches.

    Args:
        degrade: such as `jaxsr.data.photo.photo_batch`.
    """

    def degraded_step(state: TrainState, batch: Batch) -> tuple[TrainState, Metrics]:
        hr = batch["hr"]
        # Of the whole batch, so that it does not depend on how many devices share it.
        rows = jax.lax.axis_index(DATA_AXIS) * len(hr) + jnp.arange(len(hr))
        return step(state, degrade(hr, state.step, rows))

    return degraded_step


def map_step(step: Step, *, mesh: Mesh) -> Step:
    """Returns the step compiled for batches that are split over the mesh.

    It consumes (donates) the state that it is given.
    """
    mapped = jax.shard_map(
        step,
        mesh=mesh,
        in_specs=(_REPLICATED, _SPLIT),
        out_specs=(_REPLICATED, _REPLICATED),
    )
    return jax.jit(mapped, donate_argnums=0)


def map_steps(
    step: Step, *, mesh: Mesh, draw: Draw, batch_size: int
) -> Callable[[TrainState, Any, int], tuple[TrainState, Metrics]]:
    """Returns `steps(state, images, count)`: so many steps, batches and all, at once.

    The batches are drawn inside of the compiled function, each device drawing its own
    rows. The state is consumed (donated), the images are not.

    Beware of a count above 1 on CPU: XLA compiles convolutions in loops to its slowest
    code there, about 20 times slower.

    Args:
        step: what each device does, see `make_step`.
        draw: cuts patches from images that every device holds, see `Draw`.
        batch_size: patches in a batch of all devices together.
    """
    rows_of_each = batch_size // mesh.size

    def steps(state: TrainState, images: Any, count: int):
        def device_steps(state: TrainState, images: Any):
            first_row = jax.lax.axis_index(DATA_AXIS) * rows_of_each
            rows = first_row + jnp.arange(rows_of_each)

            def one(state: TrainState, _) -> tuple[TrainState, Metrics]:
                return step(state, draw(images, state.step, rows))

            if count == 1:
                return one(state, None)
            return jax.lax.scan(one, state, length=count)

        return jax.shard_map(
            device_steps,
            mesh=mesh,
            in_specs=(_REPLICATED, _REPLICATED),
            out_specs=(_REPLICATED, _REPLICATED),
        )(state, images)

    return jax.jit(steps, static_argnums=2, donate_argnums=0)
