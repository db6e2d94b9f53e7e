"""Upscaler: pictures of every kind, tiles, self-ensemble."""

from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxsr import cpu
from jaxsr.errors import InputError
from jaxsr.imaging import imresize, read_image, rgb_to_ycbcr, ycbcr_to_rgb
from jaxsr.inference import WHOLE_PICTURE_PIXELS, Upscaler, programs
from jaxsr.models import Network, create

RADIUS = 2  # how far TinyConv looks, in LR pixels


class TinyConv(Network):
    """Two convolutions and a pixel shuffle; no global operation, looks 2 pixels far."""

    @nn.compact
    def forward(self, lr: jax.Array, *, train: bool) -> jax.Array:
        n, h, w, c = lr.shape
        s = self.scale
        x = nn.relu(nn.Conv(4, (3, 3), dtype=self.dtype, name="head")(lr))
        x = nn.Conv(s * s * c, (3, 3), dtype=self.dtype, name="tail")(x)
        x = x.reshape(n, h, w, s, s, c).transpose(0, 1, 3, 2, 4, 5)
        return x.reshape(n, h * s, w * s, c).astype(jnp.float32)


class Pooled(Network):
    """Nearest neighbour plus the picture's mean: a global operation."""

    def forward(self, lr: jax.Array, *, train: bool) -> jax.Array:
        sr = lr.repeat(self.scale, axis=1).repeat(self.scale, axis=2)
        return sr + lr.mean(axis=(1, 2), keepdims=True)


def tiny(scale=2, channels=3, **settings) -> Upscaler:
    """An upscaler whose sums are exact in float32, in whatever order they are done."""
    model = TinyConv(scale, channels)
    variables = model.init(jax.random.key(0), jnp.zeros((1, 8, 8, channels)))
    exact = jax.tree.map(lambda x: jnp.round(x * 16) / 16, variables)
    return Upscaler(model, exact, **settings)


def picture(*shape: int, levels: int = 256, dtype: Any = np.uint8) -> np.ndarray:
    return np.random.default_rng(0).integers(0, levels, shape).astype(dtype)


def exact_picture(*shape: int) -> np.ndarray:
    """Float picture in [0, 1) in steps of 1/256."""
    return (picture(*shape) / 256).astype(np.float32)


def bicubic(scale=2, channels=3, **settings) -> Upscaler:
    return Upscaler(create("bicubic", scale=scale, channels=channels), {}, **settings)


@pytest.mark.parametrize("shape", [(9, 7), (9, 7, 1), (9, 7, 2), (9, 7, 3), (9, 7, 4)])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("channels", [1, 3])
def test_call_keeps_kind(shape, dtype, channels):
    peak = np.iinfo(dtype).max
    image = picture(*shape, levels=peak, dtype=dtype) + dtype(1)  # all of it visible
    sr = bicubic(channels=channels)(image)
    assert sr.dtype == dtype
    assert sr.shape == (18, 14, *shape[2:])
    expected = np.clip(imresize(image.astype(float), 2), 0, peak)
    if shape[2:] in ((2,), (4,)):
        np.testing.assert_array_equal(sr[..., -1:], imresize(image[..., -1:], 2))
        sr, expected = sr[..., :-1], expected[..., :-1]
    np.testing.assert_allclose(sr, expected, atol=0.51)


@pytest.mark.parametrize("scale", [2, 3, 4])
def test_call_one_pixel(scale):
    image = np.array([[[10, 200, 60]]], np.uint8)
    expected = np.broadcast_to(image, (scale, scale, 3))
    np.testing.assert_array_equal(bicubic(scale)(image), expected)
    assert tiny(scale, self_ensemble=True)(image).shape == (scale, scale, 3)


def test_call_sixteen_bits_are_not_eight():
    image = np.full((4, 4, 1), 1001, np.uint16)
    np.testing.assert_array_equal(bicubic()(image), np.full((8, 8, 1), 1001))


