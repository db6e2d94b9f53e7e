"""The programs in benchmarks/ run at tiny size, and what they compute is right."""

import json
import runpy
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

import jaxsr.cpu
from jaxsr.imaging import write_image

_BENCHMARKS = Path(__file__).parents[1] / "benchmarks"


@pytest.fixture
def load(monkeypatch):
    """Returns a function that imports a module of benchmarks/ anew."""
    monkeypatch.syspath_prepend(str(_BENCHMARKS))
    for path in _BENCHMARKS.glob("*.py"):
        monkeypatch.delitem(sys.modules, path.stem, raising=False)

    def load(name):
        __import__(name)
        monkeypatch.setitem(sys.modules, name, sys.modules[name])
        return sys.modules[name]

    return load


@pytest.fixture
def run(load, tmp_path, monkeypatch):
    """Returns a function that runs a program and returns the JSON that it writes."""
    # The allocator is the whole test run's.
    monkeypatch.setattr(jaxsr.cpu, "keep_freed_memory", lambda: False)

    def run(program, *arguments):
        """Runs a file, or the function `main` of a module that has been loaded."""
        path = tmp_path / "figures.json"
        monkeypatch.setattr(sys, "argv", [program, *arguments, f"--json={path}"])
        if program in sys.modules:
            assert not sys.modules[program].main()
        else:
            runpy.run_path(str(_BENCHMARKS / program), run_name="__main__")
        return json.loads(path.read_text())

    return run


def test_imresize_program(run):
    figures = run("imresize.py", "--width=24", "--height=16", "--repeats=1")
    assert len(figures["rows"]) == 12
    for row in figures["rows"]:
        # On floats the compiled one is compared, on bytes NumPy's.
        side = {"float32": "imresize_jnp", "uint8": "imresize"}[row["dtype"]]
        ratio = row["index_and_sum_ms"] / row[f"{side}_ms"]
        assert row["ratio"] == pytest.approx(ratio)
    assert figures["platform"] == "cpu"


def test_non_local_program(run):
    figures = run("non_local.py", "--large=0", "--sides", "8", "--repeats=1")
    (row,) = figures["maps"]
    assert row["matrix_bytes"] == 4 * 8**4
    for times in (row["forward"], row["backward"]):
        ratio = times["plain_seconds"] / times["blocked_seconds"]
        assert times["ratio"] == pytest.approx(ratio)


@pytest.fixture
def tiny(load, monkeypatch):
    fields = {"features": 4, "depth": 1}
    monkeypatch.setattr(load("networks"), "network_fields", lambda name: fields)


def test_input_program(run, tiny):
    sizes = ["--patch_sizes", "8", "--batch_size=8"]
    figures = run("input.py", "--source=sample", *sizes, "--seconds=0.1", "--rounds=1")
    (row,) = figures["rows"]
    taken = 8 / row["step_ms"] * 1000
    assert row["tfdata_ratio"] == pytest.approx(
        row["tfdata"]["patches_per_second"] / taken
    )
    ratio = row["device_step_ms"] / row["step_ms"]
    assert row["device_ratio"] == pytest.approx(ratio)


_TINY = ["--sizes", "24", "--seconds=0.01", "--rounds=1", "--peak_tflops=1"]


_NO_TORCH = "torch is not installed: left out (pip install torch)\n"


@pytest.fixture
def no_torch(monkeypatch):
    monkeypatch.setitem(sys.modules, "torch", None)


def test_forward_program(run, tiny, no_torch, capsys):
    beside = ["--beside", "torch eager", "torch compile", "onnxruntime"]
    (row,) = run("forward.py", "--networks=fsrcnn", *_TINY, *beside)["rows"]
    sides = row["sides"]
    assert list(sides) == ["jaxsr", "onnxruntime"]
    assert row["differences"]["onnxruntime"] < 1e-5
    times = [sides[name]["ms"] for name in ("onnxruntime", "jaxsr")]
    assert sides["onnxruntime"]["ratio"] == pytest.approx(times[0] / times[1])
    assert sides["jaxsr"]["ratio"] == 1
    out = capsys.readouterr().out
    assert out.count(_NO_TORCH) == 1
    assert "\n| fsrcnn | 24x24 | " in out


