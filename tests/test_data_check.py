"""What `check_source` says of sound, faulty and inexact sets."""

import numpy as np
import pytest

from jaxsr.data import check_source
from jaxsr.imaging import imresize, write_image

RNG = np.random.default_rng(0)
HR = RNG.integers(0, 256, (2, 24, 30, 3), dtype=np.uint8)


def write_pairs(folder, lows):
    for name, hr, lr in zip("ab", HR, lows, strict=True):
        for place, image in (("HR", hr), ("LR_bicubic/X2", lr)):
            (folder / place).mkdir(parents=True, exist_ok=True)
            write_image(folder / place / f"{name}.png", image)
    return f"folder:{folder}"


def test_check_source_counts(tmp_path):
    write_image(tmp_path / "a.png", HR[0])
    write_image(tmp_path / "b.png", HR[0, :20, :, :1])
    report = check_source(f"folder:{tmp_path}")
    assert report.ok
    assert report.sizes == [(30, 24), (30, 20)] and report.gray == 1
    text = "\n".join(report.lines())
    assert "2 images, 1 of them gray" in text
    assert "smallest 30x20" in text and "largest 30x24" in text
    assert "no LR images" in text


@pytest.mark.parametrize("edge", ["symmetric", "replicate"])
def test_check_source_exact_lr(tmp_path, edge):
    spec = write_pairs(tmp_path, [imresize(hr, 1 / 2, edge=edge) for hr in HR])
    report = check_source(spec)
    assert report.ok
    assert [lr.scale for lr in report.lr] == [2]
    assert report.lr[0].exact_edge == edge
    assert f"all equal the exact bicubic of their HR ({edge}" in report.lines()[-1]


def test_check_source_counts_differing_pixels(tmp_path):
    lows = [imresize(hr, 1 / 2) for hr in HR]
    lows[1][5, 6] ^= 1
    lows[1][7, 3, 2] ^= 4
    report = check_source(write_pairs(tmp_path, lows), scale=2)
    assert report.ok
    (lr,) = report.lr
    assert lr.exact_edge is None
    assert lr.differing_pixels["symmetric"] == 2
    assert lr.differing_images["symmetric"] == 1
    assert lr.largest_difference["symmetric"] == 4
    assert (
        "2 of 360 pixels differ (0.56%), in 1 images, by up to 4" in report.lines()[3]
    )


def test_check_source_sizes_that_do_not_pair(tmp_path):
    lows = [imresize(hr, 1 / 2) for hr in HR]
    spec = write_pairs(tmp_path, [lows[0], lows[1][:-1]])
    report = check_source(spec)
    assert not report.ok
    (problem,) = report.problems
    assert "b do not pair at x2: HR is 30x24, LR is 15x11" in problem
    assert report.lr[0].images == 1


def test_check_source_missing_lr(tmp_path):
    spec = write_pairs(tmp_path, [imresize(hr, 1 / 2) for hr in HR])
    (tmp_path / "LR_bicubic/X2/b.png").unlink()
    report = check_source(spec)
    assert len(report.problems) == 1 and "no LR image for b.png" in report.problems[0]


def test_check_source_truncated_file(tmp_path):
    write_image(tmp_path / "a.png", HR[0])
    write_image(tmp_path / "b.png", HR[1])
    whole = (tmp_path / "b.png").read_bytes()
    (tmp_path / "b.png").write_bytes(whole[: len(whole) // 2])
    report = check_source(f"folder:{tmp_path}")
    assert len(report.sizes) == 1
    assert len(report.problems) == 1 and "b.png" in report.problems[0]


def test_check_source_lr_of_uncropped_hr(tmp_path):
    # 25x31 is no multiple of 2: imresize of the whole image rounds the size up.
    hr = RNG.integers(0, 256, (25, 31, 3), dtype=np.uint8)
    for folder, image in (("HR", hr), ("LR_bicubic/X2", imresize(hr, 1 / 2))):
        (tmp_path / folder).mkdir(parents=True)
        write_image(tmp_path / folder / "a.png", image)
    report = check_source(f"folder:{tmp_path}")
    assert report.ok and report.lr[0].exact_edge == "symmetric"


def test_check_source_matlab_set5(data_dir):
    report = check_source("Set5", data_dir=data_dir)
    assert report.ok and len(report.sizes) == 5
    found = {
        lr.scale: (lr.images, lr.differing_pixels["symmetric"]) for lr in report.lr
    }
    assert found == {2: (5, 0), 3: (5, 0), 4: (5, 0)}
