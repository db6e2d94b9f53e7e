import contextlib
from types import SimpleNamespace

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from jaxsr import models
from jaxsr.errors import InputError
from jaxsr.imaging import imresize
from jaxsr.training.ema import update_ema
from jaxsr.training.losses import l1, mse
from jaxsr.training.mesh import check_dtype, create_mesh, replicate, shard_batch
from jaxsr.training.state import create_state
from jaxsr.training.step import make_step, map_step, supervised_loss
from tests.test_networks import tiny_model


def _rcbam():
    # Without the picture's skip the last convolution does not start at zero, so that
    # every gradient says something.
    return models.create("rcbam", scale=2, features=8, depth=1, image_skip=False)


def _batch(size=8, seed=0):
    rng = np.random.default_rng(seed)
    return {
        "lr": rng.integers(0, 256, (size, 8, 8, 3), dtype=np.uint8),
        "hr": rng.integers(0, 256, (size, 16, 16, 3), dtype=np.uint8),
    }


def _mesh(devices):
    return jax.sharding.Mesh(np.array(jax.devices()[:devices]), ("data",))


def _one_step(model, mesh, *, optimizer=None, batch=None, loss=mse, **options):
    # Plain gradient descent with rate 1: the update is the gradient itself.
    optimizer = optimizer or optax.sgd(1.0)
    channels = (batch or _batch())["lr"].shape[-1]
    state = create_state(model, optimizer, seed=0, channels=channels, use_ema=True)
    before = jax.device_get(state.params)
    step = make_step(model, optimizer, loss, **{"ema_decay": 0.0} | options)
    step = map_step(step, mesh=mesh)
    batch = batch or _batch()
    state, metrics = step(replicate(state, mesh), shard_batch(batch, mesh))
    return before, jax.device_get(state), jax.device_get(metrics)


@pytest.mark.parametrize("devices", [2, 8])
def test_make_step_gradient_equals_single_device(devices):
    model = _rcbam()
    _, one, one_metrics = _one_step(model, _mesh(1))
    _, many, many_metrics = _one_step(model, _mesh(devices))
    jax.tree.map(
        lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-6),
        one.params,
        many.params,
    )
    # A sum of 24,576 float32, which JAX 0.10.0 takes one after another: 1.4e-6 off.
    np.testing.assert_allclose(one_metrics["loss"], many_metrics["loss"], rtol=1e-5)
    np.testing.assert_allclose(
        one_metrics["grad_norm"], many_metrics["grad_norm"], rtol=1e-4
    )


def test_make_step_gradient_equals_plain_autodiff():
    model = _rcbam()
    batch = _batch()
    before, state, metrics = _one_step(model, _mesh(8), batch=batch)

    def loss(params):
        sr = model.apply({"params": params}, jnp.asarray(batch["lr"] / np.float32(255)))
        return jnp.mean((sr - batch["hr"] / np.float32(255)) ** 2)

    value, grads = jax.value_and_grad(loss)(before)
    np.testing.assert_allclose(metrics["loss"], value, rtol=1e-5)
    jax.tree.map(
        lambda p, g, q: np.testing.assert_allclose(p - g, q, rtol=1e-4, atol=1e-6),
        before,
        grads,
        state.params,
    )


class _Normed(nn.Module):
    scale: int = 2
    channels: int = 3

    @nn.compact
    def __call__(self, lr, *, train=False):
        x = nn.BatchNorm(use_running_average=not train, momentum=0.9, name="bn")(lr)
        half = nn.Conv(3, (3, 3), name="conv")(x)
        sr = jnp.repeat(jnp.repeat(half, 2, 1), 2, 2)
        if train:
            self.sow("supervision", "half", half)
        return sr


def test_make_step_updates_running_statistics_over_all_devices():
    batch = _batch()
    _, state, _ = _one_step(_Normed(), _mesh(8), batch=batch)
    mean = (batch["lr"] / 255.0).mean((0, 1, 2))
    np.testing.assert_allclose(
        state.model_state["batch_stats"]["bn"]["mean"], 0.1 * mean, rtol=1e-5
    )
    assert "supervision" not in state.model_state


@pytest.mark.parametrize("name", ["srresnet", "memnet"])
def test_make_step_normalises_by_the_whole_batch_on_any_number_of_devices(name):
    model = tiny_model(name)
    batch = _batch()
    if model.channels == 1:
        batch = {key: images[..., :1] for key, images in batch.items()}
    (_, one, _), (_, many, _) = (
        _one_step(model, _mesh(count), batch=batch) for count in (1, 8)
    )
    jax.tree.map(
        lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-3, atol=1e-5),
        (one.params, one.model_state),
        (many.params, many.model_state),
    )


