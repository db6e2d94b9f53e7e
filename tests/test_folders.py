"""Files and folders of pictures: which are read, where results go."""

import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from jaxsr.errors import InputError
from jaxsr.folders import plan_files
from jaxsr.imaging import read_image, write_image
from jaxsr.inference import Upscaler
from jaxsr.models import create
from jaxsr.streams import upscale_stream
from jaxsr.upscale_files import upscale_files


def picture(*shape: int, levels: int = 256) -> np.ndarray:
    image = np.random.default_rng(0).integers(0, levels, shape)
    return image.astype(np.uint8 if levels <= 256 else np.uint16)


def bicubic() -> Upscaler:
    return Upscaler(create("bicubic", scale=2, channels=3), {})


@pytest.fixture
def photos(tmp_path):
    folder = tmp_path / "photos"
    folder.mkdir()
    for name in ("a.png", "b.png"):
        write_image(folder / name, picture(4, 5, 3))
    return folder


def test_plan_files_names(photos, tmp_path):
    out = tmp_path / "out"
    a, b = photos / "a.png", photos / "b.png"
    both = [(a, out / "a.png"), (b, out / "b.png")]
    assert plan_files([photos], out).pairs == both
    assert plan_files([a, b], out).pairs == both
    assert plan_files([a], out).pairs == both[:1]
    assert plan_files([a], tmp_path / "big.jpg").pairs == [(a, tmp_path / "big.jpg")]
    (tmp_path / "dotted.dir").mkdir()
    expected = [(a, tmp_path / "dotted.dir" / "a.png")]
    assert plan_files([a], tmp_path / "dotted.dir").pairs == expected


@pytest.mark.parametrize("several", [["."], ["a.png", "b.png"]])
def test_plan_files_of_several_into_one(photos, tmp_path, several):
    inputs = [photos / name for name in several]
    with pytest.raises(InputError, match=r"out\.png: expected a folder for"):
        plan_files(inputs, tmp_path / "out.png")
    for is_meant in (f"{tmp_path}/out.png/", tmp_path / "out.v2"):
        assert len(plan_files(inputs, is_meant).pairs) == 2


def test_plan_files_protects_files(photos, tmp_path):
    a = photos / "a.png"
    with pytest.raises(InputError, match="would overwrite an input"):
        plan_files([photos], photos, overwrite=True)
    with pytest.raises(InputError, match="would overwrite an input"):
        plan_files([a], photos / ".." / "photos" / "a.png", overwrite=True)
    # The same file by another name, as where a folder is mounted twice.
    (tmp_path / "twin").mkdir()
    os.link(a, tmp_path / "twin" / "a.png")
    with pytest.raises(InputError, match="would overwrite an input"):
        plan_files([photos], tmp_path / "twin", overwrite=True)
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "b.png").write_bytes(b"precious")
    with pytest.raises(InputError, match=r"b\.png exists already"):
        plan_files([photos], tmp_path / "out")
    assert len(plan_files([photos], tmp_path / "out", overwrite=True).pairs) == 2


def test_plan_files_protects_results_from_each_other(photos, tmp_path):
    out = tmp_path / "out"
    out.mkdir()
    (tmp_path / "one.png").write_bytes(b"")
    for name in ("a.png", "b.png"):
        (out / name).symlink_to(tmp_path / "one.png")
    with pytest.raises(InputError, match=r"b\.png: both .*a\.png and .*b\.png would"):
        plan_files([photos], out, overwrite=True)


def test_plan_files_empty_names_and_names_with_a_dot(photos, tmp_path):
    for inputs, out in (([""], tmp_path), ([photos], "")):
        with pytest.raises(InputError, match="got an empty one"):
            plan_files(inputs, out)
    (photos / "photo 1.5").write_bytes((photos / "a.png").read_bytes())
    (pair,) = plan_files([photos / "photo 1.5"], f"{tmp_path}/", suffix=".png").pairs
    assert pair[1].name == "photo 1.5.png"


def test_plan_files_wrong_paths(photos, tmp_path):
    with pytest.raises(InputError, match="nowhere: no such file or folder"):
        plan_files([photos, tmp_path / "nowhere"], tmp_path / "out")
    with pytest.raises(InputError, match="both .* would be written"):
        plan_files([photos, photos / "a.png"], tmp_path / "out")
    with pytest.raises(InputError, match=r"big\.xyz: expected a suffix among"):
        plan_files([photos / "a.png"], tmp_path / "big.xyz")
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(InputError, match="expected a folder"):
        plan_files([photos], tmp_path / "file")
    for out in (tmp_path / "file/deeper", tmp_path / "file/and/deeper"):
        with pytest.raises(InputError, match=f"a folder .*, {tmp_path}/file is a file"):
            plan_files([photos], out)


@pytest.fixture
def tree(tmp_path):
    """Photos in folders, with what lies about between them."""
    top = tmp_path / "photos"
    for name in ("a.png", "holiday/b.jpg", "holiday/sea/c.png"):
        write_image(top / name, picture(4, 5, 3))
    (top / "papers").mkdir()
    (top / "papers" / "letter.txt").write_text("no picture")
    (top / "empty").mkdir()
    return top


