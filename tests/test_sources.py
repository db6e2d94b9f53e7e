"""Sources by name: layouts on disk, sums, sample photos, and what is refused."""

import importlib.metadata
import re
import struct
import subprocess
import sys
import zlib
from pathlib import Path

import numpy as np
import pytest

from jaxsr.data import Source, open_benchmark, open_source
from jaxsr.data.pairs import read_pair, read_pairs
from jaxsr.data.source import FolderSource
from jaxsr.errors import InputError
from jaxsr.imaging import write_image


def write_noise(path: Path, height: int = 12, width: int = 10, seed: int = 0):
    path.parent.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(seed)
    image = rng.integers(0, 256, (height, width, 3), dtype=np.uint8)
    write_image(path, image)
    return image


def names(source: Source) -> list[str]:
    return [source.image_name(i) for i in range(len(source))]


def test_open_source_folder_of_images(tmp_path):
    second = write_noise(tmp_path / "b.png", seed=1)
    write_noise(tmp_path / "a.png")
    source = open_source(f"folder:{tmp_path}")
    assert names(source) == ["a", "b"]
    np.testing.assert_array_equal(source.hr(1), second)
    assert source.lr(1, 2) is None


@pytest.mark.parametrize(
    ("hr", "lr", "lr_name"),
    [
        ("DIV2K_train_HR", "DIV2K_train_LR_bicubic/X2", "0001x2.png"),
        ("HR", "LR_bicubic/X2", "0001x2.png"),
        ("HR", "LR_bicubic/X2", "0001.png"),
        ("HR", "LR_bicubic/x2", "0001.png"),
        ("HR", "LR_unknown/X2", "0001x2.png"),
        ("HR", "LR", "0001x2.png"),
        ("HR", "LR", "0001.png"),
        ("HR", "LR/2", "0001_LR.png"),
        ("HR", "LQ", "0001.png"),
        ("HR", "LR_x2", "0001.png"),
        ("GT", "LRbicx2", "0001.png"),
        ("hr", "lr/2x", "0001.png"),
        ("train_HR", "train_LR", "0001_x2.png"),
        ("DIV2K_train_HR", "DIV2K_train_LR_mild", "0001x2m.png"),
        ("train_HR", "train_LR_bicubic/X2", "0001.png"),
    ],
)
def test_open_source_folder_with_lr(tmp_path, hr, lr, lr_name):
    write_noise(tmp_path / hr / "0001.png")
    low = write_noise(tmp_path / lr / lr_name, 6, 5)
    for spec in (f"folder:{tmp_path}", f"folder:{tmp_path / hr}"):
        source = open_source(spec)
        np.testing.assert_array_equal(source.lr(0, 2), low)
        assert source.lr_origin(2) == str((tmp_path / hr).parent / lr)
        assert source.lr(0, 3) is None
        assert source.lr_origin(3) == "made by the exact bicubic"


@pytest.mark.parametrize("lr", ["train_LR_bicubic/X2_sub", "train_LR_sub/X2"])
def test_lr_of_crops_beside_whole_images(tmp_path, lr):
    """BasicSR's folders: those of whole images are of others."""
    write_noise(tmp_path / "train_HR_sub/0001_s001.png")
    low = write_noise(tmp_path / lr / "0001_s001.png", 6, 5)
    write_noise(tmp_path / "train_HR/0001.png", seed=2)
    whole = write_noise(tmp_path / "train_LR_bicubic/X2/0001.png", 6, 5, seed=1)
    for hr, expected in ("train_HR_sub", low), ("train_HR", whole):
        source = open_source(f"folder:{tmp_path}/{hr}")
        np.testing.assert_array_equal(source.lr(0, 2), expected)
        assert source.lr(0, 3) is None


@pytest.mark.parametrize(
    ("hr", "lr", "advice"),
    [
        ("target", "input", "target_LR"),
        ("HR", "x2", "LR"),
        ("HR", "HR/small", "LR"),
        ("HR/x2", "low/x2", "HR/x2_LR"),
    ],
)
def test_what_could_be_lr_is_not_passed_over_without_a_word(tmp_path, hr, lr, advice):
    for k in range(2):
        write_noise(tmp_path / hr / f"{k}.png")
        low = write_noise(tmp_path / lr / f"{k}x2.png", 6, 5)
        # Neither smaller pictures of other names nor equal ones of the same name.
        write_noise(tmp_path / "others" / f"a{k}.png", 6, 5)
        write_noise(tmp_path / "copies" / f"{k}.png")
    source = open_source(f"folder:{tmp_path / hr}")
    assert source.lr(0, 2) is None
    said = source.lr_origin(2)
    assert f"{tmp_path / lr} could hold some" in said
    assert said.endswith(f"call it {tmp_path / advice} if it does")
    assert source.lr_origin(3) == "made by the exact bicubic"
    (tmp_path / lr).rename(tmp_path / advice)
    source = open_source(f"folder:{tmp_path / hr}")
    np.testing.assert_array_equal(source.lr(1, 2), low)


