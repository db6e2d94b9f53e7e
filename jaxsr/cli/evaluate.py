"""`jaxsr evaluate`, which evaluate.py is too: a network on benchmark sets."""

import argparse
import json
import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jaxsr.errors import InputError

if TYPE_CHECKING:
    from jaxsr.weights import Weights

DESCRIPTION = """\
Measures a network on benchmark sets: PSNR and SSIM, as the field's table. Which
network: anything that jaxsr.load takes (--model rcbam_lite_x2, a run's folder, a file),
or a training run by its config."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds what `run` takes."""
    network = parser.add_argument_group("which network")
    network.add_argument(
        "--model",
        metavar="SPEC",
        help="published weights (rcbam_lite_x2), bicubic_x2, a run's folder or a file; "
        "or a network's name beside --scale",
    )
    network.add_argument("--scale", type=int, help="runs and weights know their own")
    network.add_argument("--weights", metavar="FILE", help="as --model")
    network.add_argument(
        "--config", help="the run of configs/NAME.py:x4, configs/NAME.py:x4,cpu, ..."
    )
    network.add_argument("--workdir", help="a run's folder; default runs/<config name>")
    network.add_argument(
        "--step", default="last", help="a run's checkpoint: last (default), best or N"
    )
    parser.add_argument(
        "--benchmarks",
        metavar="SETS",
        help="Set5, Set14, BSD100, Urban100, sample, folder:PATH, joined by commas; "
        "default: the run's, or Set5,Set14",
    )
    parser.add_argument("--protocol", help="rgb or classic; default: the run's, or rgb")
    parser.add_argument("--data_dir", help="default: the run's, or $JAXSR_DATA_DIR")
    parser.add_argument(
        "--self_ensemble",
        action=argparse.BooleanOptionalAction,
        help="average over 8 flips and turns; default: as the run's config says, or no",
    )
    parser.add_argument(
        "--tile",
        type=int,
        metavar="N",
        help="side of tiles in LR pixels; 0 never tiles; default: large images only",
    )
    parser.add_argument(
        "--save_images", metavar="DIR", help="write SR images to DIR/SET/X<scale>/"
    )
    parser.add_argument(
        "--json", metavar="FILE", help="write every number there; - is standard output"
    )


def run(options: argparse.Namespace) -> None:
    """Measures, prints the table, then writes what was asked for."""
    from jaxsr import scoring
    from jaxsr.compilation_cache import keep_compiled_programs
    from jaxsr.cpu import keep_freed_memory, use_every_core
    from jaxsr.data.benchmarks import split_benchmarks
    from jaxsr.files import check_place
    from jaxsr.inference import Upscaler
    from jaxsr.loading import load_weights

    # Before it is computed, which may take hours.
    folders = re.findall(r"folder:([^,]+)", options.benchmarks or "")
    given = [options.weights, options.model, options.config, *folders]
    scoring.check_result_place(options.json, inputs=filter(None, given))
    if options.save_images:
        check_place(Path(options.save_images, "an image's"))
    keep_freed_memory()  # these three before JAX starts
    use_every_core()
    keep_compiled_programs()
    spec, expected = _which(options)
    weights = load_weights(spec, step=options.step, **expected)
    if "run" in weights.origin:
        _take_settings_of_run(weights.origin["run"], options)
    name = _name_of(weights)
    upscaler = Upscaler(
        weights.create(),
        weights.variables,
        tile=options.tile,
        self_ensemble=bool(options.self_ensemble),
    )
    result = scoring.evaluate(
        upscaler,
        split_benchmarks(options.benchmarks or "Set5,Set14"),
        scale=upscaler.scale,
        protocol=options.protocol or "rgb",
        name=name,
        data_dir=options.data_dir,
        save_images=options.save_images,
        progress=True,
    )
    about = {"model": name, "command": options.command_line}
    about |= {k: weights.origin[k] for k in ("config", "step") if k in weights.origin}
    if options.weights:
        about["weights"] = options.weights
    result |= about
    # Standard output holds the table or the JSON, not both.
    out = sys.stderr if options.json == "-" else sys.stdout
    print(scoring.markdown_table(result), file=out, flush=True)
    if options.json:
        scoring.write_result(options.json, result)


def _name_of(weights: "Weights") -> str:
    """Returns the method's name: of weights for photos another than for bicubic."""
    from jaxsr.weights import zoo

    training = weights.origin.get("training")
    if not isinstance(training, dict):
        return weights.network
    return zoo.name_of({"network": weights.network, "training": training})


def _which(options: argparse.Namespace) -> tuple[str, dict[str, Any]]:
    """Returns the spec of the network, and what it is expected to be."""
    from jaxsr.training.config_input import load_config

    expected = {"network": options.model, "scale": options.scale}
    if options.weights:
        if options.config or options.workdir:
            raise InputError("--weights: expected either weights or a run, got both")
        return options.weights, expected
    if options.config:
        config = load_config(options.config)
        held = {"network": config.model.name, "scale": config.model.scale}
        expected = {key: value or held[key] for key, value in expected.items()}
        return f"{options.workdir or f'runs/{config.name}'}/", expected
    if options.workdir:
        return f"{options.workdir}/", expected
    if options.model:
        return options.model, {"scale": options.scale}
    raise InputError(
        "which network? give --model (with --scale where it does not say), --config, "
        "--workdir or --weights"
    )


def _take_settings_of_run(workdir: str, options: argparse.Namespace) -> None:
    """Sets what `options` leave open of the evaluation as the run's config says."""
    from etils import epath

    config = json.loads((epath.Path(workdir) / "config.json").read_text())
    for key in ("benchmarks", "protocol", "self_ensemble"):
        if getattr(options, key) is None:
            setattr(options, key, config["eval"][key])
    options.data_dir = options.data_dir or config["data"]["data_dir"]
