"""Every key that a config has: its default and what it may be.

A section's keys are the arguments of the function named beside it, which documents
them. `config.model` holds the fields of a network, which `jaxsr.models.create` checks.
"""

import dataclasses
import difflib
import math
import re
from collections.abc import Callable
from typing import Any

from flax.traverse_util import unflatten_dict
from ml_collections import ConfigDict, FieldReference

from jaxsr.errors import InputError, did_you_mean

# A ConfigDict, whose keys type checkers cannot know.
Config = Any


@dataclasses.dataclass(frozen=True)
class Key:
    """A key's default and what it may be.

    Attributes:
        default: if it is None, the key may be None.
        kind: the type of other values; a float may be a whole number.
        expected: what it may be, in words that follow "expected".
        fits: whether a value of that type is such.
    """

    default: Any
    kind: type
    expected: str
    fits: Callable[[Any], bool]


def _whole(default: int, *, least: int = 0, bits: int = 31) -> Key:
    return Key(
        default,
        int,
        f"a whole number of at least {least}, below 2**{bits}",
        lambda v: least <= v < 2**bits,
    )


def _above(low: float, default: float | None, *, most: float = math.inf) -> Key:
    words = "" if most == math.inf else f" and at most {most:g}"
    return Key(
        default,
        float,
        f"a number above {low:g}{words}",
        lambda v: low < v <= most and v < math.inf,
    )


def _at_least(low: float, default: float, *, below: float = math.inf) -> Key:
    words = "" if below == math.inf else f" and below {below:g}"
    return Key(
        default,
        float,
        f"a number of at least {low:g}{words}",
        lambda v: low <= v < below,
    )


def _flag(default: bool) -> Key:
    return Key(default, bool, "True or False", lambda v: True)


def _one_of(*choices: str) -> Key:
    """The first is the default."""
    return Key(choices[0], str, f"one of {', '.join(choices)}", lambda v: v in choices)


def _text(default: str | None, expected: str = "a text", pattern: str = ".+") -> Key:
    fits = re.compile(pattern).fullmatch
    return Key(default, str, expected, lambda v: bool(fits(v)))


def _is_pattern(text: Any) -> bool:
    try:
        re.compile(text)
    except (re.error, TypeError):
        return False
    return True


def _are_rates(rates: dict[str, Any]) -> bool:
    return all(
        _is_pattern(pattern)
        and "." not in pattern  # ConfigDict takes no such name
        and _is_number(rate)
        and 0 <= rate < math.inf
        for pattern, rate in rates.items()
    )


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


# Of one batch of HR patches: more is a slip, and would be computed for hours.
_BYTES_OF_A_PIXEL, _MOST_GIGABYTES = 3 * 4, 100

# A folder's name may have a "+" of its own.
_SOURCES = r"folder:.+|[^+]+(\+[^+]+)*(\+folder:.+)?"