def test_neighbours_that_cannot_be_opened_are_somebody_elses(tmp_path):
    write_noise(tmp_path / "photos/a.png")
    write_noise(tmp_path / "huge/a.png", 1, 1)
    content = bytearray((tmp_path / "huge/a.png").read_bytes())
    content[16:24] = struct.pack(">II", 20_000, 20_000)  # of the header, with its CRC
    content[29:33] = struct.pack(">I", zlib.crc32(content[12:29]))
    (tmp_path / "huge/a.png").write_bytes(content)
    source = open_source(f"folder:{tmp_path}/photos")
    assert source.lr_origin(2) == "made by the exact bicubic"


@pytest.mark.parametrize("lr", ["photos/LR", "photos_LR"])
def test_lr_of_a_plain_folder(tmp_path, lr):
    write_noise(tmp_path / "photos/a.png")
    low = write_noise(tmp_path / lr / "a.png", 6, 5)
    source = open_source(f"folder:{tmp_path}/photos")
    np.testing.assert_array_equal(source.lr(0, 2), low)
    assert source.lr(0, 3) is None


def test_lr_of_a_folder_whose_name_ends_in_two_letters_by_chance(tmp_path):
    write_noise(tmp_path / "Jahr/a.png")
    low = write_noise(tmp_path / "Jahr_LR/a.png", 6, 5)
    np.testing.assert_array_equal(open_source(f"folder:{tmp_path}/Jahr").lr(0, 2), low)


def test_lr_of_several_degradations(tmp_path):
    tmp_path /= "bicubic_and_others"  # which says nothing of what is in it
    write_noise(tmp_path / "HR/a.png")
    low = write_noise(tmp_path / "LR_bicubic/X2/a.png", 6, 5)
    write_noise(tmp_path / "LR_unknown/X2/a.png", 6, 5, seed=1)
    source = open_source(f"folder:{tmp_path}")
    np.testing.assert_array_equal(source.lr(0, 2), low)
    write_noise(tmp_path / "LR_mild/a.png", 4, 4)
    write_noise(tmp_path / "LR_wild/X3/a.png", 4, 4)
    with pytest.raises(InputError, match=r"several folders .* x3, .*mild and .*wild"):
        source.lr(0, 3)


@pytest.mark.parametrize("twice", ["a.bmp", "ax2.png", "a_LR.png"])
def test_two_lr_of_one_image(tmp_path, twice):
    write_noise(tmp_path / "HR/a.png")
    write_noise(tmp_path / "LR/X2/a.png", 6, 5)
    write_noise(tmp_path / f"LR/X2/{twice}", 6, 5)
    with pytest.raises(InputError, match=r"X2: both a.* and a.* are the LR image of a"):
        open_source(f"folder:{tmp_path}").lr(0, 2)


def test_images_smaller_than_the_scale(tmp_path, caplog):
    write_noise(tmp_path / "a.png", 40, 40)
    write_noise(tmp_path / "b.png", 1, 30)
    source = open_source(f"folder:{tmp_path}")
    with pytest.raises(InputError, match="image b is .*1.*, expected at least 2x2"):
        read_pair(source, 1, scale=2)
    options = {"channels": 3, "patch_size": 9, "threads": 1, "progress": False}
    with pytest.raises(InputError, match="image b is .*, smaller than a patch"):
        list(read_pairs(source, scale=2, skip_small=False, **options))
    pairs = read_pairs(source, scale=2, skip_small=True, **options)
    assert [index for index, _ in pairs] == [0]
    assert "left out 1 of 2 images" in caplog.text


def test_sub_folders_that_nobody_reads(tmp_path, caplog):
    for name in ("a.png", "LR/a.png", "more/b.png", "x/c.png", "notes/empty"):
        write_noise(tmp_path / name) if name.endswith("png") else (
            (tmp_path / name).mkdir(parents=True)
        )
    for _ in range(2):  # as a run does, at each evaluation
        assert names(open_source(f"folder:{tmp_path}")) == ["a"]
    (record,) = caplog.records
    assert record.getMessage() == (
        f"folder:{tmp_path}: images of its sub-folders are passed over: more, x"
    )


