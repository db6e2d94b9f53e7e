"""Damaged folders of runs: the numbers that were saved, or refused in one line."""

import json
import logging
import shutil
from pathlib import Path

import jax
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from configs import espcn
from jaxsr.imaging import write_image
from jaxsr.training import digests, train
from jaxsr.training.checkpoint_contents import DamagedCheckpointError
from jaxsr.training.saved_run import load_run
from tests.fuzz.fuzzing import COUNTS, bounded, damage, damages, fuzzed


def _config(folder: Path, steps: int):
    config = espcn.get_config("x2")
    config.data.update(train=f"folder:{folder / 'photos'}", pipeline="device")
    config.data.update(patch_size=8, batch_size=8)
    config.train.update(steps=steps, log_every=1, checkpoint_every=1, eval_every=0)
    config.eval.benchmarks = ""
    return config


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A folder with photos and a run of three steps; the variables of each."""
    folder = tmp_path_factory.mktemp("whole")
    random = np.random.default_rng(0)
    for k in range(2):
        photo = random.integers(0, 256, (32, 40, 3), np.uint8)
        write_image(folder / f"photos/{k}.png", photo)
    train(_config(folder, 3), folder / "run")
    return folder, {n: _variables(folder / "run", n)[0] for n in (1, 2, 3)}


def _variables(workdir, step="last"):
    _, _, variables, at = load_run(workdir, step=step)
    return jax.tree.leaves(variables), at


def _files(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.is_file())


# Neither is used: one says by being there that all is, of the other a time is new.
_UNUSED = ("commit_success.txt", "_CHECKPOINT_METADATA")


@fuzzed(examples=500, share=0.1)
@given(data=st.data(), what=damages(most=2))
def test_damage_of_a_checkpoint_is_found(run, tmp_path, data, what):
    folder = run[0] / "run/checkpoints/3"
    path = data.draw(st.sampled_from(_files(folder)))
    content = path.read_bytes()
    damaged = damage(content, what)
    try:
        path.write_bytes(damaged)
        found = digests.find_damage(digests.epath.Path(folder))
    finally:
        path.write_bytes(content)
    harmless = damaged == content or path.name in _UNUSED
    if path.name == digests.DIGESTS and not found:
        harmless = json.loads(damaged) == json.loads(content)
    COUNTS[
        f"checkpoints, files: {'found' if found else 'nothing used is damaged'}"
    ] += 1
    assert found or harmless


@fuzzed(examples=12, share=0.1)
@given(data=st.data(), what=damages(), gone=st.booleans(), resume=st.booleans())
def test_damaged_run(run, tmp_path_factory, capfd, data, what, gone, resume):
    folder, saved = run
    work = tmp_path_factory.mktemp("damaged")
    shutil.copytree(folder / "run", work / "run")
    names = [path.relative_to(work) for path in _files(work / "run")]
    # Each file of the run itself as often as all of the checkpoints.
    top = [name for name in names if "checkpoints" not in name.parts]
    chosen = st.one_of(st.sampled_from(top), st.sampled_from(names))
    for name in data.draw(st.lists(chosen, min_size=1, max_size=2, unique=True)):
        path = work / name
        if gone:
            path.unlink()
        else:
            path.write_bytes(damage(path.read_bytes(), what))
    logging.getLogger("absl").setLevel(logging.CRITICAL)
    with bounded("runs, loaded", megabytes=1200):
        variables, at = _variables(work / "run")
        for ours, theirs in zip(variables, saved[at], strict=True):
            np.testing.assert_array_equal(ours, theirs)
    capfd.readouterr()
    if resume:
        with bounded("runs, gone on with", megabytes=1200):
            ended = train(_config(folder, 4), work / "run")
            assert int(ended.state.step) == 4
        said = capfd.readouterr().err
        assert "Traceback" not in said
    shutil.rmtree(work)


def test_damaged_checkpoint_asked_for_by_number(run, tmp_path):
    shutil.copytree(run[0] / "run", tmp_path / "run")
    largest = max(
        _files(tmp_path / "run/checkpoints/3"), key=lambda p: p.stat().st_size
    )
    largest.write_bytes(largest.read_bytes()[:-1])
    with pytest.raises(DamagedCheckpointError):
        load_run(tmp_path / "run", step=3)
