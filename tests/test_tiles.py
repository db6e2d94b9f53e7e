"""Tiles that shrink where memory does not suffice."""

import os
import subprocess
import sys
import threading
import tracemalloc
from functools import partial

import numpy as np
import pytest

from jaxsr.inference.pixels import join_rows
from jaxsr.inference.tiles import Tiles
from jaxsr.inference.tiling import enlarge_in_tiles

# The limit is real: so much address space beyond what the process has already.
_PROGRAM = """
import resource
import numpy as np
import jaxsr

upscale = jaxsr.load("rcbam_lite_x2", overlap=8)
photo = np.random.default_rng(0).integers(0, 256, (512, 512, 3), np.uint8)
upscale(photo[:64, :64])
pages = int(open("/proc/self/statm").read().split()[0])
limit = pages * resource.getpagesize() + 100 * 2**20
resource.setrlimit(resource.RLIMIT_AS, (limit, resource.RLIM_INFINITY))
sr = upscale(photo)
resource.setrlimit(resource.RLIMIT_AS, (resource.RLIM_INFINITY,) * 2)
height, width = upscale.tile_shape(512, 512)
assert height == width < 512
whole = jaxsr.load("rcbam_lite_x2", overlap=8, tile=height)
np.testing.assert_array_equal(sr, whole(photo))
"""


@pytest.mark.skipif(sys.platform != "linux", reason="RLIMIT_AS works on Linux")
def test_out_of_memory_goes_on_with_smaller_tiles():
    environment = os.environ | {"JAX_NUM_CPU_DEVICES": "1", "JAX_PLATFORMS": "cpu"}
    command = [sys.executable, "-c", _PROGRAM]
    run = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
    first, *_ = [line for line in run.stderr.splitlines() if "memory" in line]
    assert first == (
        "not enough memory for 512x512 pixels at once: going on with tiles of 256x256"
    )


@pytest.mark.parametrize(("tile", "tried"), [(0, [90]), (None, [90, 45, 32])])
def test_out_of_memory_at_last(tile, tried):
    # Whatever the tile: what a program that always lacks memory does.
    tiles, asked = Tiles(tile, overlap=16, scale=1), []

    def enlarge(part):
        asked.append(part[0].stop)
        raise RuntimeError("RESOURCE_EXHAUSTED: Out of memory allocating 9 bytes.")

    image = np.zeros((90, 90, 3), np.float32)
    with pytest.raises(RuntimeError, match="RESOURCE_EXHAUSTED"):
        tiles.run(image, enlarge, list)
    assert asked == tried


def test_other_errors_are_not_taken_for_memory():
    def enlarge(part):
        raise RuntimeError("INTERNAL: something else")

    image = np.zeros((90, 90, 3), np.float32)
    with pytest.raises(RuntimeError, match="INTERNAL"):
        Tiles(None, 16, 1).run(image, enlarge, list)


def test_one_row_of_tiles_is_in_memory():
    image = np.zeros((1024, 1024, 3), np.float32)
    out = np.empty((2048, 2048, 3), np.float32)

    def enlarge(part):
        rows, columns = part
        height, width = rows.stop - rows.start, columns.stop - columns.start
        return np.zeros((2 * height, 2 * width, 3), np.float32)

    tracemalloc.start()
    try:
        Tiles(128, overlap=16, scale=2).run(image, enlarge, partial(join_rows, out))
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 1.5 * out[:256].nbytes


def test_tiles_at_once_are_joined_in_order():
    image = np.random.default_rng(0).random((90, 70, 3), np.float32)
    together, told = threading.Barrier(3, timeout=60), []

    def enlarge(part):
        together.wait()  # goes on where three are in work
        return image[part].repeat(2, axis=0).repeat(2, axis=1)

    # 3 times 3 tiles.
    stretches = enlarge_in_tiles(
        image, (40, 32), 8, 2, enlarge, lambda *count: told.append(count), at_once=3
    )
    sr = np.concatenate([stretch.copy() for stretch in stretches])
    np.testing.assert_array_equal(sr, image.repeat(2, axis=0).repeat(2, axis=1))
    assert told == [(done, 9) for done in range(1, 10)]


def test_tiles_at_once_raise_in_order():
    def enlarge(part):
        raise RuntimeError(f"{part[1].start}")

    image = np.zeros((90, 70, 3), np.float32)
    with pytest.raises(RuntimeError, match="^0$"):
        list(enlarge_in_tiles(image, (40, 32), 8, 2, enlarge, at_once=3))