@pytest.mark.parametrize("kind", ["float", "16 bits", "gray", "alpha", "lr"])
def test_a_source_of_ones_own_gives_what_it_should(tmp_path, kind):
    """What is no uint8 [H, W, 1 or 3] would be trained on as black or as noise."""

    class Own(FolderSource):
        def hr(self, index):
            hr = super().hr(index)
            return {
                "float": hr / 255,
                "16 bits": hr.astype(np.uint16) * 257,
                "gray": hr[..., 0],
                "alpha": hr.repeat(2, axis=-1)[..., :4],
                "lr": hr,
            }[kind]

        def lr(self, index, scale):
            return super().hr(index)[::scale, ::scale] / 255

    write_noise(tmp_path / "a.png")
    source = Own("own", tmp_path)
    said = rf"own: expected {'LR' if kind == 'lr' else 'HR'} images of uint8 .* of a"
    with pytest.raises(InputError, match=said):
        read_pair(source, 0, scale=2)
    options = {"channels": 3, "patch_size": 4, "skip_small": False, "progress": False}
    with pytest.raises(InputError, match=said):
        list(read_pairs(source, scale=2, threads=1, **options))


def test_lr_of_names_with_dots_of_their_own(tmp_path):
    """One system writes an umlaut as one character, another as two."""
    write_noise(tmp_path / "HR" / "gr\u00fcn.png")
    write_noise(tmp_path / "LR" / "gru\u0308nx2.png", 6, 5)
    source = open_source(f"folder:{tmp_path}")
    lr = source.lr(0, 2)
    assert lr is not None and lr.shape == (6, 5, 3)


def test_lr_of_no_scale(tmp_path):
    write_noise(tmp_path / "HR/a.png")
    write_noise(tmp_path / "LR/a.png", 5, 9)
    source = open_source(f"folder:{tmp_path}")
    with pytest.raises(InputError, match="HR and LR of a do not pair at x2"):
        read_pair(source, 0, scale=2)


@pytest.mark.parametrize(
    "names",
    [
        ("a.png", "ax2.png"),
        ("a_HR.png", "a_LR.png"),
        ("b_HR.png", "b_LR2.png"),
        ("c.png", "c_lr.png"),
    ],
)
def test_lr_among_hr(tmp_path, names):
    for name in names:
        write_noise(tmp_path / name)
    with pytest.raises(InputError, match="looks like an LR image among HR images"):
        open_source(f"folder:{tmp_path}")


def test_open_source_folder_with_two_hr_folders(tmp_path):
    write_noise(tmp_path / "DIV2K_train_HR/0001.png")
    write_noise(tmp_path / "DIV2K_valid_HR/0801.png")
    with pytest.raises(InputError, match="say folder:.*train_HR or folder:.*valid_HR"):
        open_source(f"folder:{tmp_path}")
    assert names(open_source(f"folder:{tmp_path}/DIV2K_valid_HR")) == ["0801"]


def test_lr_missing(tmp_path):
    write_noise(tmp_path / "HR/0001.png")
    write_noise(tmp_path / "HR/0002.png")
    write_noise(tmp_path / "LR_bicubic/X2/0001x2.png")
    with pytest.raises(InputError, match=r"no LR image for 0002\.png.*0002x2\.png"):
        open_source(f"folder:{tmp_path}").lr(0, 2)


def test_lr_without_hr(tmp_path):
    write_noise(tmp_path / "HR/0001.png")
    write_noise(tmp_path / "LR_bicubic/X2/0001x2.png")
    write_noise(tmp_path / "LR_bicubic/X2/0002x2.png")
    with pytest.raises(InputError, match=r"0002x2\.png: no HR image"):
        open_source(f"folder:{tmp_path}").lr(0, 2)


def test_open_source_same_stem_twice(tmp_path):
    write_noise(tmp_path / "a.png")
    write_noise(tmp_path / "a.bmp")
    with pytest.raises(InputError, match=r"a\.bmp: another image .* same name"):
        open_source(f"folder:{tmp_path}")


@pytest.mark.parametrize("layout", ["train/T91", "T91"])
def test_open_source_by_name(tmp_path, layout, monkeypatch):
    write_noise(tmp_path / layout / "t1.png")
    assert names(open_source("t91", data_dir=tmp_path)) == ["t1"]
    monkeypatch.setenv("JAXSR_DATA_DIR", str(tmp_path))
    assert names(open_source("t91")) == ["t1"]