def test_forward_program_beside_torch(run, tiny):
    pytest.importorskip("torch")
    words = ["--networks", "rcbam", "rcbam_lite", "--beside=torch eager"]
    for row in run("forward.py", *words, *_TINY)["rows"]:
        assert list(row["sides"]) == ["jaxsr", "torch eager"]
        assert row["differences"]["torch eager"] < 1e-4


def test_outputs_of_two_sides_are_compared_but_for_the_edge(load):
    find_difference = load("forward").find_difference
    expected = np.zeros((8, 8, 1))
    expected[4, 4] = -2
    other = expected.copy()
    other[1, 4] = 1
    assert find_difference(other, expected, edge=0) == 0.5  # of the largest value
    assert find_difference(other, expected, edge=2) == 0
    assert find_difference(expected[:-1], expected, edge=2) == np.inf


def test_forward_program_fails_where_outputs_differ(run, tiny, monkeypatch, capsys):
    with pytest.raises(SystemExit, match="1"):
        words = ["--networks=fsrcnn", "--beside=onnxruntime", "--tolerance=0"]
        run("forward.py", *words, *_TINY)
    printed = capsys.readouterr()
    assert "error: fsrcnn 24x24: onnxruntime: " in printed.err
    assert "| fsrcnn | 24x24 |" in printed.out


@pytest.mark.parametrize(
    "program", ["forward.py", "train_step.py", "start_up.py", "evaluation.py"]
)
def test_programs_say_what_they_take_without_torch(run, no_torch, capsys, program):
    with pytest.raises(SystemExit, match="0"):
        run(program, "--help")
    assert f"usage: {program}" in capsys.readouterr().out


def test_train_step_program_without_torch(run, tiny, no_torch, capsys):
    figures = run("train_step.py", "--networks=rcbam", "--sizes=8x8", *_TINY[-2:])
    assert [list(row["sides"]) for row in figures["rows"]] == [["jaxsr"]]
    assert capsys.readouterr().out.count(_NO_TORCH) == 1


def test_cell_that_takes_too_long_is_left_out(run, tiny, capsys):
    words = ["--networks=rcbam", "--beside", "--longest=1e-9"]
    (row,) = run("forward.py", *words, *_TINY)["rows"]
    assert row["sides"] == {}
    assert "(--longest)" in row["left_out"]["all sides"]


def test_sides_take_turns_for_their_time(load):
    calls = []
    sides = {"slow": lambda: time.sleep(0.02), "fast": lambda: calls.append(0)}
    medians = load("measuring").take_turns(sides, seconds=0.06, rounds=2)
    assert medians["slow"] >= 0.02 > medians["fast"]
    assert len(calls) > 100


def test_start_up_program(run, load, no_torch, monkeypatch):
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    monkeypatch.setattr(load("start_up"), "_MODEL", "bicubic_x2")  # compiles in no time
    figures = run("start_up", "--size=24", "--rounds=1")
    assert list(figures["sides"]) == ["jaxsr, nothing compiled", "jaxsr"]
    for side in figures["sides"].values():
        assert 0 < side["wall"] and 0 < side["processor"]
    assert 0 < figures["import_seconds"]


