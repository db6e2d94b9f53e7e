"""The tf.data pipeline: its stream, its crops, its turns, and what it refuses."""

import subprocess
import sys

import numpy as np
import pytest

from jaxsr.data import open_source
from jaxsr.data.tf_pipeline import make_batches
from jaxsr.errors import InputError
from jaxsr.imaging import imresize, rgb_to_y, write_image
from tests.coordinates import SIZES, Coordinates


def take(count, source, **options):
    options = dict(scale=2, patch_size=6, batch_size=4, seed=3, threads=2) | options
    batches = make_batches(source, **options)
    return [next(batches) for _ in range(count)]


def assert_equal_streams(first, second):
    for a, b in zip(first, second, strict=True):
        assert a.keys() == b.keys() == {"lr", "hr"}
        for name in a:
            np.testing.assert_array_equal(a[name], b[name])


def rows(stream, name):
    return np.concatenate([batch[name] for batch in stream]).astype(int)


@pytest.mark.parametrize("scale", [2, 3, 4])
def test_make_batches_aligned_crops_in_all_eight_turns(scale):
    source = Coordinates(SIZES, scale=scale)
    stream = take(64, source, scale=scale)
    lr, hr = rows(stream, "lr"), rows(stream, "hr")
    assert lr.shape == (256, 6, 6, 3) and hr.shape == (256, 6 * scale, 6 * scale, 3)
    assert stream[0]["lr"].dtype == stream[0]["hr"].dtype == np.uint8
    # The mean of the HR pixels below an LR pixel is at that pixel's place.
    blocks = hr.reshape(256, 6, scale, 6, scale, 3).mean(axis=(2, 4))
    np.testing.assert_allclose(
        blocks[..., :2], scale * lr[..., :2] + (scale - 1) / 2, atol=1e-12
    )
    np.testing.assert_array_equal(blocks[..., 2], lr[..., 2])
    # The direction in which coordinates grow names the turn.
    turns = {
        tuple((patch[1, 0] - patch[0, 0])[:2]) + tuple((patch[0, 1] - patch[0, 0])[:2])
        for patch in lr
    }
    flips = [(a, b) for a in (1, -1) for b in (1, -1)]
    assert turns == {(a, 0, 0, b) for a, b in flips} | {(0, a, b, 0) for a, b in flips}


def test_make_batches_turns_are_independent():
    lr = rows(take(1000, Coordinates([(6, 6)])), "lr")[..., :2]
    transposed = lr[:, 0, 0, 0] == lr[:, 0, 1, 0]
    downwards = lr[:, 5, 5, 0] > lr[:, 0, 0, 0]
    rightwards = lr[:, 5, 5, 1] > lr[:, 0, 0, 1]
    counts = np.bincount(4 * ~transposed + 2 * downwards + rightwards, minlength=8)
    # 4000 draws of 8 kinds: 500 each, standard deviation 21.
    assert counts.min() > 400 and counts.max() < 600


def test_make_batches_without_augmentation():
    lr = rows(take(20, Coordinates(SIZES), augment=False), "lr")
    np.testing.assert_array_equal(np.diff(lr[..., 0], axis=1), 1)
    np.testing.assert_array_equal(np.diff(lr[..., 1], axis=2), 1)


def test_make_batches_places_are_uniform():
    lr = rows(take(600, Coordinates([(9, 10)]), augment=False), "lr")
    top, left = lr[:, 0, 0, 0], lr[:, 0, 0, 1]
    counts = np.bincount(5 * top + left, minlength=20)
    # 2400 draws of 4 x 5 places: 120 each, standard deviation 11.
    assert len(counts) == 20 and counts.min() > 70 and counts.max() < 170


def test_make_batches_visits_every_image_once_an_epoch():
    numbers = rows(take(15, Coordinates(SIZES)), "lr")[:, 0, 0, 2].reshape(-1, 5)
    np.testing.assert_array_equal(np.sort(numbers), [range(5)] * 12)
    assert len({tuple(epoch) for epoch in numbers}) > 6


def test_make_batches_one_image():
    assert rows(take(3, Coordinates([(6, 7)])), "lr").shape == (12, 6, 6, 3)


def test_make_batches_same_seed_same_stream():
    first = take(8, Coordinates(SIZES))
    assert_equal_streams(first, take(8, Coordinates(SIZES)))
    other = take(8, Coordinates(SIZES), seed=4)
    assert not np.array_equal(rows(first, "lr"), rows(other, "lr"))


def test_make_batches_start_step():
    unbroken = take(23, Coordinates(SIZES))
    continued = take(6, Coordinates(SIZES), start_step=17, threads=1)
    assert_equal_streams(unbroken[17:], continued)


@pytest.mark.parametrize("count", [2, 4])
def test_make_batches_processes_share_a_batch(count):
    whole = take(5, Coordinates(SIZES), start_step=2)
    shares = [
        take(5, Coordinates(SIZES), start_step=2, process_index=i, process_count=count)
        for i in range(count)
    ]
    joined = [
        {name: np.concatenate([s[name] for s in step]) for name in ("lr", "hr")}
        for step in zip(*shares, strict=True)
    ]
    assert_equal_streams(whole, joined)


