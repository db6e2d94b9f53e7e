"""The `jaxsr` command: each subcommand reads its arguments and calls a part of jaxsr.

Parts are imported by the subcommand that needs them: `jaxsr --version` imports nothing,
and only `jaxsr data` imports what may import TensorFlow.
"""

import argparse
import logging
import os
import sys
from collections.abc import Sequence

import jaxsr
from jaxsr.errors import InputError, reports_input_errors


@reports_input_errors
def main(arguments: Sequence[str] | None = None) -> int | None:
    """Runs the command line `arguments` (the process's own by default).

    Returns the exit code: 0, 1 when some pictures could not be read, 2 for bad input.
    """
    # Before TensorFlow or XLA are loaded: only errors, so that ours can be seen.
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    logging.getLogger("absl").setLevel(logging.ERROR)
    options = _parser().parse_args(arguments)
    return options.command(options)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="jaxsr", description="Single-image super-resolution in JAX."
    )
    parser.add_argument(
        "--version", action="version", version=f"jaxsr {jaxsr.__version__}"
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    upscale = commands.add_parser(
        "upscale",
        help="enlarge pictures",
        description="Enlarge pictures. Without --model, --weights and --workdir the "
        "published network of that scale with the highest PSNR is used; `jaxsr models "
        "--weights` lists them.",
    )
    upscale.add_argument("inputs", nargs="+", metavar="IN", help="files and folders")
    upscale.add_argument(
        "-o", "--out", required=True, help="folder, or for one file a file name"
    )
    upscale.add_argument("--scale", type=int, help="factor; weights know their own")
    upscale.add_argument(
        "--model", help="published network, or bicubic; default: the best one"
    )
    trained = upscale.add_mutually_exclusive_group()
    trained.add_argument("--weights", metavar="FILE", help="a .safetensors file")
    trained.add_argument("--workdir", metavar="RUN", help="a folder of train.py")
    upscale.add_argument(
        "--tile",
        type=int,
        metavar="N",
        help="side of the tiles in pixels of the input; 0 never tiles; by default only "
        "large pictures are tiled",
    )
    upscale.add_argument(
        "--overlap",
        type=int,
        default=32,
        metavar="N",
        help="pixels of the input that neighbouring tiles share",
    )
    upscale.add_argument(
        "--self-ensemble",
        action="store_true",
        help="average over 8 flips and turns: better, 8 times slower",
    )
    upscale.add_argument(
        "-r",
        "--recursive",
        action="store_true",
        help="take the pictures of sub-folders as well, and keep their places",
    )
    existing = upscale.add_mutually_exclusive_group()
    existing.add_argument(
        "--overwrite", action="store_true", help="replace existing results"
    )
    existing.add_argument(
        "--skip-existing",
        action="store_true",
        help="leave existing results, and go on with the others",
    )
    upscale.add_argument(
        "--format",
        metavar="SUFFIX",
        help="of the results, e.g. png; default: that of each picture",
    )
    upscale.add_argument(
        "--strip",
        action="store_true",
        help="leave out colour profile, EXIF and resolution",
    )
    upscale.add_argument(
        "--max-megapixels",
        type=float,
        default=100.0,
        metavar="N",
        help="refuse pictures of more; default: 100",
    )
    upscale.set_defaults(command=_upscale)

    score = commands.add_parser(
        "score",
        help="PSNR and SSIM of pictures made by any program",
        description="Compare the pictures of two folders, paired by name "
        "(a suffix such as _x2 is allowed).",
    )
    score.add_argument("sr_folder", metavar="SR_FOLDER")
    score.add_argument("hr_folder", metavar="HR_FOLDER")
    score.add_argument("--scale", type=int, required=True)
    score.add_argument("--protocol", default="rgb", help="rgb (default) or classic")
    score.add_argument(
        "--json", metavar="FILE", help="write every number there; - is standard output"
    )
    score.add_argument(
        "--luma",
        action="store_true",
        help="one-channel pictures are the luma of colour ones, not gray",
    )
    score.set_defaults(command=_score)

    data = commands.add_parser("data", help="look after data sets")
    data_commands = data.add_subparsers(required=True, metavar="COMMAND")
    check = data_commands.add_parser(
        "check",
        help="count images, check pairs and sizes, compare LR with exact bicubic",
    )
    check.add_argument(
        "source", metavar="SOURCE", help="e.g. div2k, t91+bsd200, Set5, folder:PATH"
    )
    check.add_argument("--scale", type=int, help="default: every scale there is")
    check.add_argument("--data_dir", help="default: $JAXSR_DATA_DIR")
    check.set_defaults(command=_data_check)

    convert = commands.add_parser(
        "convert",
        help="turn other projects' weights into jaxsr's",
        description="Turn published weights (.pth, .pt, .safetensors, .npz, .mat) into "
        "a .safetensors file for --weights. No code in the file is run.",
    )
    convert.add_argument(
        "files",
        nargs="+",
        metavar="FILE",
        help="the published weights; of a cascade (SCN's) a file for each stage",
    )
    convert.add_argument(
        "--from",
        dest="family",
        required=True,
        metavar="FAMILY",
        help="repository, or repository and network, e.g. edsr-pytorch, basicsr/rcan; "
        "a wrong one lists all",
    )
    convert.add_argument(
        "-o", "--out", required=True, metavar="OUT", help="the file to write"
    )
    convert.add_argument(
        "--scale", type=int, help="for weights that do not show it, such as VDSR's"
    )
    convert.add_argument(
        "--field",
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help="a field of the network that weights do not show, e.g. res_scale=0.1",
    )
    convert.set_defaults(command=_convert)

    models = commands.add_parser("models", help="list the networks, or the weights")
    models.add_argument("name", nargs="?", metavar="NETWORK", help="explain this one")
    models.add_argument("--scale", type=int, help="default: 2; of weights, all")
    models.add_argument(
        "--weights",
        action="store_true",
        help="list published weights and their PSNR instead of all networks",
    )
    models.set_defaults(command=_models)

    publish = commands.add_parser(
        "publish",
        help="put a trained run among the published weights",
        description="Measure a finished run on Set5, Set14 and BSD100 and write its "
        "weights, manifest entry and model card into this checkout of jaxsr.",
    )
    publish.add_argument("workdir", metavar="RUN", help="a folder of train.py")
    publish.add_argument(
        "--precision",
        default="float16",
        help="float16 (default; refused if it costs 0.005 dB) or float32",
    )
    publish.add_argument("--note", default="", help="a sentence for the model card")
    publish.add_argument(
        "--url", help="a folder to fetch the file from; default: it comes with jaxsr"
    )
    publish.add_argument("--data_dir", help="default: $JAXSR_DATA_DIR")
    publish.set_defaults(command=_publish)
    return parser


def _upscale(options: argparse.Namespace) -> int:
    from tqdm import tqdm

    from jaxsr.folders import plan_files, upscale_files

    plan = plan_files(
        options.inputs,
        options.out,
        recursive=options.recursive,
        suffix=_suffix(options.format),
        overwrite=options.overwrite,
        skip_existing=options.skip_existing,
    )
    upscaler = _upscaler(options)
    for line in plan.passed_over:
        print(f"passed over: {line}", file=sys.stderr)
    for line in plan.unreadable:
        print(f"skipped: {line}", file=sys.stderr)
    failed = len(plan.unreadable)
    results = upscale_files(
        upscaler,
        plan.pairs,
        strip=options.strip,
        max_megapixels=options.max_megapixels,
    )
    total = len(plan.pairs)
    # disable=None: no bar where the output is not a terminal.
    for _, error in tqdm(results, total=total, unit="picture", disable=None):
        if error is not None:
            if total == 1 and not failed:
                raise error
            failed += 1
            tqdm.write(f"skipped: {error}", file=sys.stderr)
    return 1 if failed else 0


def _suffix(name: str | None) -> str | None:
    """Returns what --format names as a suffix."""
    from jaxsr.imaging.files import SUFFIXES

    if name is None:
        return None
    suffix = f".{name.lower().removeprefix('.')}"
    if suffix not in SUFFIXES:
        known = ", ".join(s.removeprefix(".") for s in SUFFIXES)
        raise InputError(f"--format: expected one of {known}, got {name}")
    return suffix


def _upscaler(options: argparse.Namespace):
    from jaxsr.inference import Upscaler
    from jaxsr.models import create
    from jaxsr.weights import load_upscaler, zoo

    settings = {
        "tile": options.tile,
        "overlap": options.overlap,
        "self_ensemble": options.self_ensemble,
    }
    if options.weights:
        return load_upscaler(
            options.weights, model=options.model, scale=options.scale, **settings
        )
    if options.workdir:
        from jaxsr.training.workdir import load_run

        config, model, variables, _ = load_run(options.workdir)
        network = config.to_dict()["model"]
        held = network["name"], network["scale"]
        asked = options.model or held[0], options.scale or held[1]
        if asked != held:
            raise InputError(
                f"{options.workdir}: expected a run of {asked[0]} x{asked[1]}, "
                f"got {held[0]} x{held[1]}"
            )
        return Upscaler(model, variables, **settings)
    if options.scale is None:
        raise InputError("pass --scale, e.g. --scale 2")
    name = options.model
    if name is None:
        best = zoo.best_entry(options.scale, zoo.read_manifest())
        if best is None:
            create("bicubic", scale=options.scale)  # raises where it is no scale
            raise InputError(
                f"no network is published for x{options.scale}: pass --model bicubic, "
                "--weights or --workdir"
            )
        name = best["network"]
    return zoo.load(name, scale=options.scale, **settings)


def _score(options: argparse.Namespace) -> None:
    from jaxsr.benchmark import markdown_table, score_folders, write_result

    results = score_folders(
        options.sr_folder,
        options.hr_folder,
        scale=options.scale,
        protocol=options.protocol,
        luma=options.luma,
    )
    # Standard output holds the table or the JSON, not both.
    print(
        markdown_table(results), file=sys.stderr if options.json == "-" else sys.stdout
    )
    if options.json:
        write_result(options.json, results)


def _data_check(options: argparse.Namespace) -> int:
    from jaxsr.data.check import check_source

    report = check_source(
        options.source, scale=options.scale, data_dir=options.data_dir
    )
    for line in report.lines():
        print(line)
    return 0 if report.ok else 1


def _convert(options: argparse.Namespace) -> None:
    import ast

    from jaxsr.convert import convert_file

    fields = {}
    for setting in options.field:
        name, _, value = setting.partition("=")
        try:
            fields[name] = ast.literal_eval(value)
        except (SyntaxError, ValueError):
            raise InputError(
                f"--field: expected NAME=VALUE, a number or tuple, got {setting!r}"
            ) from None
    network, fields = convert_file(
        options.files, options.family, options.out, options.scale, fields
    )
    settings = ", ".join(f"{name}={value}" for name, value in fields.items())
    print(f"{options.out}: {network} ({settings})")


def _publish(options: argparse.Namespace) -> None:
    from jaxsr.weights.cards import list_entries
    from jaxsr.weights.publish import publish

    entry = publish(
        options.workdir,
        precision=options.precision,
        note=options.note,
        url=options.url,
        data_dir=options.data_dir,
    )
    print(list_entries([entry]))
    print("next: python benchmarks/paper_tables.py --pictures (docs/results.md)")


def _models(options: argparse.Namespace) -> None:
    from jaxsr.models.catalogue import explain_network, list_networks

    if options.weights:
        _list_weights(options.scale)
        return
    scale = 2 if options.scale is None else options.scale
    lines = explain_network(options.name) if options.name else list_networks(scale)
    for line in lines:
        print(line, flush=True)


def _list_weights(scale: int | None) -> None:
    from jaxsr.weights.cards import list_entries
    from jaxsr.weights.zoo import read_manifest

    entries = [e for e in read_manifest() if scale in (None, e["scale"])]
    print("PSNR in dB of luma, protocol rgb; model cards: docs/models/")
    print(list_entries(entries))


if __name__ == "__main__":
    sys.exit(main())
