"""Upscaler takes pictures as people have them, and gives back what it got."""

import copy
import pickle
import threading

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from PIL import Image

import jaxsr
from jaxsr.errors import InputError
from jaxsr.imaging import imresize, write_image
from jaxsr.inference import Upscaler, pictures
from jaxsr.models import create


def photo(*shape: int) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, shape).astype(np.uint8)


@pytest.fixture(scope="module")
def bicubic() -> Upscaler:
    model = create("bicubic", scale=2, channels=3)
    return Upscaler(model, {}, device=jax.devices()[0])


def test_batch_gives_a_batch(bicubic):
    batch = photo(3, 6, 5, 3)
    sr = bicubic(batch)
    assert sr.shape == (3, 12, 10, 3)
    np.testing.assert_array_equal(sr[2], bicubic(batch[2]))
    floats = batch / np.float32(255)
    np.testing.assert_array_equal(bicubic.run(floats)[1], bicubic.run(floats[1]))


def test_list_and_path_and_jax_array(bicubic, tmp_path):
    image = photo(6, 5, 3)
    write_image(tmp_path / "a.png", image)
    path, text, device, gray = bicubic(
        [tmp_path / "a.png", str(tmp_path / "a.png"), jnp.asarray(image), image[..., 0]]
    )
    expected = bicubic(image)
    assert type(path) is type(text) is np.ndarray and isinstance(device, jax.Array)
    for sr in (path, text, device):
        np.testing.assert_array_equal(sr, expected)
    assert gray.shape == (12, 10)


def test_small_pictures_of_a_list_go_side_by_side(monkeypatch, tmp_path):
    monkeypatch.setattr(pictures, "count_idle_threads", lambda: 2)
    monkeypatch.setattr(pictures, "fits_beside_others", lambda h, w: h * w < 1000)
    write_image(tmp_path / "a.png", photo(6, 5, 3))
    together, in_work = threading.Barrier(2, timeout=60), []

    def enlarge(image, *, beside_others):
        in_work.append(image.shape)
        if beside_others:
            together.wait()  # goes on where two are in work
        else:
            assert in_work == [image.shape], "alone"
        in_work.remove(image.shape)
        return image * 2

    large, small = photo(40, 40, 3), [photo(6, 7, 3), tmp_path / "a.png"]
    mixed = [*small, large, photo(5, 5), Image.fromarray(photo(5, 6)), small]
    done = pictures.apply_to(mixed, enlarge, lambda h, w: (h, w))
    np.testing.assert_array_equal(done[0], small[0] * 2)
    np.testing.assert_array_equal(done[1], photo(6, 5, 3) * 2)
    np.testing.assert_array_equal(done[2], large * 2)
    assert isinstance(done[4], Image.Image) and done[4].size == (6, 5)
    assert [sr.shape for sr in done[5]] == [(6, 7, 3), (6, 5, 3)]
    batch = pictures.apply_to(photo(2, 5, 5, 3), enlarge, lambda h, w: (h, w))
    np.testing.assert_array_equal(batch, photo(2, 5, 5, 3) * 2)


def test_list_is_what_its_pictures_are_alone():
    upscale = jaxsr.load("rcbam_lite", scale=2)
    images = [photo(30 + side, 40, 3) for side in range(4)]
    for one, of_list in zip(images, upscale(images), strict=True):
        # Sums may be in another order.
        assert np.abs(upscale(one).astype(int) - of_list).max() <= 1


@pytest.mark.parametrize("mode", ["L", "LA", "RGB", "RGBA", "I;16"])
def test_pil_gives_pil_of_its_mode(bicubic, mode):
    if mode == "I;16":
        image = Image.fromarray(photo(6, 5).astype(np.uint16) * 257)
    else:
        image = Image.fromarray(photo(6, 5, 4)).convert(mode)
    image.info["icc_profile"] = b"a profile"
    sr = bicubic(image)
    assert (sr.mode, sr.size) == (mode, (10, 12))
    assert sr.info["icc_profile"] == b"a profile"
    np.testing.assert_array_equal(np.asarray(sr), bicubic(np.asarray(image)))


