"""Measures a network on benchmark sets: python evaluate.py --model=bicubic --scale=2

Which network: published weights by their name (--model, --scale), a training run
(--config, or --workdir, or both) or a weights file (--weights). Prints the field's
table; --json keeps every image's numbers and how they were made.
"""

import argparse
import logging
import runpy
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from jaxsr import benchmark, models, weights
from jaxsr.errors import InputError, reports_input_errors
from jaxsr.inference import Upscaler
from jaxsr.metrics import PROTOCOLS
from jaxsr.models.complexity import count_parameters
from jaxsr.weights import zoo


@reports_input_errors
def main(arguments: Sequence[str] | None = None) -> None:
    """Runs the command line `arguments`, the process's own by default."""
    # orbax and TensorFlow report what they do through it; only errors concern anyone.
    logging.getLogger("absl").setLevel(logging.ERROR)
    options = _parser().parse_args(arguments)
    upscaler, about = _open_network(options)
    benchmarks = options.benchmarks or "Set5,Set14"
    result = benchmark.evaluate(
        upscaler,
        [name for name in benchmarks.split(",") if name],
        scale=upscaler.scale,
        protocol=options.protocol or "rgb",
        name=about["model"],
        data_dir=options.data_dir,
        save_images=options.save_images,
        progress=True,
    )
    words = sys.argv[1:] if arguments is None else arguments
    result |= about | {"command": shlex.join(["python", "evaluate.py", *words])}
    # Standard output holds the table or the JSON, not both.
    stdout_is_taken = options.json == "-"
    print(
        benchmark.markdown_table(result),
        file=sys.stderr if stdout_is_taken else sys.stdout,
    )
    if options.json:
        benchmark.write_result(options.json, result)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description="PSNR and SSIM on benchmark sets.")
    network = parser.add_argument_group("which network")
    network.add_argument(
        "--config", help="the run of configs/NAME.py or configs/NAME.py:RECIPE"
    )
    network.add_argument("--workdir", help="a run's folder; default runs/<config name>")
    network.add_argument(
        "--step", default="last", help="a run's checkpoint: last (default), best or N"
    )
    network.add_argument("--model", help=f"one of {', '.join(models.list_models())}")
    network.add_argument("--scale", type=int, help="runs and weights know their own")
    network.add_argument("--weights", metavar="FILE", help="a .safetensors file")
    parser.add_argument(
        "--benchmarks",
        metavar="SETS",
        help="Set5, Set14, BSD100, Urban100, sample, folder:PATH, joined by commas; "
        "default: the run's, or Set5,Set14",
    )
    parser.add_argument(
        "--protocol", help=f"{' or '.join(PROTOCOLS)}; default: the run's, or rgb"
    )
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
    return parser


def _open_network(options: argparse.Namespace) -> tuple[Upscaler, dict[str, Any]]:
    """Returns the network, and its "model" name with what else is known of it."""
    if options.config or options.workdir:
        if options.weights:
            raise InputError("--weights: expected either weights or a run, got both")
        return _open_run(options)
    if options.weights:
        upscaler = weights.load_upscaler(
            options.weights,
            model=options.model,
            scale=options.scale,
            tile=options.tile,
            self_ensemble=bool(options.self_ensemble),
        )
        name = options.model or weights.load_weights(options.weights)[0]
        return upscaler, {"model": name, "weights": options.weights}
    if not options.model or options.scale is None:
        raise InputError(
            "which network? give --model and --scale, --weights, --config or --workdir"
        )
    model = models.create(options.model, scale=options.scale)
    settings = {"tile": options.tile, "self_ensemble": bool(options.self_ensemble)}
    if count_parameters(model):
        upscaler = zoo.load(options.model, scale=options.scale, **settings)
    else:
        upscaler = Upscaler(model, {}, **settings)
    return upscaler, {"model": options.model}


def _open_run(options: argparse.Namespace) -> tuple[Upscaler, dict[str, Any]]:
    """Returns the network of a training run, and what else is known of it.

    What `options` leave open of the evaluation is set as the run's config says.
    """
    # Here, because it takes a second to import what training needs.
    from jaxsr.training.workdir import load_run

    expected = {"name": options.model, "scale": options.scale}
    workdir = options.workdir
    if options.config:
        config = _read_config(options.config)
        workdir = workdir or f"runs/{config.name}"
        expected = {k: value or config.model[k] for k, value in expected.items()}
    run: Any = load_run(workdir, step=options.step)
    config, model, variables, step = run
    for key, value in expected.items():
        if value and value != config.model[key]:
            raise InputError(
                f"{workdir}: expected a run with model.{key}={value!r}, got "
                f"{config.model[key]!r}"
            )
    for key, value in {
        "benchmarks": config.eval.benchmarks,
        "protocol": config.eval.protocol,
        "self_ensemble": config.eval.self_ensemble,
        "data_dir": config.data.data_dir,
    }.items():
        if getattr(options, key) is None:
            setattr(options, key, value)
    upscaler = Upscaler(
        model, variables, tile=options.tile, self_ensemble=options.self_ensemble
    )
    about = {"model": config.model.name, "config": config.name, "step": step}
    return upscaler, about


def _read_config(spec: str) -> Any:
    """Returns the config of `path` or `path:recipe`."""
    path, _, recipe = spec.partition(":")
    if not Path(path).is_file():
        raise InputError(f"{path}: no such config file")
    get_config = runpy.run_path(path).get("get_config")
    if get_config is None:
        raise InputError(f"{path}: expected a function get_config, found none")
    try:
        return get_config(*filter(None, [recipe]))
    except ValueError as error:
        raise InputError(str(error)) from error


if __name__ == "__main__":
    sys.exit(main())
