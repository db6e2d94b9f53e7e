import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxsr.layers.cbam import CBAM
from jaxsr.layers.window_pooling import pool_windows, spread_windows


def _windows(length: int, size: int) -> list[slice]:
    """The definition: one begins at each quarter of a side until the end is reached."""
    starts = [0]
    while starts[-1] + size < length:
        starts.append(starts[-1] + size // 4)
    return [slice(start, min(start + size, length)) for start in starts]


@pytest.mark.parametrize("shape", [(8, 8), (5, 19), (20, 9), (27, 16), (1, 30)])
def test_pool_windows_equals_its_definition(shape):
    x = np.random.default_rng(0).normal(size=(2, *shape, 3)).astype(np.float32)
    mean, peak = jax.jit(pool_windows, static_argnums=1)(jnp.asarray(x), 8)
    rows, columns = (_windows(length, 8) for length in shape)
    assert mean.shape == (2, len(rows), len(columns), 3)
    for i, row in enumerate(rows):
        for j, column in enumerate(columns):
            window = x[:, row, column]
            np.testing.assert_allclose(mean[:, i, j], window.mean((1, 2)), atol=1e-6)
            np.testing.assert_array_equal(peak[:, i, j], window.max((1, 2)))


def test_spread_windows_is_linear_between_centres():
    # Windows of 8 pixels in 20: centres at 4, 6, 8, ..., 16, in pixels from the edge.
    values = np.random.default_rng(0).normal(size=(1, 7, 1, 2)).astype(np.float32)
    spread = spread_windows(jnp.asarray(values), 8, 20, 5)
    assert spread.shape == (1, 20, 1, 2)
    for channel in range(2):
        expected = np.interp(
            np.arange(20) + 0.5, 4 + 2 * np.arange(7), values[0, :, 0, channel]
        )
        np.testing.assert_allclose(spread[0, :, 0, channel], expected, atol=1e-6)


def test_spread_windows_constant_stays_constant():
    spread = spread_windows(jnp.full((1, 3, 4, 2), 0.3), 8, 11, 13)
    np.testing.assert_allclose(spread, np.full((1, 11, 13, 2), 0.3), atol=1e-7)


def test_cbam_window_of_patch_size_is_global_pooling():
    x = jax.random.normal(jax.random.key(0), (2, 16, 12, 8))
    params = CBAM(4).init(jax.random.key(1), x)
    plain, windowed = CBAM(4).apply(params, x), CBAM(4, pool_size=16).apply(params, x)
    np.testing.assert_array_equal(plain, windowed)


def test_cbam_windows_see_no_further_than_they_reach():
    x = jax.random.normal(jax.random.key(0), (1, 40, 40, 8))
    layer = CBAM(4, pool_size=8)
    params = layer.init(jax.random.key(1), x)
    changed = layer.apply(params, x.at[0, 0, 0].add(5.0)) - layer.apply(params, x)
    changed = jnp.abs(changed).max((0, 3))
    # A window of 8, another cell by interpolation, and 3 of the 7x7 convolution.
    assert changed[:4, :4].max() > 1e-3
    assert changed[14:].max() == 0 and changed[:, 14:].max() == 0


@pytest.mark.parametrize("size", [0, 2, 30])
def test_pool_windows_size_must_be_a_multiple_of_four(size):
    with pytest.raises(ValueError, match="multiple of 4"):
        pool_windows(jnp.zeros((1, 4, 4, 1)), size)
