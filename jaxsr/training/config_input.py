"""Configs from what people write: files, and keys on a command line."""

import ast
import contextlib
import math
import re
import runpy
import sys
import traceback
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ml_collections import ConfigDict

from jaxsr.errors import InputError, first_line
from jaxsr.training.config import KEYS, Config, fits, unknown_key

# What a locked ConfigDict says of a key that it has not, set or read.
_NO_KEY = re.compile(
    r"""Key "(?P<set>\w+)" does not exist and|^(?:"'|'\\')(?P<read>\w+)"""
)


def load_config(spec: str) -> Config:
    """Returns the config of "PATH" or "PATH:CHOICE", such as "configs/edsr.py:x4,cpu".

    The file's function `get_config` is given the choice, if there is one.

    Raises:
        InputError: no such file, nothing of that choice, or the file cannot be run.
    """
    path, _, choice = spec.partition(":")
    if not Path(path).is_file():
        raise InputError(f"{path}: no such config file")
    try:
        with _imports_of_its_project(path):
            get_config = runpy.run_path(path).get("get_config")
            if get_config is None:
                raise InputError("expected a function get_config, found none")
            config = get_config(*filter(None, [choice]))
        if not isinstance(config, ConfigDict):
            raise InputError(
                f"expected get_config to return a ConfigDict, got {config!r}"
            )
        return config
    except InputError as error:
        raise InputError(f"{spec}: {error}") from error
    except Exception as error:
        # A file is a program, and can be wrong in as many ways.
        frames = traceback.extract_tb(error.__traceback__)
        lines = [frame.lineno for frame in frames if frame.filename == path]
        line = f", line {lines[-1]}" if lines else ""
        message = first_line(error)
        if key := _NO_KEY.search(str(error)):
            message = unknown_key(key["set"] or key["read"])
        raise InputError(f"{path}{line}: {message}") from error


@contextlib.contextmanager
def _imports_of_its_project(path: str) -> Iterator[None]:
    """Lets a config import what lies beside it and one folder up, wherever it is read.

    As configs/rcbam_x2.py imports `configs.rcbam`, also for an installed jaxsr.
    """
    before = list(sys.path)
    folder = Path(path).resolve().parent
    sys.path += [str(folder), str(folder.parent)]
    try:
        yield
    finally:
        sys.path[:] = before


def override(config: Config, name: str, text: str) -> None:
    """Sets the key `name` ("train.steps") to what `text` says on a command line.

    Raises:
        InputError: there is no such key, or the text says nothing that it can be.
    """
    is_field = name.startswith("model.") and name.count(".") == 1
    if name not in KEYS and not is_field:
        raise InputError(unknown_key(name))
    kind = KEYS[name].kind if name in KEYS else None
    value = text if kind is str else _value(text)
    if name in KEYS:
        if text == "None" and KEYS[name].default is None:
            value = None
        if not fits(KEYS[name], value):
            raise InputError(f"{name}: expected {KEYS[name].expected}, got {text!r}")
    section, _, last = name.rpartition(".")
    held = config.get(section) if section else config
    if not isinstance(held, ConfigDict):
        raise InputError(f"{name}: expected a section {section} in the config")
    with config.ignore_type():
        held[last] = value


def override_all(config: Config, arguments: list[str]) -> None:
    """Sets what the words of a command line say, --config.KEY=VALUE each.

    --config.KEY VALUE is the same, and --config.KEY alone makes a flag true.

    Raises:
        InputError: as `override`; a word says something else.
    """
    rest = list(arguments)
    while rest:
        argument = rest.pop(0)
        flag, equals, text = argument.partition("=")
        key = flag.removeprefix("--config.")
        if key == flag:
            raise InputError(f"{argument}: no such option, see --help")
        if not equals:
            is_flag = key in KEYS and KEYS[key].kind is bool
            alone = is_flag and (not rest or rest[0].startswith("--"))
            text = "True" if alone else rest.pop(0) if rest else ""
        override(config, key, text)


def _value(text: str) -> Any:
    """Returns the number, flag, tuple or dict that a text is, else the text."""
    if text.lower() in ("true", "false"):
        return text.lower() == "true"
    try:
        return ast.literal_eval(text)
    except (ValueError, SyntaxError, MemoryError, RecursionError):
        return math.nan if text.lower() == "nan" else text
