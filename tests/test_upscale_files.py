"""Picture files, enlarged into others: what is left out, what is kept, row by row."""

import errno
import threading
from fractions import Fraction

import numpy as np
import pytest
from PIL import Image

from jaxsr.errors import InputError
from jaxsr.folders import plan_files
from jaxsr.imaging import read_image, write_image
from jaxsr.inference import Cascade, Upscaler
from jaxsr.upscale_files import upscale_files
from tests.test_folders import bicubic, picture
from tests.test_inference import espcn


@pytest.fixture
def photos(tmp_path):
    folder = tmp_path / "photos"
    folder.mkdir()
    for name in ("a.png", "b.png"):
        write_image(folder / name, picture(4, 5, 3))
    return folder


def test_upscale_files_goes_on(photos, tmp_path):
    (photos / "a.png").write_bytes(b"\x89PNG cut short")
    pairs = plan_files([photos], tmp_path / "out").pairs
    results = list(upscale_files(bicubic(), pairs))
    assert [source.name for source, _ in results] == ["a.png", "b.png"]
    assert isinstance(results[0][1], InputError) and results[1][1] is None
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["b.png"]
    assert read_image(tmp_path / "out" / "b.png").shape == (8, 10, 3)


def save(path, image, kind="PNG"):
    Image.fromarray(image).save(path, format=kind)


@pytest.mark.parametrize(
    "name, image, message",
    [
        ("m.jpg", picture(4, 5, 4), "m.jpg: JPEG cannot hold transparency"),
        ("m.bmp", picture(4, 5, 4), "m.bmp: BMP cannot hold transparency"),
        ("m.webp", np.zeros((8200, 1, 3), np.uint8), "cannot hold 2x16400 pixels"),
        ("m.jpg", picture(4, 5, levels=2**16), "m.jpg: JPEG would lose .* 16 bits"),
        ("m.bmp", picture(4, 5, levels=2**16), "m.bmp: BMP would lose .* 16 bits"),
    ],
)
def test_upscale_files_refuses_before(photos, tmp_path, name, image, message):
    save(photos / name, image)

    class Enlarger:
        def output_shape(self, height, width):
            return 2 * height, 2 * width

        def enlarge_rows(self, image, take, *, progress):
            assert image.shape == (4, 5, 3), "nothing else is to be computed"
            take(iter([image.repeat(2, axis=0).repeat(2, axis=1)]))

    pairs = plan_files([photos], tmp_path / "out").pairs
    errors = [error for _, error in upscale_files(Enlarger(), pairs)]
    (error,) = filter(None, errors)
    with pytest.raises(InputError, match=message):
        raise error
    assert sorted(p.name for p in (tmp_path / "out").iterdir()) == ["a.png", "b.png"]


@pytest.mark.parametrize("stem", ["m" * 251, "\u7d75" * 83 + "mm"])
def test_upscale_files_longest_names(photos, tmp_path, stem):
    # 255 bytes with the suffix: as long as names can be, and with .webp too long.
    write_image(photos / f"{stem}.png", picture(4, 5, 3))
    pairs = plan_files([photos], tmp_path / "out").pairs
    assert all(error is None for _, error in upscale_files(bicubic(), pairs))
    assert (tmp_path / "out" / f"{stem}.png").is_file()

    pairs = plan_files([photos], tmp_path / "webp", suffix=".webp").pairs
    errors = [error for _, error in upscale_files(bicubic(), pairs)]
    assert [error is None for error in errors] == [True, True, False]
    assert "cannot be written: File name too long" in str(errors[-1])


def test_upscale_files_name_of_a_folder(photos, tmp_path):
    (tmp_path / "out" / "a.png").mkdir(parents=True)
    pairs = plan_files([photos], tmp_path / "out", overwrite=True).pairs
    errors = [error for _, error in upscale_files(bicubic(), pairs)]
    assert "expected the name of a file, got a folder's" in str(errors[0])
    assert errors[1] is None


@pytest.mark.parametrize(
    "error", [MemoryError(), RuntimeError("RESOURCE_EXHAUSTED: 9")]
)
def test_upscale_files_out_of_memory(photos, tmp_path, error):
    class Greedy:
        def output_shape(self, height, width):
            return 2 * height, 2 * width

        def enlarge_rows(self, image, take, *, progress):
            raise error

    pairs = plan_files([photos], tmp_path / "out").pairs
    errors = [str(error) for _, error in upscale_files(Greedy(), pairs)]
    assert len(errors) == 2
    assert "a.png: not enough memory to enlarge 5x4 pixels: pass a smaller" in errors[0]


def test_upscale_files_metadata(photos, tmp_path):
    exif = Image.Exif()
    exif[271] = "Maker"
    image = Image.fromarray(picture(4, 5, 3))
    image.save(photos / "a.png", exif=exif, dpi=(300, 300))
    for strip in (False, True):
        pairs = plan_files([photos], tmp_path / f"{strip}").pairs
        list(upscale_files(bicubic(), pairs, strip=strip))
        with Image.open(tmp_path / f"{strip}" / "a.png") as result:
            assert ("dpi" in result.info) != strip
            assert (271 in result.getexif()) != strip


def test_upscale_files_limit(photos, tmp_path):
    pairs = plan_files([photos], tmp_path / "out").pairs
    results = list(upscale_files(bicubic(), pairs, max_megapixels=1e-6))
    assert all("megapixels" in str(error) for _, error in results)