@pytest.mark.parametrize("limit_gb", [0.0, 4.5e-6])
def test_make_batches_streams_what_does_not_fit(limit_gb):
    reads = []

    class Counted(Coordinates):
        def hr(self, index):
            reads.append(index)
            return super().hr(index)

    in_memory = take(10, Counted(SIZES, ships_lr=False))
    assert sorted(reads) == [0, 1, 2, 3, 4]
    streamed = take(10, Counted(SIZES, ships_lr=False), memory_limit_gb=limit_gb)
    assert_equal_streams(in_memory, streamed)
    again = set(reads[10:])
    assert again == ({0, 1, 2, 3, 4} if limit_gb == 0 else {2, 3, 4})


def test_make_batches_lr_is_the_exact_bicubic():
    source = open_source("sample-eval")
    (batch,) = take(1, source, patch_size=32, scale=3, augment=False)
    for lr, hr in zip(batch["lr"], batch["hr"], strict=True):
        # Two LR pixels from the border on, the crop's edges are out of reach.
        expected = imresize(hr, 1 / 3)[2:-2, 2:-2]
        np.testing.assert_array_equal(lr[2:-2, 2:-2], expected)


def test_make_batches_one_channel():
    source = open_source("sample-eval")
    options = dict(patch_size=32, augment=False)
    (colour,) = take(1, source, **options)
    (luma,) = take(1, source, channels=1, **options)
    np.testing.assert_array_equal(luma["hr"], rgb_to_y(colour["hr"]))
    for lr, hr in zip(luma["lr"], luma["hr"], strict=True):
        expected = imresize(hr, 1 / 2)[2:-2, 2:-2]
        np.testing.assert_array_equal(lr[2:-2, 2:-2], expected)


def test_make_batches_gray_image(tmp_path):
    """Is the one of three equal channels, for luma as for colour."""
    noise = np.random.default_rng(0).integers(0, 256, (24, 24, 1), dtype=np.uint8)
    for channels in (1, 3):
        (tmp_path / f"{channels}").mkdir()
        image = noise.repeat(channels, axis=-1)
        write_image(tmp_path / f"{channels}" / "noise.png", image)
    sources = [open_source(f"folder:{tmp_path}/{channels}") for channels in (1, 3)]
    for channels in (1, 3):
        (gray,), (colour,) = (take(1, each, channels=channels) for each in sources)
        for name in ("lr", "hr"):
            np.testing.assert_array_equal(gray[name], colour[name])
            assert channels == 3 or 16 <= gray[name].min() <= gray[name].max() <= 235


def test_make_batches_image_smaller_than_patch():
    expected = "number1 is 16x40, smaller than a patch of 18x18 .patch_size 9 at x2"
    with pytest.raises(InputError, match=expected):
        make_batches(
            Coordinates(SIZES), scale=2, patch_size=9, batch_size=4, seed=0, threads=2
        )


@pytest.mark.parametrize("limit_gb", [0.0, 1.0])
def test_make_batches_skips_small_images(limit_gb, caplog):
    stream = take(
        6, Coordinates(SIZES), patch_size=9, skip_small=True, memory_limit_gb=limit_gb
    )
    assert set(rows(stream, "lr")[:, 0, 0, 2]) == {0, 3, 4}
    assert "left out 2 of 5 images" in caplog.text


def test_make_batches_all_images_small():
    with pytest.raises(InputError, match="none of its 5 images"):
        take(1, Coordinates(SIZES), patch_size=40, skip_small=True)


def test_make_batches_lr_of_another_size():
    class Wrong(Coordinates):
        def lr(self, index, scale):
            return super().lr(index, scale)[1:]

    with pytest.raises(InputError, match="number0 do not pair at x2.*24x18.*12x8"):
        take(1, Wrong(SIZES))


def test_make_batches_batch_not_divisible():
    with pytest.raises(InputError, match="batch_size.*multiple of the 3.*got 4"):
        take(1, Coordinates(SIZES), process_count=3)


def test_make_batches_file_damaged_while_streaming(tmp_path):
    noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    write_image(tmp_path / "a.png", noise)
    batches = make_batches(
        open_source(f"folder:{tmp_path}"),
        scale=2,
        patch_size=6,
        batch_size=4,
        seed=0,
        memory_limit_gb=0.0,
        threads=1,
    )
    (tmp_path / "a.png").write_bytes((tmp_path / "a.png").read_bytes()[:100])
    with pytest.raises(InputError, match=r"a\.png: expected a whole image file"):
        next(batches)


def test_program_ends_while_images_are_read(tmp_path):
    noise = np.random.default_rng(0).integers(0, 256, (900, 900, 3), dtype=np.uint8)
    write_image(tmp_path / "a.png", noise)
    code = (
        "from jaxsr.data import open_source\n"
        "from jaxsr.data.tf_pipeline import make_batches\n"
        f"batches = make_batches(open_source('folder:{tmp_path}'), scale=2, seed=0,\n"
        "    patch_size=8, batch_size=1, memory_limit_gb=0.0, threads=2)\n"
        "next(batches)\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=180)


def test_import_without_tensorflow_names_the_extra():
    code = (
        "import sys; sys.modules['tensorflow'] = None\n"
        "from jaxsr.errors import InputError\n"
        "try: import jaxsr.data.tf_pipeline\n"
        "except InputError as error: assert 'jaxsr-superres[train]' in str(error)\n"
        "else: sys.exit(1)\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
