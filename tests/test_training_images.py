"""A run goes on where its images have been moved to, and with no other ones."""

import logging
import shutil

import jax
import numpy as np
import pytest

from configs import srcnn
from jaxsr.errors import InputError
from jaxsr.imaging import write_image
from jaxsr.training import train
from jaxsr.training.saved_run import load_run


@pytest.fixture(scope="module")
def begun(tmp_path_factory):
    """A folder of photos with LR beside them, and a run of 2 steps on it."""
    folder = tmp_path_factory.mktemp("begun")
    random = np.random.default_rng(0)
    for name in ("HR", "LR"):
        (folder / "photos" / name).mkdir(parents=True)
    for k in range(3):
        hr = random.integers(0, 256, (32, 40, 3), np.uint8)
        write_image(folder / f"photos/HR/{k}.png", hr)
        write_image(folder / f"photos/LR/{k}.png", hr[::2, ::2])
    run(folder, folder / "photos", steps=2)
    return folder


def run(folder, photos, *, steps, source="folder:{}"):
    config = srcnn.get_config("x2")
    config.data.update(train=source.format(photos), pipeline="device")
    config.data.update(patch_size=8, batch_size=8)
    config.train.update(steps=steps, log_every=1, checkpoint_every=0, eval_every=0)
    config.eval.benchmarks = ""
    return train(config, folder / "run")


@pytest.fixture
def again(begun, tmp_path):
    """A copy of it, of which the photos lie elsewhere."""
    shutil.copytree(begun / "run", tmp_path / "run")
    shutil.copytree(begun / "photos", tmp_path / "moved")
    return tmp_path


def test_moved_images_go_on_like_unmoved_ones(again, begun):
    unmoved = again / "unmoved"
    shutil.copytree(begun / "run", unmoved / "run")
    run(unmoved, begun / "photos", steps=4)
    run(again, again / "moved", steps=4)
    assert load_run(again / "run")[3] == 4
    ours, theirs = (jax.tree.leaves(load_run(f / "run")[2]) for f in (again, unmoved))
    for one, other in zip(ours, theirs, strict=True):
        np.testing.assert_array_equal(one, other)
    run(again, begun / "photos", steps=5)  # and back


CHANGES = {
    "content": (
        lambda moved: write_image(moved / "HR/1.png", np.zeros((32, 40, 3), np.uint8)),
        r"HR/1\.png is another file than the run began with",
    ),
    "content of LR": (
        lambda moved: write_image(moved / "LR/2.png", np.zeros((16, 20, 3), np.uint8)),
        r"LR/2\.png is another file",
    ),
    "a byte": (
        lambda moved: (moved / "HR/1.png").write_bytes(
            (moved / "HR/1.png").read_bytes()[:-1] + b"\0"
        ),
        r"HR/1\.png is another file",
    ),
    "number": (
        lambda moved: [(moved / p / "2.png").unlink() for p in ("HR", "LR")],
        "there are 2, it began with 3",
    ),
    "name": (
        lambda moved: [
            (moved / p / "0.png").rename(moved / p / "00.png") for p in ("HR", "LR")
        ],
        r"image 0 is 00\.png and 00\.png, was 0\.png and 0\.png",
    ),
    "LR gone": (
        lambda moved: shutil.rmtree(moved / "LR"),
        r"image 0 is 0\.png, was 0\.png and 0\.png",
    ),
}


@pytest.mark.parametrize("name", CHANGES)
def test_other_images_are_refused(again, name):
    change, message = CHANGES[name]
    change(again / "moved")
    with pytest.raises(InputError, match=message) as caught:
        run(again, again / "moved", steps=4)
    assert "data.train='folder:" in str(caught.value)
    assert "\n" not in str(caught.value)
    assert load_run(again / "run")[3] == 2


def test_a_part_of_the_images_is_refused(again):
    with pytest.raises(InputError, match="there are 2, it began with 3"):
        run(again, again / "moved", steps=4, source="folder:{}[1:]")


def test_images_that_changed_in_their_place_are_said(again, begun, caplog):
    shutil.copytree(begun / "photos", again / "photos")
    run(again, again / "photos", steps=3)
    write_image(again / "photos/HR/1.png", np.zeros((32, 40, 3), np.uint8))
    logging.getLogger("jaxsr").propagate = True
    with caplog.at_level(logging.WARNING, logger="jaxsr"):
        run(again, again / "photos", steps=4)
    assert "has changed since the run began" in caplog.text


@pytest.mark.parametrize("content", [b"", b"\xff", b"{}", b"[[[1]]]", b"[" * 9999])
def test_damaged_record_knows_no_images(again, content):
    (again / "run/training_images.json").write_bytes(content)
    with pytest.raises(InputError, match=r"training_images\.json, .* is damaged"):
        run(again, again / "moved", steps=4)


def test_run_without_a_record_keeps_its_place(again):
    (again / "run/training_images.json").unlink()
    with pytest.raises(InputError, match=r"data\.train='folder:.*/photos'"):
        run(again, again / "moved", steps=4)
