"""docs/results.md holds what benchmarks/paper_tables.py makes, from true sources."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks.published import METHODS, published, published_psnr

_ROOT = Path(__file__).parents[1]


def test_results_page_is_up_to_date():
    script = _ROOT / "benchmarks" / "paper_tables.py"
    done = subprocess.run([sys.executable, script, "--check"])
    assert done.returncode == 0, "run: python benchmarks/paper_tables.py --write"


@pytest.mark.parametrize("scale", [2, 3, 4])
def test_published_has_every_cell(scale):
    rows = published(scale)
    assert list(rows) == list(METHODS)
    for cells in rows.values():
        assert len(cells) == 4
        assert all(re.fullmatch(r"\d\d\.\d\d / 0\.\d{3,4}|-", cell) for cell in cells)


def test_published_numbers_of_the_two_papers():
    # Tables 1 and 2 of the first paper, Table 2 of the second.
    assert published(2)["RCBAM, the paper"] == [
        "37.49 / 0.9623",
        "32.96 / 0.9207",
        "-",
        "-",
    ]
    assert published(4)["AMMS, the paper"] == [
        "31.95 / 0.8912",
        "28.43 / 0.7748",
        "27.49 / 0.7334",
        "25.78 / 0.7753",
    ]
    assert published_psnr(3)["EDSR"] == 34.65
    assert published_psnr(4)["EDSR-baseline"] == 32.09