@pytest.mark.parametrize("name", ["srresnet", "memnet", "drcn", "san"])
def test_make_step_in_bfloat16_keeps_the_rest_in_float32(name):
    model = tiny_model(name, dtype=jnp.bfloat16)
    optimizer = optax.adam(1e-4)
    mesh = _mesh(1)
    seen = {}

    def loss(sr, hr):
        seen["loss"] = sr.dtype, hr.dtype
        return l1(sr, hr)

    def one_step(batch):
        state = create_state(
            model, optimizer, seed=0, channels=model.channels, use_ema=True
        )
        step = make_step(model, optimizer, loss, ema_decay=0.9)
        return state, *map_step(step, mesh=mesh)(state, batch)

    shape = jax.ShapeDtypeStruct((2, 8, 8, model.channels), jnp.uint8)
    hr = jax.ShapeDtypeStruct((2, 16, 16, model.channels), jnp.uint8)
    before, after, metrics = jax.eval_shape(one_step, {"lr": shape, "hr": hr})
    assert jax.tree.map(_type, after) == jax.tree.map(_type, before)
    learned = (after.params, after.model_state, after.ema, metrics)
    assert {leaf.dtype for leaf in jax.tree.leaves(learned)} == {jnp.dtype("float32")}
    assert seen["loss"] == (jnp.float32, jnp.float32)


def _type(leaf):
    return leaf.shape, leaf.dtype


def test_supervised_loss_compares_small_predictions_with_shrunk_hr():
    hr = np.random.default_rng(0).random((1, 8, 8, 3)).astype(np.float32)
    half = np.zeros((1, 4, 4, 3), np.float32)
    value = supervised_loss(
        l1, jnp.asarray(hr), {"half": (half,)}, jnp.asarray(hr), 0.5
    )
    expected = 0.5 * np.abs(imresize(hr[0], 1 / 2)).mean()
    np.testing.assert_allclose(value, expected, rtol=1e-5)


def test_make_step_weighs_supervision():
    _, _, without = _one_step(_Normed(), _mesh(1), supervision_weight=0.0)
    _, _, with_it = _one_step(_Normed(), _mesh(1), supervision_weight=1.0)
    assert with_it["loss"] > without["loss"] * 1.1


def test_update_ema_warms_up_then_holds_the_decay():
    ema = update_ema({"w": 0.0}, {"w": 1.0}, decay=0.999, step=jnp.int32(0))
    np.testing.assert_allclose(ema["w"], 0.9, rtol=1e-6)
    ema = update_ema({"w": 0.0}, {"w": 1.0}, decay=0.999, step=jnp.int32(10**6))
    np.testing.assert_allclose(ema["w"], 0.001, rtol=1e-3)


def test_create_state_same_seed_same_parameters():
    model = _rcbam()
    states = [
        create_state(model, optax.sgd(1.0), seed=s, channels=3, use_ema=False)
        for s in (1, 1, 2)
    ]
    heads = [state.params["head"]["kernel"] for state in states]
    np.testing.assert_array_equal(heads[0], heads[1])
    assert not np.array_equal(heads[0], heads[2])


def test_create_mesh_batch_not_divisible_names_the_numbers():
    with pytest.raises(InputError, match=r"data.batch_size: 12 .* 8 cpu devices"):
        create_mesh(12)


@pytest.mark.parametrize(
    ("dtype", "capability", "fine"),
    [
        ("bfloat16", "7.5", False),
        ("bfloat16", "8.0", True),
        ("bfloat16", "10.0", True),
        ("bfloat16", "gfx90a", True),
        ("float32", "7.5", True),
    ],
)
def test_check_dtype_of_gpus(dtype, capability, fine):
    # No such GPU is at hand; this has what JAX tells about one.
    device = SimpleNamespace(device_kind="Tesla T4", compute_capability=capability)
    mesh = SimpleNamespace(local_devices=[device])
    with (
        contextlib.nullcontext()
        if fine
        else pytest.raises(
            InputError, match="train.dtype: Tesla T4 .compute capability 7.5. has no bf"
        )
    ):
        check_dtype(dtype, mesh)


def test_check_dtype_of_cpus():
    check_dtype("bfloat16", _mesh(2))
