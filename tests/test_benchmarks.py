"""Benchmark sets by name, in the layouts that people have."""

import re

import numpy as np
import pytest

from jaxsr.data import check_source, open_benchmark
from jaxsr.data.benchmarks import split_benchmarks, unusual_images
from jaxsr.data.photo_set import PhotoSet
from jaxsr.errors import InputError
from jaxsr.imaging import read_image, write_image

SET5 = ["baby", "bird", "butterfly", "head", "woman"]


def write_set5(folder, *, pattern="{}.png", names=SET5, value=0):
    folder.mkdir(parents=True)
    for name in names:
        image = np.full((12, 12, 3), value, np.uint8)
        write_image(folder / pattern.format(name), image)


@pytest.mark.parametrize(
    "layout",
    [
        "benchmarks/Set5/HR",
        "benchmark/Set5/HR",
        "Set5/HR",
        "Set5/original",
        "Set5/GTmod12",
        "Set5",
    ],
)
def test_open_benchmark_usual_layouts(tmp_path, layout):
    write_set5(tmp_path / layout)
    source = open_benchmark("set5", data_dir=tmp_path)
    assert source.name == "Set5"
    assert [source.image_name(i) for i in range(len(source))] == SET5


def test_split_benchmarks():
    assert split_benchmarks("Set5, folder:a b,") == ["Set5", "folder:a b"]


@pytest.mark.parametrize("spec", ["folder:~/p-photo", "folder:~/p+folder:~/p-photo"])
def test_open_benchmark_folder_whose_own_name_ends_in_photo(
    spec, tmp_path, monkeypatch
):
    monkeypatch.setenv("HOME", str(tmp_path))
    for name in ("p", "p-photo"):
        write_image(tmp_path / name / "a.png", np.zeros((12, 12, 3), np.uint8))
    source = open_benchmark(spec)
    assert not isinstance(source, PhotoSet)
    last = source.image_files(len(source) - 1, 2)
    assert last == [tmp_path / "p-photo/a.png"]
    assert isinstance(open_benchmark("folder:~/p-photo-photo"), PhotoSet)


def test_open_benchmark_prefers_whole_images(tmp_path):
    write_set5(tmp_path / "Set5/GTmod12", value=1)
    write_set5(tmp_path / "Set5/original", value=2)
    assert open_benchmark("Set5", data_dir=tmp_path).hr(0)[0, 0, 0] == 2


def test_open_benchmark_selfexsr_layout(tmp_path):
    for scale in (2, 3, 4):
        folder = tmp_path / f"Set5/image_SRF_{scale}"
        write_set5(folder, pattern=f"{{}}_SRF_{scale}_HR.png", value=scale)
        write_image(folder / f"baby_SRF_{scale}_LR.png", np.zeros((4, 4, 3), np.uint8))
    source = open_benchmark("Set5", data_dir=tmp_path)
    assert [source.image_name(i) for i in range(len(source))] == SET5
    # Urban100's HR files of image_SRF_2 are half as large as the set.
    for scale in (2, 3, 4):
        assert source.at_scale(scale).hr(0)[0, 0, 0] == 4


def test_unusual_images_are_named(data_dir, tmp_path):
    assert unusual_images(open_benchmark("Set5", data_dir=data_dir)) == []
    write_set5(tmp_path / "Set5")
    for image in ("baby", "bird"):
        whole = read_image(data_dir / f"benchmarks/Set5/HR/{image}.png")
        write_image(tmp_path / f"Set5/{image}.bmp", whole)
        (tmp_path / f"Set5/{image}.png").unlink()
    report = check_source("Set5", data_dir=tmp_path, progress=False)
    assert report.unusual == SET5[2:]
    assert any("not the usual copy of Set5: 3 images" in x for x in report.lines())


def test_open_benchmark_finds_edsr_name_of_bsd100(tmp_path):
    folder = tmp_path / "benchmark/B100/HR"
    write_set5(folder, names=[f"{i:03d}" for i in range(100)])
    assert len(open_benchmark("BSD100", data_dir=tmp_path)) == 100


def test_open_benchmark_incomplete(tmp_path):
    write_set5(tmp_path / "Set5", names=SET5[:4])
    with pytest.raises(InputError, match="Set5 has 5 images, found 4"):
        open_benchmark("Set5", data_dir=tmp_path)


def test_open_benchmark_absent(tmp_path, monkeypatch):
    place = re.escape(f"{tmp_path}/benchmarks/Urban100/HR")
    with pytest.raises(InputError, match=f"{place}.*benchmark/Urban100.*https://"):
        open_benchmark("Urban100", data_dir=tmp_path)
    monkeypatch.delenv("JAXSR_DATA_DIR", raising=False)
    with pytest.raises(InputError, match="--data_dir.*JAXSR_DATA_DIR"):
        open_benchmark("Urban100")


def test_open_benchmark_unknown():
    with pytest.raises(InputError, match="'Set6'.*Set5, Set14, BSD100, Urban100"):
        open_benchmark("Set6")


def test_open_benchmark_sample():
    source = open_benchmark("sample")
    names = [source.image_name(i) for i in range(len(source))]
    assert (source.name, names) == ("sample", ["chelsea", "coffee"])


def test_open_benchmark_shared_sets(data_dir):
    counts = {"Set5": 5, "Set14": 14, "BSD100": 100}
    found = {name: len(open_benchmark(name, data_dir=data_dir)) for name in counts}
    assert found == counts
    bridge = open_benchmark("Set14", data_dir=data_dir)
    assert bridge.hr(2).shape == (512, 512, 1)