def test_call_visible_alpha_does_not_touch_colour():
    image = picture(6, 5, 4, levels=255) + np.uint8(1)
    sr = tiny()(image)
    np.testing.assert_array_equal(sr[..., :3], tiny()(image[..., :3]))
    np.testing.assert_array_equal(sr[..., 3:], imresize(image[..., 3:], 2))


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("colours", [1, 3])
def test_call_hidden_colours_do_not_leak(colours, dtype):
    # Half of it one colour, the other half invisible: whatever the colour there.
    peak = np.iinfo(dtype).max
    image = np.full((8, 8, colours + 1), peak, dtype)
    image[:, 4:, -1] = 0
    black, noise = image.copy(), image.copy()
    black[:, 4:, :-1] = 0
    noise[:, 4:, :-1] = picture(8, 4, colours, levels=peak, dtype=dtype)
    expected = bicubic()(image)
    np.testing.assert_array_equal(expected[..., :-1], peak)
    np.testing.assert_array_equal(bicubic()(black), expected)
    np.testing.assert_array_equal(bicubic()(noise), expected)


def test_call_clips_and_rounds():
    upscaler = Upscaler(Pooled(1), {})
    dark, bright = np.full((2, 2, 3), 1, np.uint8), np.full((2, 2, 3), 200, np.uint8)
    np.testing.assert_array_equal(upscaler(dark), 2)
    np.testing.assert_array_equal(upscaler(bright), 255)


@pytest.mark.parametrize(
    "image, message",
    [
        (np.zeros((4, 4, 3), np.float32), "uint8 or uint16 picture, got float32"),
        (np.zeros((4, 4, 5), np.uint8), r"got \[4, 4, 5\]"),
        (np.zeros((0, 4, 3), np.uint8), r"at least one pixel, got \[0, 4, 3\]"),
        (np.zeros((0, 4, 4, 3), np.uint8), "batch of at least one picture, got none"),
        (np.zeros((1, 1, 4, 4, 3), np.uint8), r"got \[1, 1, 4, 4, 3\]"),
        (7, "an array, a path, a PIL image or a list of them, got int"),
    ],
)
def test_call_wrong_picture(image, message):
    with pytest.raises(InputError, match=message):
        bicubic()(image)


def test_run_integer_picture():
    with pytest.raises(InputError, match=r"floats in \[0, 1\], got uint8"):
        bicubic().run(np.zeros((4, 4, 3), np.uint8))


@pytest.mark.parametrize(
    "lr, got",
    [
        (np.full((4, 4, 3), 255.0), "got 255 to 255"),
        (np.array([[[-3.0], [0.5]]]), "got -3 to 0.5"),
        (np.full((2, 4, 4, 3), np.nan), "got nan to nan"),
        (np.zeros((4, 4, 3), complex), "got complex128"),
        (np.array([[["a"]]], object), "got object"),
    ],
)
def test_run_on_no_floats_about_0_to_1(lr, got):
    with pytest.raises(InputError, match=rf"expected floats in \[0, 1\], {got}"):
        bicubic().run(lr)


def test_run_on_what_interpolation_made():
    """It overshoots at edges."""
    lr = np.zeros((8, 8, 3), jnp.bfloat16)
    lr[:4] = 1.125
    lr[4:] = -0.125
    assert bicubic().run(lr).shape == (16, 16, 3)


def test_parameters_where_variables_are_expected():
    upscaler = tiny()
    with pytest.raises(InputError, match='variables: expected .*"params".*got head'):
        Upscaler(upscaler.model, upscaler.variables["params"])


def test_run_equals_apply():
    upscaler, lr = tiny(), exact_picture(12, 9, 3)
    model = upscaler.model
    variables = model.init(jax.random.key(0), lr[None])
    exact = jax.tree.map(lambda x: jnp.round(x * 16) / 16, variables)
    expected = np.asarray(model.apply(exact, lr[None]))[0]
    sr = upscaler.run(lr)
    np.testing.assert_array_equal(sr, expected)
    assert sr.min() < 0  # unclipped


