"""What importing jaxsr costs and pulls in, each measured in a fresh process."""

import subprocess
import sys
from pathlib import Path

import pytest

import jaxsr

ROOT = Path(__file__).parents[1]


def run(*command: str) -> str:
    result = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert result.returncode == 0, result.stdout + result.stderr
    return result.stdout


def test_import_jaxsr_imports_no_part():
    code = "import sys, jaxsr; print({'jax', 'flax', 'numpy'} & sys.modules.keys())"
    assert run(sys.executable, "-c", code).strip() == "set()"
    assert "load" in dir(jaxsr) and callable(jaxsr.load)


def test_import_models_is_light():
    code = """
import sys, time
start = time.process_time()
import jaxsr.models
seconds = time.process_time() - start
heavy = {"tensorflow", "tensorflow_datasets", "orbax", "matplotlib", "PIL.ImageTk"}
print(seconds, sorted(heavy & sys.modules.keys()))
"""
    # Processor time: another process on the machine does not count. The first start
    # may have to compile bytecode, so the second one decides.
    for last in (False, True):
        seconds, heavy = run(sys.executable, "-c", code).split(maxsplit=1)
        assert heavy.strip() == "[]"
        if float(seconds) < 2.0:
            return
        assert not last, f"import jaxsr.models takes {seconds} s"


@pytest.mark.parametrize("command", ["upscale", "score", "models"])
def test_cli_imports_nothing_of_trainings(command, tmp_path, data_dir):
    set5 = data_dir / "benchmarks" / "Set5"
    arguments = {
        "upscale": [f"{set5}/LR_bicubic/X4", "-o", f"{tmp_path}/out", "--scale", "4"]
        + ["--model", "bicubic"],
        "score": [f"{set5}/HR", f"{set5}/HR", "--scale", "4"],
        "models": ["--scale", "7"],  # which few networks have: quick
    }[command]
    code = f"""
import sys
from jaxsr.cli import main
code = main({[command, *arguments]!r})
of_training = {{"tensorflow", "tensorboardX", "optax", "orbax", "ml_collections"}}
assert not of_training & sys.modules.keys(), of_training & sys.modules.keys()
sys.exit(code)
"""
    run(sys.executable, "-c", code)


@pytest.mark.parametrize("part", jaxsr._PARTS)
def test_import_part(part):
    # In this process: a part that cannot be imported fails here by name.
    assert getattr(jaxsr, part).__name__ == f"jaxsr.{part}"
    assert part in dir(jaxsr)


def test_import_unknown_part():
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        jaxsr.nothing  # noqa: B018


def test_import_order():
    linter = Path(sys.executable).with_name("lint-imports")
    assert "0 broken" in run(str(linter), "--no-cache")
