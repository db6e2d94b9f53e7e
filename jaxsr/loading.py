"""The one door to a network with its weights: `load_weights(spec)`, `load(spec)`.

A spec is what a person has at hand:

    "rcbam_lite_x2"            published weights (`jaxsr models --weights` lists them)
    "bicubic_x3"               a network without parameters
    "runs/rcbam_x2"            the folder of a training run, its last checkpoint; a "/"
                               at the end tells it from a name ("rcbam_lite_x2/")
    "hf:owner/name"            a repository of the Hugging Face hub that jaxsr wrote,
                               or a folder of the same files ("my_network/")
    "edsr.safetensors"         a file that jaxsr wrote
    "EDSR_x2.pt"               another project's file (.pth, .pt, .npz, .mat,
                               .safetensors), whose family is recognised by its names
                               and shapes

What is published or has no parameters may also be said as network and scale.
"""

import math
import os
import re
from fractions import Fraction
from pathlib import Path
from typing import Any

import jax.numpy as jnp
import safetensors

from jaxsr import convert, models
from jaxsr.cpu import use_every_core
from jaxsr.errors import InputError, named
from jaxsr.inference import Cascade, Upscaler, pretrained
from jaxsr.inference.cascade import choose_stages, read_scale
from jaxsr.models.variables import abstract_variables
from jaxsr.weights import Weights, read_weights, zoo

_FOREIGN_SUFFIXES = (".pth", ".pt", ".ckpt", ".npz", ".mat", ".safetensors")


def load(
    spec: str | Path | Weights,
    *,
    scale: int | None = None,
    network: str | None = None,
    step: str | int = "last",
    family: str | None = None,
    dtype: Any = jnp.float32,
    tile: int | None = None,
    overlap: int = 32,
    self_ensemble: bool = False,
) -> Upscaler:
    """Returns a trained network, ready to enlarge pictures: uint8 [H, W, 3] to uint8.

    Where JAX has not started yet each core becomes a device (`use_every_core`).

    Args:
        spec: see the top of the module, or `Weights`.
        scale, network, step, family: see `load_weights`.
        dtype: compute type, float32 or bfloat16.
        tile, overlap, self_ensemble: see `jaxsr.inference.Upscaler`.

    Raises:
        InputError: as `load_weights`; the weights do not fit their network.
    """
    use_every_core()
    weights, called = spec, "given"
    if isinstance(weights, Weights):
        _check_expected("weights", weights, scale, network, step, family)
    else:
        weights = load_weights(
            weights, scale=scale, network=network, step=step, family=family
        )
        called = _called(str(spec), weights)
    with named(spec):
        model = weights.create(dtype=dtype)
    if not weights.parameters and model.channels == 1:
        model = model.clone(channels=3)  # interpolation: the same for any number
    return Upscaler(
        model,
        weights.variables,
        tile=tile,
        overlap=overlap,
        self_ensemble=self_ensemble,
        weights=called,
    )


def load_scaled(
    scale: float | Fraction | str,
    spec: str | Path | None = None,
    *,
    network: str | None = None,
    degradation: str = "bicubic",
    **settings: Any,
) -> Upscaler | Cascade:
    """Returns what enlarges by any scale above 1, with published networks.

    x3.5 is what x4 gives, made smaller by MATLAB's bicubic; x8 is x4, then x2; see
    `jaxsr.inference.Cascade`.

    Args:
        scale: the factor; 3.5, "3.5" or a fraction.
        spec: a published network's name, "bicubic", or what has a scale of its own (see
            the top of the module), which then is to be no smaller; None takes the best
            network at each scale.
        network: see `load_weights`.
        degradation: of the pictures, without a spec: "bicubic", or "photo", which takes
            networks that also undo blur and JPEG; after one the picture is clean.
        settings: see `load`.

    Raises:
        InputError: as `load`; a scale that cannot be.
    """
    factor = read_scale(scale)
    if spec is not None and degradation != "bicubic":
        raise InputError(f"degradation: expected no spec beside it, got {spec}")
    name = None if spec is None else str(spec)
    published = {
        entry["scale"]
        for entry in zoo.read_manifest()
        if name == zoo.name_of(entry)
        or (name is None and zoo.degradation_of(entry) == degradation)
    }
    if name == "bicubic":
        published = {math.ceil(factor)}
    if not published or factor in published | {1}:
        # One network, which has to be of this scale if that is a whole number.
        whole = int(factor) if factor.denominator == 1 else None
        given = best_published(int(factor), degradation) if spec is None else spec
        upscaler = load(given, scale=whole, network=network, **settings)
        return upscaler if upscaler.scale == factor else Cascade([upscaler], factor)
    stages = []
    for stage in choose_stages(factor, published):
        given = name or best_published(stage, degradation)
        stages.append(load(given, scale=stage, network=network, **settings))
        name, degradation = zoo.name_for_clean(name), "bicubic"
    return Cascade(stages, factor)


