"""One optimiser step, mapped over the devices.

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

import flax.linen as nn
import jax
import jax.numpy as jnp
import optax
from jax.sharding import Mesh, PartitionSpec

from jaxsr.imaging import imresize_jnp
from jaxsr.training.losses import Loss
from jaxsr.training.mesh import DATA_AXIS
from jaxsr.training.state import TrainState, update_ema

Batch = dict[str, jax.Array]
Metrics = dict[str, jax.Array]


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


def make_train_step(
    model: nn.Module,
    optimizer: optax.GradientTransformation,
    loss: Loss,
    *,
    mesh: Mesh,
    ema_decay: float = 0.0,
    supervision_weight: float = 1.0,
) -> Callable[[TrainState, Batch], tuple[TrainState, Metrics]]:
    """Returns the compiled step; it consumes (donates) the state that it is given.

    Args:
        loss: of the network's output, see `jaxsr.training.losses`.
        ema_decay: see `update_ema`; matters only if the state has an average.
        supervision_weight: weight of each intermediate prediction's loss, for networks
            that have some (DRCN, LapSRN, MemNet).
    """

    def loss_fn(params, model_state, lr, hr):
        sr, new_state = model.apply(
            {"params": params, **model_state},
            lr,
            train=True,
            mutable=[*model_state, "supervision"],
        )
        new_state = dict(new_state)
        supervision = new_state.pop("supervision", {})
        value = supervised_loss(loss, sr, supervision, hr, supervision_weight)
        new_state = jax.lax.pmean(new_state, DATA_AXIS)
        return jax.lax.pmean(value, DATA_AXIS), new_state

    def step(state: TrainState, batch: Batch) -> tuple[TrainState, Metrics]:
        lr, hr = to_unit_range(batch["lr"]), to_unit_range(batch["hr"])
        (value, model_state), grads = jax.value_and_grad(loss_fn, has_aux=True)(
            state.params, state.model_state, lr, hr
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

    replicated, split = PartitionSpec(), PartitionSpec(DATA_AXIS)
    mapped = jax.shard_map(
        step,
        mesh=mesh,
        in_specs=(replicated, split),
        out_specs=(replicated, replicated),
    )
    return jax.jit(mapped, donate_argnums=0)
