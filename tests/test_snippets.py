"""What README and docs tell people to type: it runs as it stands there.

Each document's blocks of bash and Python run in its order, in a folder that looks like
a checkout with a few pictures and a trained network. What cannot run here says why in
a comment before the block, which readers do not see:

    <!-- not run: needs a TPU pod -->

Of that the words are checked: programs, files, flags, config keys, what is imported.
<!-- run with: --config.train.steps=1 --> adds words to each train.py of a block.
"""

import ast
import configparser
import contextlib
import importlib
import logging
import os
import re
import runpy
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
import textwrap
from dataclasses import dataclass
from pathlib import Path

import jaxtyping
import numpy as np
import pytest

import train
from jaxsr import cli
from jaxsr.imaging import read_image, write_image
from jaxsr.training import config as configuration
from jaxsr.training.config_input import load_config, override_all
from tools.publish import ROOT

DOCUMENTS = [
    ROOT / "README.md",
    ROOT / "CONTRIBUTING.md",
    *sorted((ROOT / "docs").glob("*.md")),
    # Model cards are all of one form, see jaxsr/weights/cards.py.
    ROOT / "docs" / "models" / "rcbam_lite_x2.md",
]
_BLOCK = re.compile(
    r"(?:^<!-- (?P<marker>not run|run with): (?P<words>[^>]+) -->\n)?"
    r"^(?P<indent> *)```(?P<language>\w*)\n(?P<code>.*?)^(?P=indent)```",
    re.DOTALL | re.MULTILINE,
)
_WRITE_DOWN = r"""
command_not_found_handle() { printf '%s\0' "$@" $'\n' >> "$WORDS"; }
cd() { :; }
"""
# Programs that are not ours, whose words are not checked.
_OTHERS = ["basedpyright", "cat", "docker", "gcloud", "git", "lint-imports", "mkdocs"]
_OTHERS += ["id", "pre-commit", "python3", "ruff"]


@dataclass
class Block:
    """A fenced block of a document, and what the comment before it says."""

    language: str
    code: str
    not_run: bool
    run_with: list[str]


def blocks_of(text: str) -> list[Block]:
    return [
        Block(
            match["language"],
            textwrap.dedent(match["code"]),
            match["marker"] == "not run",
            match["words"].split() if match["marker"] == "run with" else [],
        )
        for match in _BLOCK.finditer(text)
    ]


def commands_of(code: str) -> list[list[str]]:
    """Returns the words of each command of a block, as bash reads them.

    Bash finds no program, and writes down which it was asked for.
    """
    with tempfile.NamedTemporaryFile() as file, tempfile.TemporaryDirectory() as there:
        shell = ["/bin/bash", "-c", _WRITE_DOWN + code.replace("~/venv/bin/", "")]
        subprocess.run(
            shell,
            env=os.environ | {"PATH": "/nowhere", "WORDS": file.name},
            stdin=subprocess.DEVNULL,
            cwd=there,  # where what is redirected lands
            check=True,
            timeout=60,
        )
        words = file.read().decode().split("\0")[:-1]
    commands: list[list[str]] = [[]]
    for word in words:
        if word == "\n":
            commands.append([])
        elif "python " in word:  # such as --command='...' for another machine
            commands[-1:-1] = commands_of(word.partition("=")[2].strip("'"))
        else:
            commands[-1].append(word)
    return commands[:-1]


def check_command(words: list[str]) -> None:
    """Checks a command that is not run: programs, files, flags and keys exist."""
    program, words = words[0], words[1:]
    if program == "srun":
        return check_command(words[[w.startswith("-") for w in words].index(False) :])
    if program == "jaxsr":
        cli._parse(words)
    elif program == "python":
        check_python(words)
    elif program == "pip":
        check_pip(words)
    else:
        assert program in _OTHERS, f"unknown program {program}"