def test_run_luma_network_on_colour():
    upscaler, lr = tiny(channels=1), exact_picture(10, 11, 3)
    ycbcr = rgb_to_ycbcr(lr)
    luma = upscaler.run(ycbcr[..., :1])
    chroma = imresize(ycbcr[..., 1:], 2)
    expected = ycbcr_to_rgb(np.concatenate([luma, chroma], axis=-1))
    np.testing.assert_allclose(upscaler.run(lr), expected, atol=1e-6)


def test_run_colour_network_on_gray():
    upscaler, gray = tiny(), exact_picture(10, 11, 1)
    colour = upscaler.run(np.repeat(gray, 3, axis=-1))
    expected = colour.mean(axis=-1, keepdims=True)
    np.testing.assert_allclose(upscaler.run(gray), expected, atol=1e-6)


def test_luma_network_sees_a_gray_picture_as_three_equal_channels():
    upscaler, gray = tiny(channels=1), picture(10, 11, 1)
    sr, colour = upscaler(gray), upscaler(gray.repeat(3, axis=-1))
    np.testing.assert_allclose(sr.repeat(3, axis=-1), colour, atol=1)
    floats = np.float32(gray / 255)
    exact = upscaler.run(floats, gray=True).clip(0, 1)
    np.testing.assert_allclose(exact, sr / 255, atol=0.51 / 255)
    # By itself one channel of floats is luma.
    assert not np.allclose(upscaler.run(floats).clip(0, 1), exact, atol=0.01)


@pytest.mark.parametrize("scale", [2, 3])
@pytest.mark.parametrize("height, width", [(61, 47), (16, 90), (20, 17), (5, 100)])
def test_run_tiled_equals_whole(scale, height, width):
    lr = exact_picture(height, width, 3)
    tiled = tiny(scale, tile=16, overlap=4 * RADIUS)
    assert tiled.tile_shape(height, width) == (min(16, height), 16)
    np.testing.assert_array_equal(tiled.run(lr), tiny(scale, tile=0).run(lr))


def test_run_tiled_with_little_overlap_differs():
    # Shows that the test above can fail: half the radius is not enough.
    lr = exact_picture(40, 40, 3)
    tiled = tiny(tile=16, overlap=2 * RADIUS).run(lr)
    assert not np.array_equal(tiled, tiny(tile=0).run(lr))


def test_run_tiled_global_operation_fades():
    lr = np.zeros((1, 100, 3), np.float32)
    lr[:, 50:] = 1.0
    sr = Upscaler(Pooled(1), {}, tile=40, overlap=16).run(lr)
    assert sr[0, 0, 0] == 0.0 and sr[0, -1, 0] == 2.0
    # The tiles' means differ by 0.5 and more; no pixel away from the edge jumps so far.
    assert np.abs(np.diff(sr[0, :49, 0])).max() < 0.2


def test_run_tiled_compiles_once():
    compiled = []

    class Counting(TinyConv):
        def forward(self, lr: jax.Array, *, train: bool) -> jax.Array:
            compiled.append(lr.shape)
            return super().forward(lr, train=train)

    model = Counting(2)
    variables = model.init(jax.random.key(0), jnp.zeros((1, 8, 8, 3)))
    compiled.clear()
    Upscaler(model, variables, tile=16, overlap=4).run(exact_picture(50, 60, 3))
    Upscaler(model, variables, tile=16, overlap=4).run(exact_picture(70, 33, 3))
    assert compiled == [(1, 16, 16, 3)]
    # Other parameters, as in training: nothing is compiled again.
    other = jax.tree.map(jnp.zeros_like, variables)
    sr = Upscaler(model, other, tile=16, overlap=4).run(exact_picture(20, 20, 3))
    assert compiled == [(1, 16, 16, 3)]
    np.testing.assert_array_equal(sr, 0)


