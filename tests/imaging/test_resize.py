"""imresize against MATLAB's own files, a slow reading of its definition, and JAX."""

import functools
import math
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxsr.errors import InputError
from jaxsr.imaging import crop_to_multiple, imresize, imresize_jnp, read_image8

INTEGER_FACTORS = [2, 3, 4, 1 / 2, 1 / 3, 1 / 4]
OTHER_FACTORS = [1, 1.5, 3 / 4, 0.3, 1 / 6, math.pi / 2]
SIZES = [(1, 1, 3), (2, 7, 1), (19, 26, 3)]

compiled = jax.jit(
    imresize_jnp, static_argnames=("scale", "antialias", "edge"), inline=False
)


def random_image(shape: tuple[int, ...], dtype: type = np.uint8) -> np.ndarray:
    random = np.random.default_rng(sum(shape))
    if np.issubdtype(dtype, np.integer):
        return random.integers(0, np.iinfo(dtype).max + 1, shape).astype(dtype)
    return random.random(shape).astype(dtype)


def slow_line(line: list[float], scale: float, antialias: bool, edge: str) -> list:
    """One row or column by MATLAB's definition, one Python float after the other."""
    stretch = scale if antialias and scale < 1 else 1.0
    result = []
    for i in range(1, math.ceil(len(line) * scale) + 1):
        centre = i / scale + 0.5 * (1 - 1 / scale)
        total = weights = 0.0
        # Wider than the kernel: what lies outside has weight 0.
        for tap in range(
            math.floor(centre - 3 / stretch), math.ceil(centre + 3 / stretch)
        ):
            x = abs(stretch * (centre - tap))
            if x <= 1:
                weight = 1.5 * x**3 - 2.5 * x**2 + 1
            elif x <= 2:
                weight = -0.5 * x**3 + 2.5 * x**2 - 4 * x + 2
            else:
                continue
            mirrored = tap
            while not 1 <= mirrored <= len(line):
                if edge == "replicate":
                    mirrored = min(max(mirrored, 1), len(line))
                else:
                    mirrored = (
                        1 - mirrored if mirrored < 1 else 2 * len(line) + 1 - mirrored
                    )
            total += weight * line[mirrored - 1]
            weights += weight
        result.append(total / weights)
    return result


def slow_imresize(
    image: np.ndarray, scale: float, antialias: bool, edge: str
) -> np.ndarray:
    """Columns, then rows, rounded after each pass for an integer image."""
    for axis in (0, 1):
        resized = np.apply_along_axis(
            lambda line: slow_line(line.tolist(), scale, antialias, edge), axis, image
        )
        if np.issubdtype(image.dtype, np.integer):
            top = np.iinfo(image.dtype).max
            resized = np.clip(np.floor(resized + 0.5), 0, top).astype(image.dtype)
        image = resized
    return image


def matlab_pairs(data_dir: Path, scale: int) -> list[tuple[np.ndarray, np.ndarray]]:
    folder = data_dir / "benchmarks" / "Set5"
    shrunk = sorted((folder / "LR_bicubic" / f"X{scale}").glob("*.png"))
    if len(shrunk) != 5:
        pytest.skip(f"needs the five images of {folder / 'LR_bicubic' / f'X{scale}'}")
    names = [path.stem.removesuffix(f"x{scale}") for path in shrunk]
    originals = [read_image8(folder / "HR" / f"{name}.png") for name in names]
    return list(zip(originals, map(read_image8, shrunk), strict=True))


@pytest.mark.parametrize("scale", [2, 3, 4])
def test_imresize_equals_matlab_files(data_dir, scale):
    for hr, lr in matlab_pairs(data_dir, scale):
        hr = crop_to_multiple(hr, scale)
        assert np.count_nonzero(imresize(hr, 1 / scale) != lr) == 0


@pytest.mark.parametrize("edge", ["symmetric", "replicate"])
@pytest.mark.parametrize("antialias", [True, False])
@pytest.mark.parametrize("scale", INTEGER_FACTORS + [1.7, 0.6])
@pytest.mark.parametrize("shape", SIZES)
def test_imresize_equals_slow_definition(shape, scale, antialias, edge):
    image = random_image(shape, np.float64)
    options = {"antialias": antialias, "edge": edge}
    expected = slow_imresize(image, scale, **options)
    result = imresize(image, scale, **options)
    assert result.dtype == np.float64
    np.testing.assert_allclose(result, expected, rtol=0, atol=1e-13)


@pytest.mark.parametrize("scale", INTEGER_FACTORS)
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_imresize_integer_rounds_every_pass(dtype, scale):
    image = random_image((17, 22, 3), dtype)
    result = imresize(image, scale)
    assert result.dtype == dtype
    np.testing.assert_array_equal(
        result, slow_imresize(image, scale, True, "symmetric")
    )


def test_imresize_two_dimensional_equals_one_channel():
    image = random_image((9, 8, 1))
    np.testing.assert_array_equal(
        imresize(image[..., 0], 0.5), imresize(image, 0.5)[..., 0]
    )


def test_imresize_output_size_scales_each_axis():
    image = random_image((12, 10, 3))
    np.testing.assert_array_equal(
        imresize(image, output_size=(6, 5)), imresize(image, 1 / 2)
    )
    assert imresize(image, output_size=(7, 40)).shape == (7, 40, 3)
    with pytest.raises(InputError, match="expected output_size"):
        imresize(image, output_size=(0, 3))