def test_subclasses_of_arrays(bicubic):
    gray = photo(6, 5, 1)[..., 0]
    matrix = bicubic(gray.view(np.matrix))  # whose parts are matrices again
    np.testing.assert_array_equal(matrix, bicubic(gray))
    with pytest.raises(InputError, match="without a mask, got a masked array"):
        bicubic(np.ma.masked_array(gray, mask=gray > 9))


def test_an_upscaler_goes_to_another_process(bicubic):
    upscaler = jaxsr.load("espcn_x2")
    for other in (pickle.loads(pickle.dumps(upscaler)), copy.deepcopy(upscaler)):
        np.testing.assert_array_equal(other(photo(6, 5, 3)), upscaler(photo(6, 5, 3)))


def test_pil_palette_and_orientation(bicubic):
    image = Image.fromarray(photo(6, 5, 3))
    assert bicubic(image.quantize(8)).mode == "RGB"
    ink = image.convert("CMYK")
    ink.info["icc_profile"] = b"a profile of inks"
    assert bicubic(ink).mode == "RGB"
    assert "icc_profile" not in bicubic(ink).info
    exif = image.getexif()
    exif[274] = 6  # lies on its side
    turned = bicubic(image)
    assert turned.size == (12, 10)
    with pytest.raises(InputError, match="of mode L, LA, RGB, RGBA, I;16, got F"):
        bicubic(image.convert("F"))


@pytest.mark.parametrize("mode", ["1", "L", "RGB"])
def test_pil_with_a_clear_colour_is_what_its_file_is(bicubic, tmp_path, mode):
    image = Image.fromarray(photo(6, 5, 3)).convert(mode)
    clear = image.getpixel((2, 3))
    image.save(tmp_path / "a.png", transparency=clear)
    sr = bicubic(Image.open(tmp_path / "a.png"))
    assert sr.mode == ("RGBA" if mode == "RGB" else "LA")
    np.testing.assert_array_equal(np.asarray(sr), bicubic(tmp_path / "a.png"))


def test_pil_of_16_bits_with_a_clear_value_is_refused(bicubic, tmp_path):
    image = Image.fromarray(np.arange(30, dtype=np.uint16).reshape(5, 6))
    image.save(tmp_path / "a.png", transparency=7)
    with pytest.raises(InputError, match="give the file's path instead"):
        bicubic(Image.open(tmp_path / "a.png"))
    assert bicubic(tmp_path / "a.png").shape == (10, 12, 2)


def test_repr_names_network_weights_and_device():
    model = create("espcn", scale=2, features=(4, 4))
    variables = model.init(jax.random.key(0), np.zeros((1, 8, 8, 1), np.float32))
    upscaler = Upscaler(model, variables, weights="mine", device=jax.devices()[0])
    learned = 5 * 5 * 4 + 4 + 3 * 3 * 4 * 4 + 4 + 3 * 3 * 4 * 4 + 4
    assert repr(upscaler) == (
        f"<Upscaler espcn x2, weights mine, {learned} parameters, on 1 cpu device>"
    )


def test_compare_draws_four_pictures(bicubic, monkeypatch):
    pyplot = pytest.importorskip("matplotlib.pyplot")
    pyplot.switch_backend("agg")
    lr = photo(24, 32, 3)
    figure = bicubic.compare(lr, crop=5)
    whole, other, detail, _ = figure.axes
    assert [axis.get_title() for axis in (whole, other)] == ["bicubic x2"] * 2
    shown = whole.images[0].get_array()
    np.testing.assert_array_equal(shown, imresize(lr, 2))
    (frame,) = whole.patches
    left, top = frame.get_xy()
    np.testing.assert_array_equal(
        detail.images[0].get_array(), shown[top : top + 10, left : left + 10]
    )
    assert not pyplot.get_fignums()  # nothing stays open
    with pytest.raises(InputError, match="expected one picture, got 2"):
        bicubic.compare([lr, lr])
    monkeypatch.setitem(__import__("sys").modules, "matplotlib", None)
    with pytest.raises(InputError, match="pip install matplotlib"):
        bicubic.compare(lr)