def test_tile_shape_automatic():
    upscaler = bicubic(2)
    assert upscaler.tile_shape(1020, 1020) == (1020, 1020)  # DIV2K x2 stays whole
    side = int(WHOLE_PICTURE_PIXELS**0.5) // 2
    assert upscaler.tile_shape(side, side) == (side, side)
    assert upscaler.tile_shape(side, side + 1) == (256, 256)
    assert upscaler.tile_shape(100, 100_000) == (100, 256)
    assert upscaler.tile_shape(4096, 4096) == (256, 256)
    assert upscaler.tile_shape(4096, 4097) == (128, 256)
    assert bicubic(2, overlap=100).tile_shape(4096, 4097) == (200, 256)
    assert bicubic(4).tile_shape(2000, 2000) == (256, 256)
    assert bicubic(8).tile_shape(2000, 2000) == (128, 128)
    assert bicubic(2, tile=0).tile_shape(5000, 5000) == (5000, 5000)


@pytest.mark.parametrize(
    "settings, message",
    [
        ({"tile": 63}, "at least 64 pixels, twice the overlap, got 63"),
        ({"tile": -1}, "got -1"),
        ({"tile": 1, "overlap": 0}, "at least 2 pixels"),
        ({"overlap": -2}, "overlap must be at least 0, got -2"),
    ],
)
def test_upscaler_wrong_tile(settings, message):
    with pytest.raises(InputError, match=message):
        bicubic(**settings)


def test_run_self_ensemble_averages_views():
    lr = exact_picture(12, 9, 3)
    plain, ensemble = tiny(), tiny(self_ensemble=True)
    views = []
    for image, undo in [
        (lr, lambda x: x),
        (lr[::-1], lambda x: x[::-1]),
        (lr[:, ::-1], lambda x: x[:, ::-1]),
        (lr[::-1, ::-1], lambda x: x[::-1, ::-1]),
    ]:
        views.append(undo(plain.run(image)))
        transposed = plain.run(image.swapaxes(0, 1))
        views.append(undo(transposed.swapaxes(0, 1)))
    np.testing.assert_allclose(ensemble.run(lr), np.mean(views, axis=0), atol=1e-6)


def test_run_self_ensemble_commutes_with_turns():
    lr, ensemble = exact_picture(12, 9, 3), tiny(self_ensemble=True)
    turned = ensemble.run(np.rot90(lr))
    np.testing.assert_allclose(turned, np.rot90(ensemble.run(lr)), atol=1e-6)


def test_run_bfloat16_network():
    exact, lr = tiny(), exact_picture(16, 16, 3)
    half = TinyConv(2, dtype=jnp.bfloat16)
    sr = Upscaler(half, half.init(jax.random.key(0), jnp.asarray(lr[None]))).run(lr)
    assert sr.dtype == np.float32
    expected = exact.run(lr)
    assert not np.array_equal(sr, expected)
    np.testing.assert_allclose(sr, expected, atol=0.2)


def test_upscaler_parameters():
    head, tail = 3 * 3 * 3 * 4 + 4, 3 * 3 * 4 * 12 + 12
    assert tiny().parameters == head + tail
    assert bicubic().parameters == 0


def test_run_replicated_variables():
    # As training leaves them: on every device. They are used on one.
    mesh = jax.make_mesh((8,), ("data",))
    everywhere = jax.NamedSharding(mesh, jax.P())
    model = TinyConv(2)
    variables = model.init(jax.random.key(0), jnp.zeros((1, 8, 8, 3)))
    lr = exact_picture(8, 8, 3)
    spread = Upscaler(model, jax.device_put(variables, everywhere))
    with jax.transfer_guard("disallow"):
        sr = spread.run(lr)
    np.testing.assert_array_equal(sr, Upscaler(model, variables).run(lr))