KEYS: dict[str, Key] = {
    # The run's default folder is runs/<name>.
    "name": _text("", "a name without / and \\", r"(?!\.+$)[^/\\\0]*"),
    # Decides the parameters' start and every batch.
    "seed": _whole(0, bits=32),
    # The network: arguments of jaxsr.models.create, so all of its fields.
    "model.name": _text("", "the name of a network, see jaxsr.models.list_models"),
    "model.scale": _whole(2, least=1, bits=8),
    # Source of training images, see jaxsr.data.open_source: "div2k", "t91+bsd200",
    # "folder:PATH", "sample".
    "data.train": _text("div2k", "sources, several joined by one +", _SOURCES),
    # Folder of data sets; None is the environment variable JAXSR_DATA_DIR.
    "data.data_dir": _text(None, "a folder"),
    # What LR images are: the source's own, else MATLAB's bicubic of the HR; or those of
    # jaxsr.data.photo, blurred, noisy and compressed anew in each step.
    "data.degradation": _one_of("bicubic", "photo"),
    # Batches: arguments of jaxsr.training.pipelines.open_pipeline.
    # "tfdata" cuts patches on the host; "device" on the accelerator, and needs no
    # TensorFlow; "auto" takes the accelerator if there is one and all images fit.
    "data.pipeline": _one_of("auto", "device", "tfdata"),
    "data.patch_size": _whole(48, least=1, bits=16),  # of the LR, in pixels
    "data.batch_size": _whole(16, least=1, bits=20),  # of all devices together
    "data.augment": _flag(True),  # flips and quarter turns
    "data.skip_small": _flag(False),  # images smaller than a patch are left out
    "data.memory_limit_gb": _above(0, None),  # None: half of the memory
    # Schedule and optimiser: arguments of jaxsr.training.schedule.create_schedule ...
    "schedule.learning_rate": _above(0, 1e-4),
    "schedule.schedule": _one_of("halving", "constant", "cosine", "wsd"),
    "schedule.halve_every": _whole(200_000, least=1),
    "schedule.decay_factor": _above(0, 0.5, most=1),
    "schedule.final_learning_rate": _at_least(0, 0.0),  # not above learning_rate
    "schedule.warmup_steps": _whole(0),
    "schedule.decay_steps": _whole(0),  # the last so many of train.steps, for "wsd"
    # ... and of jaxsr.training.optimizer.create_optimizer.
    "optimizer.name": _text(
        "adam", "adam, muon, sgd or package.module:function", "adam|muon|sgd|.+:.+"
    ),
    "optimizer.b1": _at_least(0, 0.9, below=1),
    "optimizer.b2": _at_least(0, 0.999, below=1),
    "optimizer.eps": _above(0, 1e-8),
    "optimizer.momentum": _at_least(0, 0.9, below=1),
    "optimizer.weight_decay": _at_least(0, 0.0),
    "optimizer.clip_norm": _at_least(0, 0.0),
    "optimizer.clip_update": _at_least(0, 0.0),
    "optimizer.layer_rates": Key(
        {},
        dict,
        r"regular expressions without a dot ([\w/]* for any name) and factors of at "
        "least 0",
        _are_rates,
    ),
    "optimizer.muon_layers": Key(
        r".*conv\d+/kernel|body_end/kernel", str, "a regular expression", _is_pattern
    ),
    "optimizer.muon_scale": _above(0, 2.0),
    # Weights to start from: a .safetensors file, the folder of another run or published
    # weights ("rcbam_lite_x2"). What has the same name and shape is taken; the rest
    # (the tail at another scale) is new.
    "train.init_from": _text(None, "a weights file, a run or published weights"),
    "train.loss": _text("l1", "the name of a loss"),  # jaxsr.training.losses.get_loss
    "train.supervision_weight": _at_least(0, 1.0),  # of intermediate predictions
    # Of the average of the parameters that is used and scored; 0: none is kept.
    "train.ema_decay": _at_least(0, 0.999, below=1),
    "train.dtype": _one_of("float32", "bfloat16"),  # of the computation
    # Memory for time: "blocks" keeps only each block's input for the gradient and
    # computes the rest again. Compile time: "accelerator" compiles a chain of blocks as
    # a loop, but not on CPU; "always" there too, where it runs 20 times slower.
    "train.remat": _one_of("none", "blocks"),
    "train.roll_blocks": _one_of("never", "accelerator", "always"),
    # When what happens: arguments of jaxsr.training.cadence.Cadence.
    "train.steps": _whole(1_000_000, least=1),
    "train.max_minutes": _above(0, None),  # None: no limit
    "train.log_every": _whole(100),
    "train.eval_every": _whole(5_000),
    "train.checkpoint_every": _whole(1_000),
    # Steps that the device gets at a time; 0: chosen, several on accelerators with
    # data.pipeline "device", else one.
    "train.steps_per_dispatch": _whole(0),
    "train.profile": _flag(False),  # trace some steps, see jaxsr.training.profile
    # A project of Weights & Biases; empty: none. See jaxsr.training.wandb_log.
    "train.wandb": _text(
        "", "a name without /\\#?%: of at most 128 letters", r"[^/\\#?%:]{0,128}"
    ),
    "train.keep_checkpoints": _whole(3, least=1),  # newest, beside the best
    # A run that is there already may go on with another schedule and optimiser, see
    # docs/training.md: after numbers that are not finite, from the last good step.
    "train.change_recipe": _flag(False),
    # Evaluation during training and at its end: jaxsr.scoring.evaluate.
    "eval.benchmarks": _text("Set5,Set14", "benchmark sets joined by commas", ".*"),
    "eval.protocol": _text("rgb", "the name of a protocol"),
    "eval.self_ensemble": _flag(False),
}