def names(plan, out):
    return [target.relative_to(out).as_posix() for _, target in plan.pairs]


def test_plan_files_recursive_keeps_places(tree, tmp_path):
    out = tmp_path / "out"
    plan = plan_files([tree], out, recursive=True)
    assert names(plan, out) == ["a.png", "holiday/b.jpg", "holiday/sea/c.png"]
    assert plan.passed_over == [f"{tree / 'papers'}: 1 file is no image"]
    flat = plan_files([tree], out)
    assert names(flat, out) == ["a.png"]
    assert flat.passed_over == [f"{tree}: 3 sub-folders (--recursive looks into them)"]
    list(upscale_files(bicubic(), plan.pairs))
    assert sorted(path.name for path in out.iterdir()) == ["a.png", "holiday"]
    assert read_image(out / "holiday" / "sea" / "c.png").shape == (8, 10, 3)


def test_plan_files_links_in_a_circle(tree, tmp_path):
    (tree / "holiday" / "up").symlink_to(tree)
    (tree / "again").symlink_to(tree / "holiday")
    (tree / "self.png").symlink_to("self.png")
    (tree / "gone.png").symlink_to("nowhere.png")
    (tree / "folder.png").mkdir()
    os.mkfifo(tree / "pipe.png")
    plan = plan_files([tree], tmp_path / "out", recursive=True)
    assert names(plan, tmp_path / "out") == [
        "a.png",
        "holiday/b.jpg",
        "holiday/sea/c.png",
    ]
    for name in ("holiday/up", "again", "self.png", "gone.png", "pipe.png"):
        assert any(line.startswith(f"{tree / name}: ") for line in plan.passed_over)


def test_plan_files_results_within_the_folder(tree):
    out = tree / "results"
    write_image(out / "old.png", picture(3, 3, 3))
    plan = plan_files([tree], out, recursive=True)
    assert len(plan.pairs) == 3
    assert f"{out}: the folder for the results" in plan.passed_over


def test_plan_files_existing_results(tree, tmp_path):
    out = tmp_path / "out"
    write_image(out / "holiday" / "b.jpg", picture(3, 3, 3))
    with pytest.raises(InputError, match="b.jpg exists already: .* --skip-existing"):
        plan_files([tree], out, recursive=True)
    plan = plan_files([tree], out, recursive=True, skip_existing=True)
    assert names(plan, out) == ["a.png", "holiday/sea/c.png"]
    assert "1 picture with a result already" in plan.passed_over
    assert len(plan_files([tree], out, recursive=True, overwrite=True).pairs) == 3


def test_plan_files_format(tree, tmp_path):
    out = tmp_path / "out"
    plan = plan_files([tree], out, recursive=True, suffix=".webp")
    assert names(plan, out) == ["a.webp", "holiday/b.webp", "holiday/sea/c.webp"]
    write_image(tree / "a.bmp", picture(4, 5, 3))
    with pytest.raises(InputError, match="both .* would be written"):
        plan_files([tree], out, suffix=".webp")
    with pytest.raises(InputError, match="big.png: expected a name in .webp"):
        plan_files([tree / "a.png"], tmp_path / "big.png", suffix=".webp")


def test_plan_files_dots_in_names(photos, tmp_path):
    out = tmp_path / "v1.5"
    pairs = [(photos / "a.png", out / "a.png")]
    assert plan_files([photos / "a.png"], f"{out}/").pairs == pairs
    with pytest.raises(InputError, match="or a / after the name of a folder"):
        plan_files([photos / "a.png"], out)


def test_a_folder_that_may_be_listed_but_not_entered(photos, tmp_path, monkeypatch):
    """Whoever is root may do all, so the system's answer is given here."""
    (photos / "closed").mkdir()
    write_image(photos / "closed" / "c.png", picture(4, 5, 3))
    is_dir = Path.is_dir

    def refused(path):
        if path.parent.name == "closed":
            raise PermissionError(13, "Permission denied", str(path))
        return is_dir(path)

    monkeypatch.setattr(Path, "is_dir", refused)
    plan = plan_files([photos], tmp_path / "out", recursive=True)
    assert [source.name for source, _ in plan.pairs] == ["a.png", "b.png"]
    assert plan.unreadable == [
        f"{photos}/closed: cannot be looked into: Permission denied"
    ]


def test_upscale_stream_needs_no_folder(photos, monkeypatch, capsysbinary):
    """Nothing is written but what goes to standard output."""
    monkeypatch.setattr("os.access", lambda *_: False)
    upscale_stream(bicubic(), str(photos / "a.png"), "-")
    assert capsysbinary.readouterr().out.startswith(b"\x89PNG")


def test_plan_files_of_a_format_that_is_read_alone(tmp_path):
    folder = tmp_path / "gifs"
    folder.mkdir()
    Image.fromarray(picture(4, 5)).save(folder / "a.gif")
    out = tmp_path / "out"
    for given in (folder, folder / "a.gif"):
        plan = plan_files([given], out, suffix=".png")
        assert plan.pairs == [(folder / "a.gif", out / "a.png")]
    pairs = plan_files([folder], out).pairs
    ((_, error),) = upscale_files(bicubic(), pairs)
    assert "a.gif: expected a suffix among" in str(error)