def test_upscaler_set5_bicubic(data_dir):
    set5 = data_dir / "benchmarks" / "Set5"
    lr = read_image(set5 / "LR_bicubic" / "X3" / "babyx3.png")
    sr = bicubic(3)(lr)
    difference = sr.astype(int) - imresize(lr, 3).astype(int)
    assert np.abs(difference).max() <= 1


def espcn(channels=1, **settings) -> Upscaler:
    model = create("espcn", scale=2, channels=channels, features=(4, 4))
    variables = model.init(jax.random.key(0), jnp.zeros((1, 8, 8, channels)))
    return Upscaler(model, variables, **settings)


@pytest.mark.parametrize("height", [64, 75])
def test_run_rows_shared_by_devices(height):
    # To two devices; 75 rows need a canvas of 76.
    lr = np.random.default_rng(0).random((height, 40, 1), np.float32)
    shared, alone = espcn(), espcn(device=jax.devices()[0])
    assert len(shared.devices) == 8 and len(alone.devices) == 1
    np.testing.assert_allclose(shared.run(lr), alone.run(lr), rtol=0, atol=1e-6)


@pytest.mark.parametrize("size", [(63, 64), (64, 127), (63, 63)])
def test_a_canvas_does_not_change_the_edges(size):
    """One pixel short of a canvas, bicubic saw the canvas's edge for the picture's."""
    lr = np.random.default_rng(0).integers(0, 256, (*size, 3), np.uint8)
    expected = imresize(lr / 255, 2)
    np.testing.assert_allclose(
        bicubic(2)(lr), np.rint(np.clip(255 * expected, 0, 255)), rtol=0, atol=1
    )
    edges = bicubic(2)(lr).astype(int) - bicubic(2).run(lr / 255) * 255
    clipped = (bicubic(2)(lr) == 0) | (bicubic(2)(lr) == 255)
    assert np.abs(edges)[~clipped].max() < 0.51


def test_run_rows_shared_by_devices_leave_the_edges():
    lr = np.random.default_rng(0).random((75, 40, 3), np.float32)
    shared, alone = bicubic(2), bicubic(2).on(jax.devices()[0])
    assert len(shared.devices) == 8
    np.testing.assert_allclose(shared.run(lr), alone.run(lr), rtol=0, atol=1e-6)


def test_run_rows_shared_by_devices_global_operation():
    lr = exact_picture(96, 20, 3)
    alone = Upscaler(Pooled(2), {}, device=jax.devices()[0])
    sr = Upscaler(Pooled(2), {}).run(lr)
    np.testing.assert_allclose(sr, alone.run(lr), atol=1e-6)
    # No canvas for it, and no number of devices that divides 97 rows.
    lr = exact_picture(97, 20, 3)
    np.testing.assert_allclose(
        Upscaler(Pooled(2), {}).run(lr), alone.run(lr), atol=1e-6
    )


def _count_compilations(monkeypatch) -> list[Any]:
    compiled = []
    lower = jax.stages.Lowered.compile
    monkeypatch.setattr(
        jax.stages.Lowered,
        "compile",
        lambda self, *args, **kwargs: (
            compiled.append(self),
            lower(self, *args, **kwargs),
        )[1],
    )
    return compiled


def test_call_many_sizes_compiles_few_programs(monkeypatch):
    compiled = _count_compilations(monkeypatch)
    upscaler, rng = espcn(device=jax.devices()[0]), np.random.default_rng(0)
    for k in range(200):
        image = rng.integers(0, 256, (40 + k, 50 + 7 * k % 131, 1), np.uint8)
        sr = upscaler(image)
        if k % 40 == 0:
            whole = upscaler.run(image / np.float32(255), gray=True)
            difference = np.clip(whole, 0, 1) * 255 - sr
            assert np.abs(difference).max() < 0.501
            compiled.pop()
    assert len(compiled) <= 9  # sides of 64, 128 and 256


