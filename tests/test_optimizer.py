import jax.numpy as jnp
import numpy as np
import optax
import pytest

from jaxsr.errors import InputError
from jaxsr.training.optimizer import create_optimizer, create_schedule


def test_create_schedule_halving_halves_at_each_period():
    rate = create_schedule(1e-4, schedule="halving", steps=1000, halve_every=200)
    rates = [float(rate(step)) for step in (0, 199, 200, 399, 400)]
    np.testing.assert_allclose(rates, [1e-4, 1e-4, 5e-5, 5e-5, 2.5e-5], rtol=1e-6)


def test_create_schedule_halving_stops_at_final_rate():
    rate = create_schedule(
        1e-5, schedule="halving", steps=1000, halve_every=10, final_learning_rate=4e-6
    )
    np.testing.assert_allclose(rate(500), 4e-6, rtol=1e-6)


def test_create_schedule_cosine_falls_to_final_rate():
    rate = create_schedule(
        1e-3, schedule="cosine", steps=110, warmup_steps=10, final_learning_rate=1e-5
    )
    rates = [float(rate(step)) for step in (0, 5, 10, 60, 110)]
    np.testing.assert_allclose(
        rates, [0, 5e-4, 1e-3, (1e-3 + 1e-5) / 2, 1e-5], rtol=1e-5, atol=1e-12
    )


def test_create_schedule_unknown_lists_those_that_exist():
    with pytest.raises(InputError, match="'step'.*constant, halving, cosine"):
        create_schedule(1e-4, schedule="step", steps=10)


def _first_update(gradient, **options):
    optimizer = create_optimizer(optax.constant_schedule(0.1), **options)
    params = {"head": jnp.ones(2), "tail": jnp.ones(2)}
    grads = {"head": jnp.asarray(gradient), "tail": jnp.asarray(gradient)}
    updates, _ = optimizer.update(grads, optimizer.init(params), params)
    return updates


def test_create_optimizer_adam_first_step_is_rate_times_sign():
    updates = _first_update([0.3, -20.0])
    np.testing.assert_allclose(updates["head"], [-0.1, 0.1], rtol=1e-5)


def test_create_optimizer_sgd_momentum_accumulates():
    optimizer = create_optimizer(optax.constant_schedule(0.1), name="sgd", momentum=0.9)
    params = jnp.zeros(1)
    state = optimizer.init(params)
    _, state = optimizer.update(jnp.ones(1), state, params)
    updates, _ = optimizer.update(jnp.ones(1), state, params)
    np.testing.assert_allclose(updates, [-0.1 * (0.9 + 1)], rtol=1e-6)


def test_create_optimizer_layer_rates_scale_named_parameters():
    updates = _first_update([1.0, 1.0], name="sgd", layer_rates={"ta.*": 0.1})
    np.testing.assert_allclose(updates["head"], [-0.1, -0.1], rtol=1e-6)
    np.testing.assert_allclose(updates["tail"], [-0.01, -0.01], rtol=1e-6)


def test_create_optimizer_clip_norm_bounds_the_global_norm():
    updates = _first_update([3.0, 4.0], name="sgd", clip_norm=1.0)
    norm = np.sqrt(sum(float((u**2).sum()) for u in updates.values()))
    np.testing.assert_allclose(norm, 0.1, rtol=1e-6)


def test_create_optimizer_clip_update_bounds_each_entry_by_limit_over_rate():
    updates = _first_update([3.0, 0.01], name="sgd", clip_update=0.01)
    np.testing.assert_allclose(updates["head"], [-0.01, -0.001], rtol=1e-6)


def test_create_optimizer_weight_decay_adds_parameter_to_gradient():
    updates = _first_update([0.0, 0.0], name="sgd", weight_decay=0.5)
    np.testing.assert_allclose(updates["head"], [-0.05, -0.05], rtol=1e-6)


def test_create_optimizer_unknown_lists_those_that_exist():
    with pytest.raises(InputError, match="'lion'.*adam, sgd"):
        create_optimizer(optax.constant_schedule(0.1), name="lion")
