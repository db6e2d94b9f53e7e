"""Pictures on a larger canvas against the same pictures alone."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxsr.layers.canvas import apply_on_canvas
from jaxsr.models import create, list_models

_SMALL = {
    "edsr": {"features": 8, "depth": 1},
    "edsr_baseline": {"features": 8, "depth": 1},
    "rcan": {"features": 8, "depth": 1, "groups": 1},
    "rcbam": {"features": 8, "depth": 1},
    "rcbam_lite": {"features": 8, "depth": 1, "pool_size": 16},
    "vdsr": {"features": 8, "depth": 3},
    "srresnet": {"features": 8, "depth": 1},
    "msrresnet": {"features": 8, "depth": 1},
    "drcn": {"features": 8, "recursions": 2},
    "memnet": {"features": 8, "blocks": 1, "recursions": 1},
    "lapsrn": {"features": 8, "depth": 1},
}


def _network(name: str, scale: int):
    """Returns a network and random variables that make every layer matter."""
    model = create(name, scale=scale, **_SMALL.get(name, {}))
    lr = jnp.zeros((1, 8, 8, model.channels))
    shapes = jax.eval_shape(model.init, jax.random.key(0), lr)
    rng = np.random.default_rng(0)

    def draw(path, leaf):
        width = max(np.prod(leaf.shape[:-1]), 1) ** -0.5
        values = rng.normal(0, width, leaf.shape).astype(np.float32)
        if path[0].key == "batch_stats":
            values = abs(values) + 0.5
        return jnp.asarray(values)

    return model, jax.tree_util.tree_map_with_path(draw, shapes)


@pytest.mark.parametrize(
    ("name", "scale"), [*((name, 2) for name in list_models()), ("lapsrn", 3)]
)
def test_apply_on_canvas_equals_picture(name, scale):
    model, variables = _network(name, scale)
    if not model.knows_canvases:
        assert name in ("amms", "san", "scn")
        return
    rng = np.random.default_rng(1)
    canvas = jax.jit(
        lambda variables, lr, *size: apply_on_canvas(model, variables, lr, *size)
    )
    # Arrays with a type, as jaxsr.inference passes them.
    for height, width in np.int32([(29, 41), (13, 12), (48, 42)]):
        lr = rng.random((1, height, width, model.channels), np.float32)
        expected = model.apply(variables, jnp.asarray(lr))
        missing = ((0, 0), (0, 48 - height), (0, 44 - width), (0, 0))
        sr = canvas(variables, np.pad(lr, missing, mode="symmetric"), height, width)
        sr = sr[:, : height * scale, : width * scale]
        tolerance = 2e-6 * max(float(jnp.abs(expected).max()), 1.0)
        np.testing.assert_allclose(sr, expected, rtol=0, atol=tolerance)


def test_apply_on_canvas_needs_the_masks():
    # Shows that the test above can fail.
    model, variables = _network("rcbam_lite", 2)
    lr = np.random.default_rng(1).random((1, 29, 41, 3), np.float32)
    padded = np.pad(lr, ((0, 0), (0, 3), (0, 3), (0, 0)), mode="symmetric")
    plain = model.apply(variables, jnp.asarray(padded))[:, :58, :82]
    assert jnp.abs(plain - model.apply(variables, jnp.asarray(lr))).max() > 1e-3
