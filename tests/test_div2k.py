"""The DIV2K builder of tensorflow-datasets on archives of the real names and layout."""

import io
import json
import time
import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from jaxsr.data import check_source, open_source
from jaxsr.data.pairs import read_pair
from jaxsr.data.tf_pipeline import make_batches
from jaxsr.errors import InputError
from jaxsr.imaging import imresize

IMAGES = 5
SCALES = (2, 3, 4)


def photo(number: int) -> np.ndarray:
    rng = np.random.default_rng(number)
    return rng.integers(0, 256, (24 + 12 * number, 36, 3), dtype=np.uint8)


def write_archive(path: Path, files: dict[str, np.ndarray]) -> None:
    with zipfile.ZipFile(path, "w") as archive:
        for name, image in files.items():
            png = io.BytesIO()
            Image.fromarray(image).save(png, "png")
            archive.writestr(name, png.getvalue())


@pytest.fixture(scope="module")
def div2k_dir(tmp_path_factory) -> Path:
    """A data folder in which DIV2K's archives have already been downloaded."""
    import tensorflow_datasets as tfds
    from tensorflow_datasets.core.download.resource import get_dl_fname

    data_dir = tmp_path_factory.mktemp("data")
    root = data_dir / "tensorflow_datasets"
    downloads = root / "downloads" / "div2k"
    downloads.mkdir(parents=True)
    for scale in SCALES:
        builder = tfds.builder(f"div2k/bicubic_x{scale}", data_dir=root)
        for key, url in builder.builder_config.download_urls.items():
            # Finished downloads are known by a name made of the address and the
            # registered checksum, and by the .INFO file beside them.
            info = builder.url_infos[url]
            path = downloads / get_dl_fname(url, info.checksum)
            write_archive(path, _archived(key, scale))
            path.with_suffix(".zip.INFO").write_text(
                json.dumps(
                    {
                        "dataset_names": ["div2k"],
                        "original_fname": info.filename,
                        "url_info": info.asdict(),
                        "urls": [url],
                    }
                )
            )
    return data_dir


def _archived(key: str, scale: int) -> dict[str, np.ndarray]:
    """Returns what the archive of that name in tfds holds, by file name."""
    split = "train" if "train" in key else "valid"
    files = {}
    for number in range(1, IMAGES + 1):
        if "_hr_" in key:
            files[f"DIV2K_{split}_HR/{number:04d}.png"] = photo(number)
        else:
            name = f"DIV2K_{split}_LR_bicubic/X{scale}/{number:04d}x{scale}.png"
            files[name] = imresize(photo(number), 1 / scale)
    return files


@pytest.mark.parametrize("scale", SCALES)
def test_div2k_yields_the_archives_pairs(div2k_dir, scale):
    source = open_source("div2k", data_dir=div2k_dir).at_scale(scale)
    assert len(source) == IMAGES
    heights = set()
    for index in range(IMAGES):
        pair = read_pair(source, index, scale=scale)
        number = (pair.hr.shape[0] - 24) // 12
        np.testing.assert_array_equal(pair.hr, photo(number))
        np.testing.assert_array_equal(pair.lr, imresize(photo(number), 1 / scale))
        heights.add(number)
    assert heights == set(range(1, IMAGES + 1))


def test_div2k_trains_and_checks(div2k_dir):
    source = open_source("div2k", data_dir=div2k_dir)
    batches = make_batches(source, scale=2, patch_size=16, batch_size=4, seed=0)
    assert next(batches)["hr"].shape == (4, 32, 32, 3)
    report = check_source("div2k", data_dir=div2k_dir)
    assert report.ok and report.lr[0].images == IMAGES
    assert report.lr[0].exact_edge == "symmetric"


def test_div2k_other_scale_than_opened(div2k_dir):
    with pytest.raises(ValueError, match=r"opened at x2: call at_scale\(3\)"):
        open_source("div2k", data_dir=div2k_dir).lr(0, 3)


def test_div2k_unknown_scale():
    with pytest.raises(InputError, match="scale of 2, 3 or 4, got 8"):
        open_source("div2k").at_scale(8)


def test_div2k_prepared_in_another_format(div2k_dir, tmp_path):
    import tensorflow_datasets as tfds

    root = tmp_path / "tensorflow_datasets"
    builder = tfds.builder("div2k/bicubic_x2", data_dir=root, file_format="tfrecord")
    builder.download_and_prepare(
        download_dir=div2k_dir / "tensorflow_datasets" / "downloads"
    )
    with pytest.raises(InputError, match="expected array_record: remove that folder"):
        open_source("div2k", data_dir=tmp_path).hr(0)


def test_div2k_opens_at_the_scale_of_the_run(tmp_path, monkeypatch):
    opened = []

    def prepare(scale, data_dir):
        opened.append(scale)
        return [{"hr": photo(1), "lr": photo(0)}] * IMAGES

    monkeypatch.setattr("jaxsr.data.div2k._prepare", prepare)
    source = open_source("div2k[1:]", scale=3)
    assert len(source) == IMAGES - 1
    assert source.at_scale(3) is source
    assert open_source("t91+div2k[:2]", data_dir=_t91(tmp_path), scale=3).hr(1).any()
    assert set(opened) == {3}


# The way out is never found, or nobody answers there. (RFC 2606, RFC 5737)
@pytest.mark.parametrize("proxy", ["nowhere.invalid", "192.0.2.1"])
def test_div2k_offline_says_so_soon_and_once(tmp_path, monkeypatch, capfd, proxy):
    monkeypatch.setenv("https_proxy", f"http://{proxy}:9")
    monkeypatch.delenv("no_proxy", raising=False)
    (tmp_path / "tensorflow_datasets").mkdir()
    monkeypatch.setattr("jaxsr.data.div2k._SECONDS_TO_ANSWER", 2.0)
    start = time.monotonic()
    with pytest.raises(InputError, match=r"ethz\.ch .*downloads/manual.* folder:P"):
        len(open_source("div2k", data_dir=tmp_path))
    assert time.monotonic() - start < 10
    printed, said = capfd.readouterr()
    assert printed == ""
    assert (
        said.startswith("div2k/bicubic_x2: downloading 5.0 GB")
        and said.count("\n") == 1
    )


def _t91(folder: Path) -> Path:
    (folder / "T91").mkdir()
    Image.fromarray(photo(0)).save(folder / "T91/t1.png")
    return folder