def test_call_keeps_a_bounded_number_of_programs(monkeypatch):
    monkeypatch.setattr(programs, "KEPT_PROGRAMS", 3)
    compiled, upscaler = _count_compilations(monkeypatch), Upscaler(Pooled(1), {})
    for height in (3, 4, 5, 6, 6, 5, 4):
        upscaler(picture(height, 7, 3))
    assert len(compiled) == 4
    assert len(programs._programs._kept) == 3
    upscaler(picture(3, 7, 3))  # the one that went
    assert len(compiled) == 5


@pytest.mark.parametrize("channels", [1, 3])
def test_call_tiled_equals_whole(channels):
    image = picture(70, 61, 3)
    done = []
    device = jax.devices()[0]
    tiled = espcn(channels, tile=32, overlap=16, device=device)(
        image, progress=lambda *numbers: done.append(numbers)
    )
    whole = espcn(channels, tile=0, device=device)(image).astype(int)
    assert np.abs(tiled - whole).max() <= 1  # sums in another order
    assert (tiled != whole).mean() < 1e-3
    assert done == [(k, 12) for k in range(1, 13)]


@pytest.mark.parametrize("overlap", [0, 3, 16])
def test_call_tiled_chroma_equals_whole(overlap):
    tiled = bicubic(channels=1, tile=32, overlap=overlap).run(exact_picture(50, 61, 3))
    whole = bicubic(channels=1, tile=0).run(exact_picture(50, 61, 3))
    # Gray is the network's work, which a narrow overlap changes; the rest is chroma's.
    chroma = [np.asarray(rgb_to_ycbcr(sr))[..., 1:] for sr in (tiled, whole)]
    np.testing.assert_allclose(*chroma, rtol=0, atol=1e-6)


def test_run_of_a_long_chain_equals_apply():
    """It is compiled as a loop, see `jaxsr.inference.programs`."""
    model = create("rcbam", scale=2, features=4, depth=12)
    lr = np.random.default_rng(0).random((12, 10, 3), np.float32)
    variables = model.init(jax.random.key(0), lr[None])
    expected = jax.jit(model.apply)(variables, lr[None])[0]
    np.testing.assert_allclose(Upscaler(model, variables).run(lr), expected, atol=1e-6)


def _note_device_counts(monkeypatch) -> list[int]:
    """Returns a list that gets the number of devices of each picture or tile."""
    counts, on_first = [], programs.PlacedVariables.on_first

    def noted(placed, count):
        counts.append(count)
        return on_first(placed, count)

    monkeypatch.setattr(programs.PlacedVariables, "on_first", noted)
    return counts


@pytest.mark.parametrize(("name", "count"), [("amms", 1), ("edsr", 8)])
def test_run_of_branches_keeps_to_one_cpu_device(monkeypatch, name, count):
    """XLA:CPU waits for ever where two devices exchange in another order."""
    model = create(name, scale=2, features=8, depth=1)
    lr = np.random.default_rng(0).random((256, 8, 3), np.float32)
    upscaler = Upscaler(model, model.init(jax.random.key(0), lr[None, :8]))
    counts = _note_device_counts(monkeypatch)
    upscaler.run(lr)
    assert counts == [count]


def test_run_of_few_cpu_devices_takes_one(monkeypatch):
    """XLA shares a convolution's rows among threads; devices exchange and wait."""
    monkeypatch.setattr(programs, "MOST_PROGRAMS", 8)  # of this process's devices
    lr = np.random.default_rng(0).random((256, 8, 1), np.float32)
    upscaler, counts = espcn(), _note_device_counts(monkeypatch)
    upscaler.run(lr)
    assert counts == [1]


