"""Files and folders of pictures: which are read, where results go, what is skipped."""

import numpy as np
import pytest

from jaxsr.errors import InputError
from jaxsr.folders import plan_files, upscale_files
from jaxsr.imaging import read_image, write_image
from jaxsr.inference import Upscaler
from jaxsr.models import create


def picture(*shape: int) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, shape).astype(np.uint8)


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


def test_plan_files_protects_files(photos, tmp_path):
    a = photos / "a.png"
    with pytest.raises(InputError, match="would overwrite an input"):
        plan_files([photos], photos, overwrite=True)
    with pytest.raises(InputError, match="would overwrite an input"):
        plan_files([a], photos / ".." / "photos" / "a.png", overwrite=True)
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "b.png").write_bytes(b"precious")
    with pytest.raises(InputError, match=r"b\.png exists already"):
        plan_files([photos], tmp_path / "out")
    assert len(plan_files([photos], tmp_path / "out", overwrite=True).pairs) == 2


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


def test_upscale_files_goes_on(photos, tmp_path):
    (photos / "a.png").write_bytes(b"\x89PNG cut short")
    pairs = plan_files([photos], tmp_path / "out").pairs
    results = list(upscale_files(bicubic(), pairs))
    assert [source.name for source, _ in results] == ["a.png", "b.png"]
    assert isinstance(results[0][1], InputError) and results[1][1] is None
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["b.png"]
    assert read_image(tmp_path / "out" / "b.png").shape == (8, 10, 3)
