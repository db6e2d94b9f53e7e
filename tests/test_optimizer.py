import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from jaxsr.errors import InputError
from jaxsr.training.optimizer import create_optimizer
from jaxsr.training.schedule import create_schedule


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


def test_create_schedule_wsd_is_constant_then_falls_as_one_minus_the_root():
    options = {"schedule": "wsd", "warmup_steps": 10, "decay_steps": 40}
    rate = create_schedule(1e-3, steps=100, final_learning_rate=1e-5, **options)
    fall = 1e-3 - (1e-3 - 1e-5) * np.sqrt([0, 10 / 40, 39 / 40, 1, 1])
    rates = [float(rate(step)) for step in (0, 5, 10, 59, 60, 70, 99, 100, 120)]
    np.testing.assert_allclose(
        rates, [0, 5e-4, 1e-3, 1e-3, *fall], rtol=1e-5, atol=1e-12
    )
    # A longer run has the same rate up to where the shorter one begins to fall.
    longer = create_schedule(1e-3, steps=200, final_learning_rate=1e-5, **options)
    assert [float(longer(step)) for step in (5, 59)] == [rates[1], rates[3]]


def test_create_schedule_that_is_never_lowered_is_constant():
    options = {"schedule": "halving", "halve_every": 10, "decay_factor": 1.0}
    rate = create_schedule(1e-3, steps=100, final_learning_rate=1e-5, **options)
    np.testing.assert_allclose([float(rate(step)) for step in (0, 5, 10, 50)], 1e-3)


def test_create_schedule_wsd_falls_to_its_end_behind_a_long_warmup():
    rate = create_schedule(
        1e-3, schedule="wsd", steps=100, warmup_steps=50, decay_steps=90
    )
    fall = 1e-3 * (1 - np.sqrt([0, 25 / 50, 1]))
    rates = [float(rate(step)) for step in (50, 75, 100)]
    np.testing.assert_allclose(rates, fall, rtol=1e-5, atol=1e-12)


def test_create_schedule_unknown_lists_those_that_exist():
    with pytest.raises(
        InputError, match="^schedule.schedule: .*'step'.*constant, halving, cosine, wsd"
    ):
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


def test_create_optimizer_layer_rates_that_name_nothing():
    optimizer = create_optimizer(
        optax.constant_schedule(1.0), layer_rates={"a": 0.1, "nosuch/.*": 0.0}
    )
    message = "optimizer.layer_rates: expected patterns .* 'nosuch/.*', which none"
    with pytest.raises(InputError, match=message):
        optimizer.init({"a": jnp.ones(2), "b": jnp.ones(2)})


def test_create_optimizer_layer_rates_of_two_factors_for_one_parameter():
    # A config sorts them: which is first there is not what somebody wrote first.
    rates = {"tail": 0.0, "(head|tail)": 1.0}
    message = "layer_rates: expected one factor for tail, got 'tail': 0 and '.head"
    with pytest.raises(InputError, match=message):
        _first_update([1.0], name="sgd", layer_rates=rates)
    same = _first_update([1.0, 1.0], name="sgd", layer_rates={"ta.*": 0.5, "tail": 0.5})
    np.testing.assert_allclose(same["tail"], [-0.05] * 2, rtol=1e-6)


def test_create_schedule_tells_of_what_plays_no_part(caplog):
    create_schedule(1.0, schedule="halving", steps=9, halve_every=3)
    create_schedule(1.0, schedule="wsd", steps=9, decay_steps=3)
    assert not caplog.records
    create_schedule(1.0, schedule="halving", steps=9, decay_steps=3)
    assert caplog.messages == [
        "schedule.decay_steps: 3 plays no part in schedule 'halving'"
    ]


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


def test_create_optimizer_clips_before_momentum_adds_up():
    """Many steps of one sign move a parameter by ten times the clipped one."""
    optimizer = create_optimizer(
        optax.constant_schedule(0.1), name="sgd", momentum=0.9, clip_update=0.01
    )
    parameters = {"head": jnp.zeros(1)}
    state = optimizer.init(parameters)
    steps = []
    for _ in range(100):
        updates, state = optimizer.update({"head": jnp.full(1, 3.0)}, state, parameters)
        steps.append(float(updates["head"][0]))
    np.testing.assert_allclose(steps[0], -0.01, rtol=1e-6)
    np.testing.assert_allclose(steps[-1], -0.1, rtol=1e-3)


def test_create_optimizer_weight_decay_adds_parameter_to_gradient():
    updates = _first_update([0.0, 0.0], name="sgd", weight_decay=0.5)
    np.testing.assert_allclose(updates["head"], [-0.05, -0.05], rtol=1e-6)


def _muon_by_numpy(gradients, *, scale):
    """Returns the update after `gradients`, of a kernel [height, width, in, out].

    Source: the formulas of https://kellerjordan.github.io/posts/muon/ (Nesterov's
    momentum of 0.95, five quintic steps) and Sec. 2.2 of arXiv:2502.16982, in float64.
    """
    beta, (a, b, c) = 0.95, (3.4445, -4.7750, 2.0315)
    momentum = np.zeros(gradients[0].shape)
    for count, gradient in enumerate(gradients, start=1):
        momentum = beta * momentum + (1 - beta) * gradient
        # optax takes the start from zero out of both parts.
        ahead = beta * momentum / (1 - beta ** (count + 1))
        ahead += (1 - beta) * gradient / (1 - beta**count)
    matrix = ahead.reshape(-1, ahead.shape[-1])
    matrix /= np.linalg.norm(matrix)
    u, values, v = np.linalg.svd(matrix, full_matrices=False)
    for _ in range(5):  # the same polynomial of each singular value
        values = a * values + b * values**3 + c * values**5
    resized = (u * values) @ v * scale * 0.2 * max(matrix.shape) ** 0.5
    return resized.reshape(ahead.shape)


