from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import pytest

from jaxsr.layers.transposed_convolution import TransposedConv
from jaxsr.models import Network, create
from jaxsr.models.complexity import (
    count_multiply_adds,
    count_parameters,
    count_products,
)
from jaxsr.models.variables import abstract_variables


# Worked out from the layer lists, in 1e9 multiply-adds of convolutions for 1280x720
# pixels as output. EDSR's baseline: CARN (arXiv 1803.08664) prints 316.3, 160.2, 114.0.
@pytest.mark.parametrize(
    ("name", "giga"),
    [
        ("srcnn", {2: 52.7, 3: 52.7, 4: 52.7}),
        ("fsrcnn", {2: 2.9, 3: 1.3, 4: 0.7}),
        ("espcn", {2: 4.9, 3: 2.3, 4: 1.4}),
        ("vdsr", {2: 612.6, 4: 612.6}),
        ("lapsrn", {2: 94.1, 4: 117.5}),
        ("edsr_baseline", {2: 316.2, 3: 160.3, 4: 114.2}),
        ("edsr", {2: 9385, 3: 4477, 4: 2895}),
        ("srresnet", {2: 332.2, 3: 174.5, 4: 127.8}),
    ],
)
def test_count_multiply_adds_of_known_networks(name, giga):
    for scale, expected in giga.items():
        counted = count_multiply_adds(create(name, scale=scale)) / 1e9
        assert counted == pytest.approx(expected, rel=5e-4, abs=0.05)


def test_count_multiply_adds_of_transposed_convolutions():
    """Each input pixel meets each tap of the kernel, however that is computed."""

    class Enlarge(Network):
        layer: Any = None

        def forward(self, lr, *, train):
            return self.layer(lr)[..., :2]  # of the five, as many as LR has

    layers = [
        TransposedConv(5, kernel_size=6, stride=3, crop=2),
        nn.ConvTranspose(5, (6, 6), strides=(3, 3)),
    ]
    expected = 240 * (1280 / 3) * 6 * 6 * 2 * 5
    for layer in layers:
        assert count_multiply_adds(Enlarge(3, 2, layer=layer)) == pytest.approx(
            expected
        )


def test_count_multiply_adds_of_attention_grows_with_pairs_of_pixels():
    def products(inner_features):
        model = create("amms", scale=4, depth=1, inner_features=inner_features)
        return count_multiply_adds(model)

    # Each of four regions of 160x90 pixels asks 80x45 pooled ones, twice: for the
    # scores and for the values. Four 1x1 convolutions lead there and back.
    pairs = 4 * (160 * 90) * (80 * 45)
    convolutions = 4 * 64 * 320 * 180
    assert products(16) - products(8) == 8 * (2 * pairs + convolutions)


def test_count_products_of_a_gradient():
    # Each convolution has one for its input and one for its kernel, as large as
    # itself; the first has no input that a gradient is for.
    model = create("edsr_baseline", scale=2, features=6, depth=2)
    lr = jnp.zeros((1, 8, 9, 3))
    params = abstract_variables(model)["params"]

    def loss(params, lr):
        return model.apply({"params": params}, lr).sum()

    forward = count_products(loss, params, lr)
    head = 8 * 9 * 3 * 3 * 3 * 6
    assert count_products(jax.grad(loss), params, lr) == 3 * forward - head


def test_count_parameters_leaves_out_running_averages():
    # 64 features: SRResNet has 33 normalisations of 64 scales and biases.
    assert count_parameters(create("srresnet", scale=4)) == 1_550_659