@pytest.mark.parametrize("scale", [1 / 2, 3, 1.5])
@pytest.mark.parametrize("options", [{"edge": "replicate"}, {"antialias": False}])
def test_imresize_jnp_options_equal_numpy(options, scale):
    image = random_image((11, 14, 3), np.float32)
    expected = imresize(image, scale, **options)
    np.testing.assert_allclose(
        compiled(image, scale=scale, **options), expected, rtol=0, atol=1e-6
    )


@pytest.mark.parametrize("shape", [(1, 1, 3), (2, 7, 1), (19, 26, 3)])
@pytest.mark.parametrize("scale", INTEGER_FACTORS + OTHER_FACTORS)
def test_imresize_jnp_float_equals_numpy(scale, shape):
    image = random_image(shape, np.float32)
    result = compiled(image, scale=scale)
    assert result.dtype == jnp.float32
    np.testing.assert_allclose(result, imresize(image, scale), rtol=0, atol=1e-6)


def test_imresize_jnp_bfloat16_rounds_once():
    image = random_image((8, 8, 3), np.float32).astype(jnp.bfloat16)
    expected = imresize(image.astype(np.float64), 2).astype(jnp.bfloat16)
    with jax.numpy_dtype_promotion("strict"):
        result = imresize_jnp(jnp.asarray(image), 2)
    assert result.dtype == jnp.bfloat16
    difference = np.abs(result.astype(np.float32) - expected.astype(np.float32))
    assert difference.max() <= 2**-8


@pytest.mark.parametrize("scale", [2, 4, 1 / 2, 1 / 3])
def test_imresize_jnp_interior_equals_jax_image(scale):
    image = random_image((36, 48, 3), np.float32)
    shape = (int(36 * scale), int(48 * scale), 3)
    theirs = jax.image.resize(image, shape, "cubic", antialias=True)
    inside = np.s_[8:-8, 8:-8] if scale > 1 else np.s_[4:-4, 4:-4]
    np.testing.assert_allclose(
        compiled(image, scale=scale)[inside], theirs[inside], rtol=0, atol=2e-6
    )


@pytest.mark.parametrize("scale", [2, 1 / 3, 1.5])
def test_imresize_jnp_batch_and_vmap_equal_single(scale):
    image = random_image((10, 15, 3), np.float32)
    images = np.stack([image, image[::-1]])
    expected = np.stack([imresize(image, scale) for image in images])
    one = functools.partial(imresize_jnp, scale=scale)
    for result in (compiled(images, scale=scale), jax.jit(jax.vmap(one))(images)):
        np.testing.assert_allclose(result, expected, rtol=0, atol=1e-6)


@pytest.mark.parametrize("scale", [2, 3, 4, 1 / 2, 1.5])
def test_imresize_jnp_gradient_is_adjoint(scale):
    # <A x, y> = <x, A' y> holds for every x, y, as the resize is linear.
    x = random_image((2, 7, 9, 3), np.float32)
    y = random_image(imresize_jnp(x, scale).shape, np.float32)
    resized = compiled(x, scale=scale)
    gradient = jax.grad(lambda x: (compiled(x, scale=scale) * y).sum())(x)
    np.testing.assert_allclose((resized * y).sum(), (x * gradient).sum(), rtol=1e-5)


def test_imresize_constant_stays_constant():
    image = np.full((5, 6, 3), 201, np.uint8)
    for scale in INTEGER_FACTORS + OTHER_FACTORS:
        assert set(imresize(image, scale).ravel()) == {201}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"scale": 0}, "scale above 0, got 0"),
        ({"scale": float("nan")}, "scale above 0, got nan"),
        ({}, "either scale or output_size"),
        ({"scale": 2, "output_size": (4, 4)}, "either scale or output_size"),
        ({"output_size": (4, 0)}, r"got \(4, 0\)"),
        ({"scale": 2, "edge": "wrap"}, "symmetric or replicate, got 'wrap'"),
    ],
)
def test_imresize_bad_argument(arguments, message):
    with pytest.raises(InputError, match=message):
        imresize(np.zeros((4, 4, 3), np.uint8), **arguments)


def test_imresize_bad_image():
    with pytest.raises(InputError, match="got int32"):
        imresize(np.zeros((4, 4), np.int32), 2)
    with pytest.raises(InputError, match=r"got shape \(0, 4\)"):
        imresize(np.zeros((0, 4)), 2)
    with pytest.raises(
        InputError, match=r"\[..., H, W, C\] pixels, got shape \(4, 4\)"
    ):
        imresize_jnp(jnp.zeros((4, 4)), 2)
    with pytest.raises(InputError, match="expected float, got uint8"):
        imresize_jnp(np.zeros((4, 4, 3), np.uint8), 2)


def test_crop_to_multiple_keeps_top_left():
    image = random_image((10, 7, 3))
    np.testing.assert_array_equal(crop_to_multiple(image, 3), image[:9, :6])
    with pytest.raises(InputError, match="10x7 pixels is smaller than the scale 8"):
        crop_to_multiple(image, 8)