def check_python(words: list[str]) -> None:
    if words[0] == "-m":
        return check_command(words[1:]) if words[1] == "pip" else check_pytest(words)
    script, words = words[0], words[1:]
    if script == "train.py":
        options, others = train._parser().parse_known_args(words)
        config = load_config(options.config)
        override_all(config, others)
        configuration.check_config(config)
    elif script == "evaluate.py":
        cli._parse(["evaluate", *words])
    else:
        program = (ROOT / script).read_text(encoding="utf-8")
        flags = [word.partition("=")[0] for word in words if word.startswith("--")]
        flags = [flag.removeprefix("--") for flag in flags]
        assert not [f for f in flags if f not in program and "config." not in f]


def check_pytest(words: list[str]) -> None:
    assert words[1] == "pytest"
    assert not [w for w in words[2:] if w.startswith("tests") and not Path(w).exists()]


def check_pip(words: list[str]) -> None:
    setup = configparser.ConfigParser()
    setup.read(ROOT / "setup.cfg")
    for word in words:
        if match := re.fullmatch(r"(?:\.|jaxsr-superres)\[([\w,]+)\].*", word):
            for extra in match[1].split(","):
                assert extra in setup["options.extras_require"], f"no extra {extra}"


def check_imports(code: str) -> None:
    """Checks that code is Python, and that what it takes from jaxsr is there."""
    for node in ast.walk(ast.parse(code)):
        module = node.module if isinstance(node, ast.ImportFrom) else None
        if module and module.partition(".")[0] == "jaxsr":
            there = importlib.import_module(module)
            assert not [n.name for n in node.names if not hasattr(there, n.name)]


def run_bash(block: Block) -> None:
    """Runs a block; in this process what needs no shell, which spares seconds each."""
    lines = block.code.replace("\\\n", " ").splitlines(keepends=True)
    if re.search(r"^(for|export) ", block.code, re.MULTILINE):
        lines = [block.code]
    for line in lines:
        if re.search(r"[|;&<>]", re.sub(r"#.*", "", line)):
            shell = ["bash", "-euo", "pipefail", "-c", line]
            subprocess.run(shell, check=True, timeout=300)
            continue
        for words in commands_of(line):
            run_command(words, block.run_with)


def run_command(words: list[str], run_with: list[str]) -> None:
    program, *words = words
    if program == "jaxsr":
        assert not cli.main(words), f"jaxsr {shlex.join(words)}"
        return
    assert program == "python", f"{program}: expected jaxsr or python"
    script = words[0]
    extra = run_with if script == "train.py" else []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", [*words, *extra])
        with contextlib.suppress(SystemExit):
            names = runpy.run_path(script)
        assert not names["main"](), shlex.join(words)


@pytest.fixture(scope="module", autouse=True)
def _leave_the_process_as_it_was():
    """Programs set up logging and signals for the process that is theirs elsewhere."""
    loggers = [logging.getLogger(name) for name in (None, "absl", "jaxsr")]
    levels = [logger.level for logger in loggers]
    numbers = (signal.SIGINT, signal.SIGTERM)
    handlers = [signal.getsignal(number) for number in numbers]
    yield
    for logger, level in zip(loggers, levels, strict=True):
        logger.setLevel(level)
    for number, handler in zip(numbers, handlers, strict=True):
        signal.signal(number, handler)


@pytest.fixture(scope="module")
def checkout(tmp_path_factory) -> Path:
    """A folder as README's reader has it: the checkout, pictures, benchmark sets."""
    skimage = pytest.importorskip("skimage")
    folder = tmp_path_factory.mktemp("checkout")
    chelsea = read_image(Path(skimage.__file__).parent / "data" / "chelsea.png")
    photo = chelsea[96:144, 120:184]
    write_image(folder / "photo.jpg", photo)
    names = ("photos/a.png", "photos/trip/b.png", "folder/c.png", "other_photos/d.png")
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        write_image(folder / name, photo[:24, :32])
    # As many pictures as the sets have, and tiny: their numbers are not looked at.
    for name, count in (("Set5", 5), ("Set14", 14), ("BSD100", 100)):
        write_set(folder / "data" / "benchmarks" / name / "HR", photo, count)
    write_set(folder / "data" / "train" / "BSD200", photo, 3)
    write_set(folder / "data" / "train" / "T91", photo, 3)
    write_set(folder / "data" / "published" / "RCAN_Set5" / "X2", photo, 5)
    write_set(folder / "Set5" / "HR", photo, 5)
    (folder / "my_sr_images").mkdir()
    for file in (folder / "Set5" / "HR").iterdir():
        shutil.copy(file, folder / "my_sr_images")
    return folder