@pytest.mark.parametrize("suffix", [".png", ".tif"])
def test_upscale_files_writes_rows(tmp_path, suffix):
    # Tiles of 16 with 8 shared: several stretches a picture.
    upscaler = Upscaler(bicubic().model, {}, tile=16, overlap=8)
    cascade = Cascade([upscaler, upscaler], Fraction(7, 2))
    for channels in (1, 2, 3, 4):
        for levels in (2**8, 2**16):
            name = f"photos/{channels}-{levels}{suffix}"
            write_image(tmp_path / name, picture(40, 30, channels, levels=levels))
    for enlarger in (upscaler, Cascade([upscaler, upscaler], Fraction(4)), cascade):
        out = tmp_path / f"{enlarger.scale}"
        pairs = plan_files([tmp_path / "photos"], out).pairs
        assert all(error is None for _, error in upscale_files(enlarger, pairs))
        for source, target in pairs:
            image = read_image(source)
            np.testing.assert_array_equal(read_image(target), enlarger(image))


def test_upscale_files_leaves_nothing_half_written(photos, tmp_path):
    write_image(photos / "c.tif", picture(4, 5, 3))
    tries = []

    class Enlarger:
        def output_shape(self, height, width):
            return 2 * height, 2 * width

        def enlarge_rows(self, image, take, *, progress):
            def rows():
                yield image.repeat(2, axis=1)
                tries.append(len(list((tmp_path / "out").iterdir())))
                raise InputError("NaN")

            take(rows())

    pairs = plan_files([photos / "c.tif"], tmp_path / "out/").pairs
    ((_, error),) = upscale_files(Enlarger(), pairs)
    assert str(error) == f"{photos / 'c.tif'}: NaN"
    assert tries == [1]  # the file being written
    assert not list((tmp_path / "out").iterdir())


def test_upscale_files_is_begun_anew(photos, tmp_path):
    """Also where rows are in the file already."""
    image, lacks = picture(40, 40, 3), [False, True]  # the second time it suffices
    write_image(photos / "c.tif", image)

    class Lacking(Upscaler):
        def enlarge_rows(self, image, take, *, progress=None):
            def lacking(rows):
                for count, part in enumerate(rows):
                    if count == 1 and lacks.pop():
                        raise RuntimeError("RESOURCE_EXHAUSTED: Out of memory")
                    yield part

            super().enlarge_rows(
                image, lambda rows: take(lacking(rows)), progress=progress
            )

    upscaler = Lacking(bicubic().model, {}, tile=24, overlap=8)
    pairs = plan_files([photos / "c.tif"], tmp_path / "out/").pairs
    ((_, error),) = upscale_files(upscaler, pairs)
    assert error is None and upscaler.tile_shape(40, 40) == (16, 16)
    np.testing.assert_array_equal(read_image(pairs[0][1]), bicubic()(image))


def test_upscale_files_several_at_once(tmp_path):
    """In order, the same files; what fails does so alone."""
    names = [f"{k:02}.{suffix}" for k, suffix in enumerate(["png", "jpg", "tif"] * 4)]
    for k, name in enumerate(names):
        write_image(tmp_path / "photos" / name, picture(20 + 7 * k % 5, 30 + k, 3))
    (tmp_path / "photos" / names[4]).write_bytes(b"\xff\xd8 cut short")
    save(tmp_path / "photos" / names[6], picture(9, 9, 4))  # not for JPEG
    upscaler = espcn(3)
    results = {}
    for at_once in (1, 3):
        out = tmp_path / str(at_once)
        pairs = plan_files([tmp_path / "photos"], out, suffix=".jpg").pairs
        found = list(upscale_files(upscaler, pairs, at_once=at_once))
        assert [source.name for source, _ in found] == names
        failed = [source.name for source, error in found if error]
        assert failed == [names[4], names[6]]
        results[at_once] = {path.name: read_image(path) for path in out.iterdir()}
    assert len(results[1]) == 10 and results[1].keys() == results[3].keys()
    for name, expected in results[1].items():
        # Sums in another order, and JPEG.
        assert np.abs(results[3][name].astype(int) - expected).max() <= 4


def test_upscale_files_large_ones_are_alone(tmp_path, monkeypatch):
    monkeypatch.setattr("jaxsr.inference.tiles.WHOLE_PICTURE_PIXELS", 1000)
    for k, size in enumerate([10, 40, 10, 40]):
        write_image(tmp_path / "photos" / f"{k}.png", picture(size, size, 3))
    told, threads = [], set()

    class Noting(Upscaler):
        def enlarge_rows(self, image, take, *, progress=None):
            if progress is not None:
                told.append(len(image))
            threads.add((len(image), threading.current_thread().name == "MainThread"))
            super().enlarge_rows(image, take, progress=progress)

    pairs = plan_files([tmp_path / "photos"], tmp_path / "out/").pairs
    upscaler = Noting(bicubic().model, {})
    results = upscale_files(upscaler, pairs, at_once=2, progress=lambda *_: None)
    assert all(error is None for _, error in results)
    assert told == [40, 40] and threads == {(10, False), (40, True)}


def test_upscale_files_full_disk_ends_it_in_threads(photos, tmp_path, monkeypatch):
    def full(*args, **kwargs):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("jaxsr.upscale_files.write_rows", full)
    pairs = plan_files([photos], tmp_path / "out/").pairs
    with pytest.raises(OSError, match="No space left"):
        list(upscale_files(bicubic(), pairs, at_once=2))


@pytest.mark.parametrize("at_once", [1, 2])
def test_upscale_files_says_at_once_what_is_unreadable(tmp_path, at_once):
    """And not when all that follow are through."""
    looked_at = []

    def pairs():
        for k in range(10):
            looked_at.append(k)
            yield tmp_path / f"{k}.png", tmp_path / "out" / f"{k}.png"

    results = upscale_files(bicubic(), pairs(), at_once=at_once)
    source, error = next(results)
    assert source.name == "0.png" and "found none" in str(error)
    assert len(looked_at) == (1 if at_once == 1 else at_once + 1)
    assert len(list(results)) == 9