def default_config() -> Config:
    """Returns the defaults; `model.name` and `model.scale` are for the config to set.

    Its sections are locked: to set a key that nothing reads is an error, but for
    `model`, whose further keys are fields of the network.
    """
    defaults = {
        # A reference knows the type of what may be None.
        name: FieldReference(None, field_type=key.kind)
        if key.default is None
        else key.default
        for name, key in KEYS.items()
    }
    config: Config = ConfigDict(unflatten_dict(defaults, sep="."))
    config.lock()
    config.model.unlock()
    config.optimizer.layer_rates.unlock()
    return config


def check_config(config: Config) -> None:
    """Finds whatever is wrong with a config's keys and values, but for the network's.

    Raises:
        InputError: an unknown or a missing key, or a value that it cannot have; the
            message names the key, what is expected and what came.
    """
    found = _flat(config.to_dict())
    for name in found:
        if name not in KEYS and not name.startswith("model."):
            raise InputError(unknown_key(name))
    for name, key in KEYS.items():
        if name not in found:
            raise InputError(f"{name}: expected {key.expected}, found no such key")
        value = found[name]
        if not fits(key, value):
            or_none = " or None" if key.default is None else ""
            raise InputError(f"{name}: expected {key.expected}{or_none}, got {value!r}")
    if found["schedule.final_learning_rate"] > found["schedule.learning_rate"]:
        raise InputError(
            "schedule.final_learning_rate: expected at most schedule.learning_rate="
            f"{found['schedule.learning_rate']}, got "
            f"{found['schedule.final_learning_rate']}"
        )
    patch, batch = found["data.patch_size"], found["data.batch_size"]
    gigabytes = batch * (patch * found["model.scale"]) ** 2 * _BYTES_OF_A_PIXEL / 1e9
    if gigabytes > _MOST_GIGABYTES:
        raise InputError(
            f"data.batch_size: {batch} HR patches for data.patch_size={patch} take "
            f"{gigabytes:.0f} GB, expected at most {_MOST_GIGABYTES}"
        )
    if found["schedule.decay_steps"] > found["train.steps"]:
        raise InputError(
            "schedule.decay_steps: expected at most train.steps="
            f"{found['train.steps']}, got {found['schedule.decay_steps']}"
        )


def with_defaults(values: dict[str, Any]) -> dict[str, Any]:
    """Returns the nested `values` of an older config with the keys that came since."""
    defaults = {name: key.default for name, key in KEYS.items()}
    return unflatten_dict(defaults | _flat(values), sep=".")


def fits(key: Key, value: Any) -> bool:
    """Returns whether a key can have a value."""
    if value is None:
        return key.default is None
    if key.kind is float:
        return _is_number(value) and key.fits(value)
    if isinstance(value, bool) and key.kind is not bool:
        return False
    return isinstance(value, key.kind) and key.fits(value)


def _flat(config: dict[str, Any]) -> dict[str, Any]:
    """Returns the keys with a dot between sections; `layer_rates` is one value."""

    found: dict[str, Any] = {}
    for section, value in config.items():
        if isinstance(value, dict):
            found |= {f"{section}.{key}": inner for key, inner in value.items()}
        else:
            found[section] = value
    return found


def unknown_key(name: str) -> str:
    """Returns what to say of a key that there is not."""
    if inside := [key for key in KEYS if key.startswith(f"{name}.")]:
        return f"{name}: no key but a section, expected {name}.KEY, as {inside[0]}"
    # The last word decides, what stands before it among several with that one.
    last = {key: key.rpartition(".")[2] for key in [*KEYS, *default_config()]}
    close = difflib.get_close_matches(name.rpartition(".")[2], last.values(), n=1)
    keys = [key for key in last if last[key] in close]
    return f"{name}: no such key{did_you_mean(name, keys, least=0)}"