def test_evaluation_program(run, load, no_torch, tmp_path, monkeypatch):
    monkeypatch.setattr(load("evaluation"), "_MODEL", "bicubic_x2")
    photos = tmp_path / "mine"
    photos.mkdir()
    pixels = np.random.default_rng(0).integers(0, 256, (40, 48, 3), np.uint8)
    write_image(photos / "photo.png", pixels)
    figures = run("evaluation", f"--benchmark=folder:{photos}", "--rounds=1")
    assert figures["images"] == 1
    names = ["evaluate.py", "second call"]
    names = [f"{name}{kind}" for name in names for kind in ("", ", one device")]
    assert list(figures["sides"]) == names
    (psnr,) = {round(side["psnr"], 3) for side in figures["sides"].values()}
    assert 5 < psnr < 30
    times = [figures["sides"][name]["wall"] for name in names[2:]]
    ratio = figures["ratios"]["second call: every core to one device"]
    assert ratio == pytest.approx(times[1] / times[0])


@pytest.mark.parametrize("accelerated", [False, True])
def test_train_step_program(run, load, tiny, monkeypatch, accelerated):
    pytest.importorskip("torch")
    # What it does on accelerators: bfloat16, batches cut on the device, 16 steps.
    monkeypatch.setattr(load("measuring"), "on_accelerator", lambda: accelerated)
    figures = run(
        "train_step.py",
        "--networks=rcbam",
        "--sizes=8x8",
        "--torch=eager",
        "--rounds=1",
        "--peak_tflops=1",
    )
    (row,) = figures["rows"]
    assert row["dtype"] == ("bfloat16" if accelerated else "float32")
    flops = row["flops_per_step"]
    for side in row["sides"].values():
        seconds = side["ms"] / 1000
        assert side["utilisation"] == pytest.approx(flops / seconds / 1e12)


def test_idle_share_is_what_no_stream_covers(load):
    def line(name, *spans):
        events = [SimpleNamespace(start_ns=a, duration_ns=b - a) for a, b in spans]
        return SimpleNamespace(name=name, events=events)

    host = SimpleNamespace(name="/host:CPU", lines=[line("XLA Ops", (0, 500))])
    device = SimpleNamespace(
        name="/device:GPU:0",
        lines=[
            line("Stream #13(Compute)", (100, 140), (130, 150), (180, 200)),
            line("Stream #14(MemcpyH2D)", (145, 160)),
            line("Steps", (100, 200)),  # groups operations
        ],
    )
    idle_share = load("measuring").idle_share
    assert idle_share([host, device]) == pytest.approx(0.2)
    assert idle_share([host]) is None


def test_cost_growth_program(run, load):
    sizes = ["--batch=1", "--patch=4", "--features=2", "--depth=1"]
    vary = ["--vary", "depth", "--doublings=1", "--rounds=1"]
    (row,) = run("cost_growth.py", *sizes, *vary)["growth"]
    assert (row["size"], row["values"]) == ("depth", [1, 2])
    fit = load("cost_growth").fit_exponent
    assert fit([1, 2, 4], [3.0, 12.0, 48.0]) == pytest.approx(2.0)


def test_cost_growth_program_compares_devices(run):
    sizes = ["--patch=4", "--features=2", "--depth=1"]
    distances = run("cost_growth.py", "--devices", *sizes)["distances"]
    assert list(distances) == ["1", "2", "4", "8"]
    assert distances["1"] == 0 < distances["8"]


def test_scaling_model(load):
    model = load("scaling_model")
    net = model.Interconnect(group=4, inside=10.0, between=2.0, latency=0.0)
    # Of 40 bytes each of 4 chips sends 3/4 twice, 10 bytes per second.
    assert model.all_reduce_seconds(4, 40.0, net) == pytest.approx(2 * 30 / 10)
    # The quarter that each then holds goes around two groups in halves.
    assert model.all_reduce_seconds(8, 40.0, net) == pytest.approx(6 + 2 * 5 / 2)
    assert model.all_reduce_seconds(1, 40.0, net) == 0
    row = model.predict(4, step=6.0, parameters=10, net=net)
    assert row["weak_efficiency"] == pytest.approx(0.5)
    assert row["weak_speedup"] == pytest.approx(2)
    assert row["strong_speedup"] == pytest.approx(6 / (6 / 4 + 6))