def test_open_source_absent(tmp_path, monkeypatch):
    expected = re.escape(f"expected its images in {tmp_path}/train/BSD200")
    with pytest.raises(InputError, match=f"{expected}.*looked in.*published at http"):
        open_source("bsd200", data_dir=tmp_path)
    monkeypatch.delenv("JAXSR_DATA_DIR", raising=False)
    with pytest.raises(InputError, match="set JAXSR_DATA_DIR"):
        open_source("bsd200")


@pytest.mark.parametrize("spec", ["bsd300", "", "t91+nothing", "sample+"])
def test_open_source_unknown(tmp_path, spec):
    write_noise(tmp_path / "T91/t1.png")
    with pytest.raises(InputError, match="unknown source.*div2k, t91, bsd200"):
        open_source(spec, data_dir=tmp_path)


def test_open_source_sum(tmp_path):
    first = write_noise(tmp_path / "T91/t1.png")
    write_noise(tmp_path / "a+b/HR/x.png", seed=1)
    low = write_noise(tmp_path / "a+b/LR_bicubic/X2/xx2.png", 6, 5)
    spec = f"t91+folder:{tmp_path}/a+b+t91"
    source = open_source(spec, data_dir=tmp_path)
    assert source.name == spec
    assert names(source) == ["t91/t1", f"folder:{tmp_path}/a+b/x", "t91/t1"]
    np.testing.assert_array_equal(source.hr(2), first)
    assert source.lr(0, 2) is None
    np.testing.assert_array_equal(source.lr(1, 2), low)
    with pytest.raises(IndexError):
        source.hr(3)


def test_open_source_part(tmp_path):
    images = [write_noise(tmp_path / f"T91/t{i}.png", seed=i) for i in range(4)]
    assert names(open_source("t91[:1]", data_dir=tmp_path)) == ["t0"]
    rest = open_source("t91[1:]+t91[0:2]", data_dir=tmp_path)
    assert names(rest) == [f"t91[1:4]/t{i}" for i in (1, 2, 3)] + [
        f"t91[0:2]/t{i}" for i in (0, 1)
    ]
    np.testing.assert_array_equal(rest.hr(0), images[1])
    assert rest.lr(0, 2) is None
    held_out = open_benchmark("t91[:1]", data_dir=tmp_path)
    assert names(held_out) == ["t0"]
    last = open_source("t91[-3:-1]", data_dir=tmp_path)
    assert last.name == "t91[1:3]" and names(last) == ["t1", "t2"]
    folder = open_source(f"folder:{tmp_path}/T91[3:]")
    np.testing.assert_array_equal(folder.hr(0), images[3])


def test_open_source_part_of_no_number():
    with pytest.raises(InputError, match=r"unknown source 't91\[-:\]'"):
        open_source("t91[-:]")


@pytest.mark.parametrize("part", ["t91[2:2]", "t91[:5]", "t91[7:]", "t91[-2:1]"])
def test_open_source_part_that_is_not_there(tmp_path, part):
    for i in range(4):
        write_noise(tmp_path / f"T91/t{i}.png")
    with pytest.raises(InputError, match=r"t91\[\d:\d\]: expected a part of the 4"):
        open_source(part, data_dir=tmp_path)


def test_open_source_sample_is_in_the_wheel():
    packed = {Path(file).name for file in importlib.metadata.files("scikit-image")}
    train, held_out = open_source("sample"), open_source("sample-eval")
    for source in (train, held_out):
        for index, name in enumerate(names(source)):
            assert {f"{name}.png", f"{name}.jpg"} & packed
            height, width, channels = source.hr(index).shape
            assert min(height, width) >= 300 and channels == 3
    assert names(held_out) == ["chelsea", "coffee"]
    assert not set(names(train)) & set(names(held_out))


def test_open_source_shared_sets(data_dir):
    counts = {"t91": 91, "bsd200": 200, "bsds500_test": 200, "t91+bsd200": 291}
    found = {spec: len(open_source(spec, data_dir=data_dir)) for spec in counts}
    assert found == counts


def test_import_data_without_tensorflow():
    code = (
        "import sys, jaxsr.data, jaxsr.data.div2k; "
        "loaded = {'tensorflow', 'tensorflow_datasets', 'skimage'} & set(sys.modules); "
        "assert not loaded, loaded"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