def load_weights(
    spec: str | Path,
    *,
    scale: int | None = None,
    network: str | None = None,
    step: str | int = "last",
    family: str | None = None,
) -> Weights:
    """Returns a network with its weights.

    Args:
        spec: see the top of the module.
        scale: the factor. What shows its own is compared with it; what serves any, a
            network's name or VDSR's weights, needs it.
        network: the network that is expected; None takes any.
        step: of a run: "last", "best" (see `jaxsr.training.saved_run.load_run`) or a
            number.
        family: of another project's file, if its names and shapes fit several; one of
            `jaxsr.convert.list_families()`.

    Raises:
        InputError: there is no such thing; it is damaged or cannot be fetched; it holds
            another network or scale than expected.
    """
    spec = os.path.expanduser(spec)
    weights = _open_named(spec, scale)
    if weights is None:
        weights = _open_path(spec, scale, step, family)
    _check_expected(spec.rstrip("/"), weights, scale, network, step, family)
    return weights


def _check_expected(
    spec: str,
    weights: Weights,
    scale: int | None,
    network: str | None,
    step: str | int,
    family: str | None,
) -> None:
    """Finds that weights are what was asked for, see `load_weights`."""
    if step != "last" and "run" not in weights.origin:
        raise InputError(f"{spec}: expected a run for step {step}, got mere weights")
    if family is not None and "family" not in weights.origin:
        raise InputError(
            f"{spec}: expected another project's file for family {family}, got "
            "weights of jaxsr"
        )
    expected = (
        weights.network if network is None else models.usual_name(network),
        weights.scale if scale is None else scale,
    )
    if expected != (weights.network, weights.scale):
        raise InputError(
            f"{spec}: expected weights of {expected[0]} x{expected[1]}, "
            f"got {weights.network} x{weights.scale}"
        )


def best_published(scale: int, degradation: str = "bicubic") -> str:
    """Returns the spec of the published weights with the highest PSNR at a scale.

    Args:
        degradation: of the pictures that they are for, "bicubic" or "photo".

    Raises:
        InputError: none are published for it.
    """
    best = zoo.best_entry(scale, zoo.read_manifest(), degradation)
    if best is None:
        models.create("bicubic", scale=scale)  # raises where it is no scale
        kind = "" if degradation == "bicubic" else f" for LR like {degradation}s"
        raise InputError(
            f"no network{kind} is published for x{scale}: name one "
            f"(bicubic_x{scale}), a run's folder or a weights file"
        )
    return zoo.full_name_of(best)


def _open_named(spec: str, scale: int | None) -> Weights | None:
    """Returns what a name stands for, None if it is none."""
    name, named = spec, scale
    if match := re.fullmatch(r"(\w+)_x(\d+)", spec):
        name, named = match[1], int(match[2])
    entries = zoo.read_manifest()
    known = {zoo.name_of(entry) for entry in entries}
    name = models.usual_name(name)
    if name not in known.union(models.list_models()):
        if scale is not None and name.isidentifier() and not Path(spec).exists():
            models.create(name, scale=scale)  # says which names there are
        return None
    if named is None:
        raise InputError(f"{spec}: which scale? e.g. {spec}_x2, or {spec} and scale 2")
    if scale not in (None, named):
        raise InputError(f"{spec}: expected x{scale}, got x{named}")
    if name not in known:
        model = models.create(name, scale=named)
        if not abstract_variables(model).get("params"):
            return Weights.of(model, {})
    path = zoo.weights_file(zoo.find_entry(name, named, entries))
    return read_weights(path)


def _open_path(
    spec: str, scale: int | None, step: str | int, family: str | None
) -> Weights:
    path = Path(spec)
    if spec.startswith(pretrained.HUB) or (path / pretrained.FILE).is_file():
        return pretrained.open_pretrained(spec)
    if path.is_dir() or spec.endswith("/") or "/" in spec and not path.suffix:
        return _open_run(spec.rstrip("/"), step)
    if not path.is_file():
        if path.suffix:
            raise InputError(f"{spec}: no such weights file")
        raise InputError(
            f"{spec}: expected published weights ({_published()}), bicubic_x2, the "
            "folder of a run or a weights file: there is none of this name"
        )
    suffix = path.suffix.lower()
    if suffix not in _FOREIGN_SUFFIXES:
        raise InputError(
            f"{spec}: expected a file of weights ({', '.join(_FOREIGN_SUFFIXES)})"
        )
    if suffix == ".safetensors" and family is None and not _is_foreign(path):
        return read_weights(path)
    return convert.convert([path], family, scale)


def _open_run(spec: str, step: str | int) -> Weights:
    # Here, because it takes a second to import what training needs.
    from jaxsr.training.saved_run import load_run

    config, model, variables, at = load_run(spec, step=step)
    about = {"run": spec, "config": config.name, "step": at}
    return Weights(config.model.name, models.fields_of(model), variables, about)


def _is_foreign(path: Path) -> bool:
    """Whether a safetensors file is readable and says nothing of a jaxsr network."""
    try:
        with safetensors.safe_open(path, framework="numpy") as file:
            return "network" not in (file.metadata() or {})
    except (safetensors.SafetensorError, OSError):
        return False  # read_weights says what is wrong


def _called(spec: str, weights: Weights) -> str:
    """Returns what a spec's weights are called, with the scale or step if it is not."""
    if "run" in weights.origin:
        return f"{spec.rstrip('/')} step {weights.origin['step']}"
    if not weights.parameters:
        return "none"
    says_scale = not spec.isidentifier() or re.search(r"_x\d+$", spec)
    return spec if says_scale else f"{spec}_x{weights.scale}"


def _published() -> str:
    return ", ".join(map(zoo.full_name_of, zoo.read_manifest()))
