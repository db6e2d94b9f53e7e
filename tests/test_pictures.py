"""Upscaler takes pictures as people have them, and gives back what it got."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from PIL import Image

from jaxsr.errors import InputError
from jaxsr.imaging import imresize, write_image
from jaxsr.inference import Upscaler
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


def test_pil_palette_and_orientation(bicubic):
    image = Image.fromarray(photo(6, 5, 3))
    assert bicubic(image.quantize(8)).mode == "RGB"
    assert bicubic(image.convert("CMYK")).mode == "RGB"
    exif = image.getexif()
    exif[274] = 6  # lies on its side
    turned = bicubic(image)
    assert turned.size == (12, 10)
    with pytest.raises(InputError, match="of mode L, LA, RGB, RGBA, I;16, got F"):
        bicubic(image.convert("F"))


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