@pytest.mark.parametrize("shape", [(3, 3, 4, 6), (3, 1, 2, 8)])
def test_create_optimizer_muon_equals_numpy_and_leaves_the_rest_to_adam(shape):
    random = np.random.default_rng(0)

    def gradients():
        return {
            "block00": {"conv1": {"kernel": random.normal(size=shape)}},
            "tail": {"kernel": random.normal(size=(3, 3, 4, 6))},  # by its name Adam's
            "gate": {"conv1": {"kernel": random.normal(size=(1, 1, 4, 4))}},
            "bias": random.normal(size=6),
        }

    steps = [jax.tree.map(jnp.float32, gradients()) for _ in range(3)]
    updates = []
    for options in ({"name": "muon", "muon_scale": 1.5}, {"name": "adam"}):
        optimizer = create_optimizer(optax.constant_schedule(0.1), **options)
        state = optimizer.init(steps[0])
        for gradient in steps:
            update, state = optimizer.update(gradient, state, steps[0])
        updates.append(update)
    muon, adam = updates
    kernels = [np.float64(step["block00"]["conv1"]["kernel"]) for step in steps]
    np.testing.assert_allclose(
        muon["block00"].pop("conv1")["kernel"],
        -0.1 * _muon_by_numpy(kernels, scale=1.5),
        rtol=1e-4,
        atol=1e-5,
    )
    del adam["block00"]["conv1"]
    jax.tree.map(np.testing.assert_array_equal, muon, adam)


def test_create_optimizer_muon_without_a_kernel_names_the_key():
    with pytest.raises(InputError, match="optimizer.muon_layers: .*'body'"):
        create_optimizer(
            optax.constant_schedule(0.1), name="muon", muon_layers="body"
        ).init({"conv1": {"kernel": jnp.ones((3, 3, 2, 2))}})


def test_create_optimizer_muon_weight_decay_is_apart_from_the_gradient():
    kernel = jnp.full((3, 3, 2, 2), 4.0)
    params = {"conv1": {"kernel": kernel}, "bias": jnp.full(2, 4.0)}
    grads = jax.tree.map(jnp.ones_like, params)
    with_it, without = (
        create_optimizer(
            optax.constant_schedule(0.1), name="muon", weight_decay=weight_decay
        )
        for weight_decay in (0.5, 0.0)
    )
    updates, _ = with_it.update(grads, with_it.init(params), params)
    plain, _ = without.update(grads, without.init(params), params)
    for update, other in zip(*map(jax.tree.leaves, (updates, plain)), strict=True):
        np.testing.assert_allclose(update, other - 0.1 * 0.5 * 4.0, rtol=1e-5)


def test_create_optimizer_takes_one_of_another_package():
    updates = _first_update([3.0, -20.0], name="optax:lion", layer_rates={"tail": 0.5})
    # Lion's update is the sign, and optax:lion has a decay of 0.001 by default.
    np.testing.assert_allclose(updates["head"], [-0.1001, 0.0999], rtol=1e-4)
    np.testing.assert_allclose(updates["tail"], [-0.05005, 0.04995], rtol=1e-4)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("lion", "unknown optimiser 'lion', expected one of adam, muon, sgd, or pack"),
        ("optax:nosuch", "'optax:nosuch' cannot be imported .*nosuch"),
        (
            "optax:constant_schedule",
            "'optax:constant_schedule': expected a function that makes an",
        ),
    ],
)
def test_create_optimizer_of_no_such_name(name, message):
    with pytest.raises(InputError, match=f"^optimizer.name: {message}"):
        create_optimizer(optax.constant_schedule(0.1), name=name)


def test_create_optimizer_of_no_transformation_is_refused():
    message = "optimizer.name: 'optax:softmax_cross_entropy': expected a function that"
    with pytest.raises(InputError, match=message):
        create_optimizer(
            optax.constant_schedule(1.0), name="optax:softmax_cross_entropy"
        )


def test_create_optimizer_that_wants_the_loss_is_refused():
    optimizer = create_optimizer(optax.constant_schedule(0.1), name="optax:lbfgs")
    message = "^optimizer.name: 'optax:lbfgs': expected updates from gradients"
    with pytest.raises(InputError, match=message):
        optimizer.init({"head": np.ones(2)})


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("adam", {"momentum": 0.5}),
        ("sgd", {"b1": 0.5}),
        ("optax:lion", {"b1": 0.5}),
        ("optax:lion", {"eps": 1.0}),
    ],
)
def test_create_optimizer_refuses_options_without_effect(name, options):
    (key,) = options
    with pytest.raises(
        InputError, match=rf"^optimizer\.{key}: {name} does not take it"
    ):
        create_optimizer(optax.constant_schedule(0.1), name=name, **options)