def write_set(folder: Path, photo: np.ndarray, count: int) -> None:
    folder.mkdir(parents=True)
    for index in range(count):
        part = np.roll(photo, 5 * index, axis=1)[:24, :24]
        write_image(folder / f"{index:03}.png", part)


@pytest.fixture
def reader(checkout, tmp_path, monkeypatch) -> Path:
    """A copy of `checkout`, where the test then is."""
    folder = tmp_path / "here"
    shutil.copytree(checkout, folder)
    for name in ("train.py", "evaluate.py", "configs", "tools", "benchmarks", "tests"):
        (folder / name).symlink_to(ROOT / name)
    # Readers' calls are not checked: that is slow, and fails on sizes that are unknown.
    monkeypatch.setattr(jaxtyping.config, "jaxtyping_disable", True)
    monkeypatch.chdir(folder)
    monkeypatch.setenv("JAXSR_DATA_DIR", str(folder / "data"))
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    monkeypatch.setenv("PATH", f"{Path(sys.executable).parent}:{os.environ['PATH']}")
    return folder


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda p: str(p.relative_to(ROOT)))
def test_commands_of_a_document_run_as_typed(path, reader):
    names: dict = {}
    for block in blocks_of(path.read_text(encoding="utf-8")):
        if block.language == "python":
            check_imports(block.code)
            if not block.not_run:
                exec(block.code, names)
        elif block.language == "bash":
            for command in commands_of(block.code):
                check_command(command)
            if not block.not_run:
                run_bash(block)


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda p: str(p.relative_to(ROOT)))
def test_every_command_of_a_document_is_in_a_block_of_bash(path):
    text = path.read_text(encoding="utf-8")
    outside = _BLOCK.sub(lambda m: "" if m["language"] == "bash" else m[0], text)
    assert not re.findall(
        r"^ *(?:python|jaxsr|pip) +[\w./-]+ .*-.*$", outside, re.MULTILINE
    )


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda p: str(p.relative_to(ROOT)))
def test_commands_within_sentences_exist(path, monkeypatch, capsys):
    monkeypatch.chdir(ROOT)
    prose = _BLOCK.sub("", path.read_text(encoding="utf-8"))
    for span in re.findall(r"`((?:jaxsr|python) [^`]+)`", prose):
        span = re.sub(r"=N\b", "=2", span.replace("\n", " "))
        for words in commands_of(span) if "..." not in span else []:
            try:
                check_command(words)
            except SystemExit:  # it names a command without all that it takes
                assert "are required" in capsys.readouterr().err, span


def test_commands_of_a_block_are_those_of_bash():
    code = """export A=1 B='2 # 3'   # it's a comment
srun --x=$A python train.py --config=c.py \\
  --workdir="$B" && cat < /dev/null | jaxsr upscale - > big.png
for i in 0 1; do JAX=1 python train.py --process_id=$i & done; wait
gcloud ssh --command='
  cd jaxsr &&
  python train.py --config=d.py --workdir=/x'
"""
    commands = commands_of(code)
    assert commands[0] == "srun --x=1 python train.py --config=c.py".split() + [
        "--workdir=2 # 3"
    ]
    others = sorted(" ".join(words) for words in commands[1:])
    assert others == [
        "cat",
        "gcloud ssh",
        "jaxsr upscale -",
        "python train.py --config=d.py --workdir=/x",
        "python train.py --process_id=0",
        "python train.py --process_id=1",
    ]
