"""Networks with several outputs: what they show while training, and how it is used."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from jaxsr import models
from jaxsr.imaging import imresize
from jaxsr.training.losses import charbonnier, mse
from jaxsr.training.mesh import replicate, shard_batch
from jaxsr.training.state import create_state
from jaxsr.training.step import make_step, map_step

TINY = {
    "drcn": {"features": 4, "recursions": 3},
    "scn": {"atoms": 16},
    "lapsrn": {"features": 4, "depth": 1},
    "memnet": {"features": 4, "blocks": 2, "recursions": 1},
}


def _setup(name, scale):
    model = models.create(name, scale=scale, **TINY[name])
    lr = jax.random.uniform(jax.random.key(0), (2, 6, 8, 1))
    return model, lr, jax.jit(model.init)(jax.random.key(1), lr)


@partial(jax.jit, static_argnums=0)
def _apply_in_training(model, variables, lr):
    return model.apply(
        variables, lr, train=True, mutable=["batch_stats", "supervision"]
    )


def _run(model, variables, lr):
    """Returns the output in training and the predictions beside it, in their order."""
    sr, state = _apply_in_training(model, variables, lr)
    sown = state.get("supervision", {})
    return sr, [sown[name][0] for name in sorted(sown)]


@pytest.mark.parametrize(
    ("name", "scale", "factors"),
    [
        ("drcn", 2, [2, 2, 2]),
        ("memnet", 3, [3, 3]),
        ("lapsrn", 2, []),
        ("lapsrn", 3, [2]),
        ("lapsrn", 8, [2, 4]),
        ("scn", 2, []),
        ("scn", 3, [2]),
        ("scn", 4, [2]),
    ],
)
def test_supervision_sizes(name, scale, factors):
    model = models.create(name, scale=scale, **TINY[name])
    lr = jnp.zeros((2, 6, 8, 1))
    variables = jax.eval_shape(model.init, jax.random.key(1), lr)
    sr, predictions = jax.eval_shape(lambda v: _run(model, v, lr), variables)
    assert sr.shape == (2, 6 * scale, 8 * scale, 1)
    assert [p.shape for p in predictions] == [(2, 6 * f, 8 * f, 1) for f in factors]


@pytest.mark.parametrize(("name", "scale"), [("drcn", 2), ("memnet", 2)])
def test_output_is_weighted_sum_of_predictions(name, scale):
    model, lr, variables = _setup(name, scale)
    count = variables["params"]["ensemble"].size
    np.testing.assert_allclose(variables["params"]["ensemble"], 1 / count)
    weights = jnp.linspace(0.2, 0.9, count)
    variables["params"]["ensemble"] = weights
    sr, predictions = _run(model, variables, lr)
    assert np.std(predictions[0]) > 0.01
    expected = sum(w * p for w, p in zip(weights, predictions, strict=True))
    np.testing.assert_allclose(sr, expected, atol=1e-5)


def test_drcn_recursions_agree_at_the_start():
    model, lr, variables = _setup("drcn", 2)
    _, predictions = _run(model, variables, lr)
    np.testing.assert_allclose(predictions[0], predictions[-1], atol=1e-6)
    kernel = variables["params"]["recursive"]["kernel"]
    variables["params"]["recursive"]["kernel"] = 0.9 * kernel
    _, predictions = _run(model, variables, lr)
    assert np.abs(predictions[0] - predictions[-1]).max() > 1e-3


@pytest.mark.parametrize(("name", "part"), [("lapsrn", "level"), ("scn", "stage")])
def test_first_prediction_is_the_x2_network(name, part):
    model, lr, variables = _setup(name, 4)
    _, predictions = _run(model, variables, lr)
    params = dict(variables["params"])
    del params[f"{part}1"]
    x2 = models.create(name, scale=2, **TINY[name])
    sr = jax.jit(x2.apply)({"params": params}, lr)
    np.testing.assert_allclose(sr, predictions[0], atol=1e-5)


@pytest.mark.parametrize("name", ["lapsrn", "scn"])
def test_x3_is_the_x4_network_shrunk(name):
    model, lr, variables = _setup(name, 3)
    x4 = models.create(name, scale=4, **TINY[name])
    larger = np.asarray(jax.jit(x4.apply)(variables, lr))
    expected = [imresize(image, 3 / 4) for image in larger]
    sr = jax.jit(model.apply)(variables, lr)
    np.testing.assert_allclose(sr, expected, atol=1e-5)


def test_memnet_running_statistics_follow_the_images():
    model, lr, variables = _setup("memnet", 2)
    state = _apply_in_training(model, variables, lr)[1]
    image = np.stack([imresize(np.asarray(x), 2) for x in lr])
    before = variables["batch_stats"]["head_norm"]["norm"]
    after = state["batch_stats"]["head_norm"]["norm"]
    np.testing.assert_allclose(
        after["mean"], 0.9 * before["mean"] + 0.1 * image.mean(), rtol=1e-4
    )
    np.testing.assert_allclose(
        after["var"], 0.9 * before["var"] + 0.1 * image.var(), rtol=1e-4
    )


@pytest.mark.parametrize(
    ("name", "scale", "loss"),
    [("memnet", 2, mse), ("lapsrn", 3, charbonnier)],
)
def test_train_step_loss_counts_every_prediction(name, scale, loss):
    model, _, _ = _setup(name, scale)
    rng = np.random.default_rng(0)
    lr = rng.integers(0, 256, (2, 6, 6, 1), dtype=np.uint8)
    hr = rng.integers(0, 256, (2, 6 * scale, 6 * scale, 1), dtype=np.uint8)
    optimizer = optax.sgd(0.0)
    state = create_state(model, optimizer, seed=0, channels=1, use_ema=False)
    variables = jax.device_get({"params": state.params, **state.model_state})
    mesh = jax.sharding.Mesh(np.array(jax.devices()[:1]), ("data",))
    step = make_step(model, optimizer, loss, ema_decay=0.0, supervision_weight=0.25)
    step = map_step(step, mesh=mesh)
    _, metrics = step(replicate(state, mesh), shard_batch({"lr": lr, "hr": hr}, mesh))

    sr, predictions = _run(model, variables, jnp.asarray(lr, jnp.float32) / 255)
    target = hr / 255
    expected = float(loss(sr, target))
    for prediction in predictions:
        size = prediction.shape[1:3]
        shrunk = np.stack([imresize(image, output_size=size) for image in target])
        expected += 0.25 * float(loss(prediction, shrunk))
    assert predictions
    np.testing.assert_allclose(metrics["loss"], expected, rtol=1e-4)
