"""Copies of test images among training images are found, and nothing else."""

from pathlib import Path

import numpy as np
import pytest

from jaxsr.cli import main
from jaxsr.data import open_source
from jaxsr.data.overlap import find_overlaps
from jaxsr.imaging import imresize, read_image, write_image

pytest.importorskip("cv2")


@pytest.fixture
def photos() -> dict[str, np.ndarray]:
    skimage = pytest.importorskip("skimage")
    folder = Path(skimage.__file__).parent / "data"
    files = ("chelsea.png", "coffee.png", "rocket.jpg")
    return {file[:-4]: read_image(folder / file)[:300, :400] for file in files}


def test_scaled_cropped_and_mirrored_copies_are_found(photos, tmp_path):
    copies = {
        "scaled": imresize(photos["chelsea"], 0.71),
        "cropped": photos["coffee"][40:260, 30:370],
        "mirrored": photos["coffee"][:, ::-1],
        "another": photos["rocket"],
    }
    for folder, images in (("train", copies), ("test", photos)):
        for name, image in images.items():
            if name != "rocket":  # in training alone
                write_image(tmp_path / folder / f"{name}.png", image)
    train, test = (open_source(f"folder:{tmp_path}/{f}") for f in ("train", "test"))
    found = {o.image: o for o in find_overlaps(train, [test])}
    assert {(o.image, o.other.rpartition("/")[2]) for o in found.values()} == {
        ("scaled", "chelsea"),
        ("cropped", "coffee"),
        ("mirrored", "coffee"),
    }
    assert found["scaled"].scale == pytest.approx(0.71, abs=0.01)
    assert found["cropped"].scale == pytest.approx(1.0, abs=0.01)
    assert [o.mirrored for o in found.values()].count(True) == 1


def test_copies_within_a_source_are_found_once(photos, tmp_path):
    for name in ("a", "b"):
        write_image(tmp_path / f"{name}.png", photos["chelsea"])
    source = open_source(f"folder:{tmp_path}")
    (overlap,) = find_overlaps(source, [source])
    assert (overlap.image, overlap.scale) == ("b", pytest.approx(1.0))


def test_bsd200_holds_a_picture_of_set5(data_dir, capsys):
    command = ["data", "check", "bsd200[132:137]", "--against", "Set5"]
    assert main([*command, "--data_dir", str(data_dir)]) == 1
    text = capsys.readouterr().out
    assert "302003 is Set5/woman scaled by 1.39" in text
    assert text.count(" points agree)") == 1


def test_a_source_against_itself_in_another_spelling(capsys):
    assert main(["data", "check", "sample-eval", "--against", "Sample-Eval"]) == 0
    assert "0 copies of images of Sample-Eval" in capsys.readouterr().out
