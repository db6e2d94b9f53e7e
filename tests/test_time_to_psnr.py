"""benchmarks/time_to_psnr.py: when a run passed published numbers, and its curve."""

import json
import subprocess
import sys
from pathlib import Path

from jaxsr.imaging import read_image

_SCRIPT = Path(__file__).parents[1] / "benchmarks" / "time_to_psnr.py"


def _run(workdir, *lines):
    workdir.mkdir()
    (workdir / "config.json").write_text(json.dumps({"model": {"scale": 2}}))
    text = "".join(json.dumps(line) + "\n" for line in lines)
    (workdir / "metrics.jsonl").write_text(text)
    picture = workdir / "curve.png"
    done = subprocess.run(
        [sys.executable, _SCRIPT, workdir, "-o", picture],
        capture_output=True,
        text=True,
    )
    return done, picture


def test_time_to_psnr_of_a_run(tmp_path):
    done, picture = _run(
        tmp_path / "mine",
        {"step": 1, "minutes": 0.5, "loss": 0.1},
        {"step": 2, "minutes": 2.0, "Set5/psnr": 36.65},
        {"step": 3, "minutes": 3.0, "loss": 0.1},
        {"step": 4, "minutes": 4.25, "Set5/psnr": 37.0},
    )
    lines = done.stdout.splitlines()
    assert "mine: 33.66 dB (bicubic) 2.0 min" in lines
    assert "mine: 36.66 dB (SRCNN) 4.2 min" in lines
    assert "mine: 37.49 dB (RCBAM, the paper) not reached" in lines
    assert lines[-1] == "mine: 37.00 dB at most, 4.2 min in all"
    assert read_image(picture).ndim == 3


def test_time_to_psnr_without_an_evaluation(tmp_path):
    done, picture = _run(tmp_path / "mine", {"step": 1, "minutes": 0.5, "loss": 0.1})
    assert done.returncode == 2 and not picture.exists()
    assert "no PSNR on Set5 in metrics.jsonl" in done.stderr
