"""The `jaxsr` command: each subcommand reads its arguments and calls a part of jaxsr.

Parts are imported by the subcommand that needs them: `jaxsr --version` imports nothing,
and only `jaxsr data` imports what may import TensorFlow.
"""

import argparse
import logging
import os
import shlex
import sys
from collections.abc import Sequence

import jaxsr
from jaxsr.cli import demo, evaluate, models, upscale, upscale_flags
from jaxsr.errors import InputError, named, printable, reports_input_errors


@reports_input_errors
def main(
    arguments: Sequence[str] | None = None, *, program: str = "jaxsr evaluate"
) -> int | None:
    """Runs the command line `arguments` (the process's own by default).

    Args:
        program: what `evaluate` is called by, to be kept with its numbers.

    Returns the exit code: 0, 1 when some pictures could not be read, 2 for bad input.
    """
    # Before TensorFlow or XLA are loaded: only errors, so that ours can be seen.
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    logging.getLogger("absl").setLevel(logging.ERROR)
    words = list(sys.argv[1:] if arguments is None else arguments)
    options = _parse(words)
    options.command_line = shlex.join([*program.split(), *words[1:]])
    return options.command(options)


def _parse(words: list[str]) -> argparse.Namespace:
    parser = _parser()
    options, others = parser.parse_known_args(words)
    if others:
        # argparse finds no inputs behind an option once there may be none at all.
        is_input = [word == "-" or not word.startswith("-") for word in others]
        if "inputs" not in options or not all(is_input):
            parser.error(f"unrecognized arguments: {' '.join(others)}")
        options.inputs += others
    return options


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="jaxsr", description="Single-image super-resolution in JAX."
    )
    parser.add_argument(
        "--version", action="version", version=f"jaxsr {jaxsr.__version__}"
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    enlarge = commands.add_parser(
        "upscale",
        help="enlarge pictures",
        description="Enlarge pictures. Without --model, --weights and --workdir the "
        "published network of that scale with the highest PSNR is used; `jaxsr models "
        "--weights` lists them.",
    )
    upscale_flags.add_arguments(enlarge)
    enlarge.set_defaults(command=upscale.run)

    page = commands.add_parser(
        "demo",
        help="enlarge pictures on a page in the browser",
        description="Serve a page on this computer: drop a picture, look, download.",
    )
    demo.add_arguments(page)
    page.set_defaults(command=demo.run)

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
    check.add_argument(
        "--scale",
        type=int,
        help="of LR images; default: 2, 3 and 4, or the one that a set is opened at",
    )
    check.add_argument(
        "--against",
        metavar="SETS",
        help="find copies of these sets' images in it, e.g. Set5,Set14,BSD100",
    )
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
        metavar="FAMILY",
        help="repository, or repository and network, e.g. edsr-pytorch, basicsr/rcan; "
        "a wrong one lists all; default: the one whose names the file has",
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

    export = commands.add_parser(
        "export",
        help="write a network for other programs",
        description="Write a network with its weights as ONNX, StableHLO or a PyTorch "
        "state dict. The result is run by the other side's program and compared.",
    )
    export.add_argument(
        "model", metavar="SPEC", help="as --model of upscale, e.g. rcbam_lite_x2"
    )
    export.add_argument("--scale", type=int, help="for a network's name")
    export.add_argument(
        "--format",
        metavar="FORMAT",
        help="onnx, stablehlo or safetensors-torch; default: as the suffix of OUT says",
    )
    export.add_argument(
        "-o", "--out", required=True, metavar="OUT", help="the file to write"
    )
    export.set_defaults(command=_export)

    measure = commands.add_parser(
        "evaluate",
        help="PSNR and SSIM on benchmark sets",
        description=evaluate.DESCRIPTION,
    )
    evaluate.add_arguments(measure)
    measure.set_defaults(command=evaluate.run)

    catalogue = commands.add_parser("models", help="list the networks, or the weights")
    models.add_arguments(catalogue)
    catalogue.set_defaults(command=models.run)
    return parser


def _score(options: argparse.Namespace) -> None:
    from jaxsr.scoring import (
        check_result_place,
        markdown_table,
        score_folders,
        write_result,
    )

    check_result_place(options.json, inputs=[options.sr_folder, options.hr_folder])
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
        print(printable(line))
    copies = 0
    if options.against:
        copies = _print_copies(options.source, options.against, options.data_dir)
    return 0 if report.ok and not copies else 1


def _print_copies(source: str, sets: str, data_dir: str | None) -> int:
    from jaxsr.data.benchmarks import open_set, split_benchmarks
    from jaxsr.data.overlap import find_overlaps

    searched = open_set(source, data_dir=data_dir)
    others = [
        searched
        if name.lower() == source.lower()
        else open_set(name, data_dir=data_dir)
        for name in split_benchmarks(sets)
    ]
    count = 0
    for overlap in find_overlaps(searched, others, progress=True):
        print(printable(overlap.line()))
        count += 1
    print(f"{count} copies of images of {sets}")
    return count


def _convert(options: argparse.Namespace) -> None:
    import ast

    from jaxsr.convert import convert
    from jaxsr.files import check_place

    check_place(options.out, inputs=options.files)
    fields = {}
    for setting in options.field:
        name, _, value = setting.partition("=")
        try:
            fields[name] = ast.literal_eval(value)
        except (SyntaxError, TypeError, ValueError):
            raise InputError(
                f"--field: expected NAME=VALUE, a number or tuple, got {setting!r}"
            ) from None
    weights = convert(options.files, options.family, options.scale, fields)
    with named(" ".join(options.files)):
        weights.create()  # finds what does not fit before anything is written
    weights.save(options.out)
    settings = ", ".join(f"{name}={value}" for name, value in weights.fields.items())
    print(f"{options.out}: {weights.network} ({settings})")


def _export(options: argparse.Namespace) -> None:
    from jaxsr.export import write

    print(write(options.model, options.out, options.format, scale=options.scale))
