"""What is said of the weights that a run starts from."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxsr.models import create
from jaxsr.training.initial_weights import load_initial_weights
from jaxsr.weights import Weights


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({}, ""),
        ({"depth": 2}, ""),
        ({"scale": 3}, ""),
        ({"image_range": 1.0}, "its image_range is 255.0, here it is 1.0: the same"),
        ({"res_scale": 0.1}, "its res_scale is 1.0, here it is 0.1: the same"),
    ],
)
def test_fields_that_give_the_same_parameters_another_use(
    tmp_path, caplog, fields, said
):
    small = {"features": 4, "depth": 1, "res_scale": 1.0, "scale": 2}
    network = create("edsr", **small)
    variables = network.init(jax.random.key(0), jax.numpy.zeros((1, 8, 8, 3)))
    file = tmp_path / "small.safetensors"
    Weights.of(network, variables).save(file)
    load_initial_weights(str(file), create("edsr", **{**small, **fields}))
    assert said in caplog.text
    assert bool(caplog.text) == bool(said)


def test_fields_that_go_together_may_differ(tmp_path):
    """A network for luma has one mean; the body starts from that for RGB."""
    rgb = create("edsr_baseline", scale=2, features=8, depth=1)
    variables = rgb.init(jax.random.key(0), jnp.zeros((1, 8, 8, 3)))
    Weights.of(rgb, jax.device_get(variables)).save(tmp_path / "rgb.safetensors")
    luma = rgb.clone(channels=1, mean=(0.45,))
    found = load_initial_weights(str(tmp_path / "rgb.safetensors"), luma)
    jax.tree.map(np.testing.assert_array_equal, found, variables)