@pytest.mark.parametrize(("most", "counts"), [(4, {2}), (8, {1})])
def test_run_tiles_of_few_devices_do_without_exchange(monkeypatch, most, counts):
    """As many as there are cores are in work, each on one device."""
    monkeypatch.setattr(cpu, "MOST_PROGRAMS", most)
    monkeypatch.setattr(cpu, "count_cores", lambda: 2)
    lr = np.random.default_rng(0).random((150, 140, 1), np.float32)
    whole, tiled = espcn(), espcn(tile=64)
    expected = whole.run(lr)
    seen = _note_device_counts(monkeypatch)
    np.testing.assert_allclose(tiled.run(lr), expected, rtol=0, atol=1e-6)
    assert set(seen) == counts


def test_call_on_one_cpu_device_has_all_threads(monkeypatch):
    """XLA:CPU runs narrow convolutions on one thread, if it is not told otherwise."""
    told, compile_lowered = [], jax.stages.Lowered.compile

    def noted(lowered, compiler_options=None):
        told.append(compiler_options)
        return compile_lowered(lowered, compiler_options=compiler_options)

    monkeypatch.setattr(jax.stages.Lowered, "compile", noted)
    monkeypatch.setattr(programs, "_programs", programs._Programs())
    monkeypatch.setattr(cpu, "MOST_PROGRAMS", 8)  # of this process's devices
    monkeypatch.setattr(cpu, "count_cores", lambda: 2)
    image = picture(64, 64, 1)
    one_device = espcn(device=jax.devices()[0])
    given = one_device(image)
    lr = image / np.float32(255)
    whole = one_device.beside_others().run(lr, gray=True)
    np.testing.assert_allclose(given, np.clip(whole, 0, 1) * 255, atol=0.51)
    espcn(device=jax.devices()[0], tile=48, overlap=16)(image)
    assert [options is None for options in told] == [False, True, True]

    # An XLA without that option: as it is.
    monkeypatch.setattr(programs, "_YNNPACK_OPTION", "xla_cpu_nosuch")
    monkeypatch.setattr(programs, "_programs", programs._Programs())
    np.testing.assert_array_equal(one_device(image), given)
    kinds = ("DOT", "INDIVIDUAL_CONVOLUTION", "ELTWISE", "REDUCE")
    value = ",".join(f"LIBRARY_FUSION_TYPE_{kind}" for kind in kinds)
    assert told[-2:] == [{"xla_cpu_nosuch": value}, None]


@pytest.mark.parametrize(
    ("only", "channels", "columns", "fusions"),
    [
        (True, 64 * 64, 48, ("DOT",)),
        (True, 64 * 64, 512, ("DOT",)),
        (True, 32 * 32, 256, programs._YNNPACK_TAKES_ALL),
        (True, 32 * 32, 512, None),
        (False, 64 * 64, 48, programs._YNNPACK_TAKES_ALL),
        (False, 64 * 64, 128, None),
        (False, 0, 128, None),
    ],
)
def test_wide_convolutions_are_xlas_own_with_avx2(
    monkeypatch, only, channels, columns, fusions
):
    """There YNNPACK shares them unevenly, see docs/performance.md."""
    monkeypatch.setattr(programs, "has_avx2_only", lambda: only)
    assert programs._find_fusions(channels, columns) == fusions


@pytest.mark.parametrize("only", [True, False])
def test_programs_of_each_processor_agree(monkeypatch, only):
    monkeypatch.setattr(programs, "has_avx2_only", lambda: only)
    monkeypatch.setattr(programs, "_programs", programs._Programs())
    monkeypatch.setattr(cpu, "MOST_PROGRAMS", 8)  # of this process's devices
    model = create("edsr", scale=2, features=64, depth=1)
    variables = model.init(jax.random.key(0), np.zeros((1, 8, 8, 3), np.float32))
    lr = np.random.default_rng(0).random((40, 48, 3), np.float32)
    upscaler = Upscaler(model, variables, device=jax.devices()[0])
    expected = jax.jit(model.apply)(variables, lr[None])[0]
    np.testing.assert_allclose(upscaler.run(lr), expected, rtol=0, atol=4e-6)
