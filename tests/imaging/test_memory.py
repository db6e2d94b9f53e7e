"""How much memory reading a picture takes beside the picture."""

import subprocess
import sys

import numpy as np
import pytest

from jaxsr.imaging import write_image

_READ = """
import resource, sys
from jaxsr.imaging import read_image
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
pixels = read_image(sys.argv[1]).nbytes
print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / pixels)
"""


@pytest.mark.parametrize(
    ("suffix", "channels"), [(".png", 1), (".png", 3), (".jpg", 3), (".tif", 3)]
)
def test_reading_takes_the_decoders_pixels_and_the_pictures(tmp_path, suffix, channels):
    path = tmp_path / f"a{suffix}"
    # Easily compressed: the file itself is small, but as TIFF.
    write_image(path, np.full((6000, 16000 // channels, channels), 77, np.uint8))
    command = [sys.executable, "-c", _READ, str(path)]
    run = subprocess.run(command, capture_output=True, text=True, check=True)
    unit = 1 if sys.platform == "darwin" else 1024
    # Pillow stores four bytes for three channels.
    assert float(run.stdout) * unit < 2.7
