"""`jaxsr upscale`: files and folders of pictures, enlarged."""

import argparse
import os
import sys

from jaxsr.errors import InputError


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds what `run` takes."""
    parser.add_argument(
        "inputs",
        nargs="*",
        metavar="IN",
        help="files and folders; - is standard input",
    )
    parser.add_argument(
        "-i",
        "--input",
        action="append",
        default=[],
        metavar="IN",
        help="one more of them",
    )
    parser.add_argument(
        "-o",
        "--out",
        required=True,
        help="folder, or for one file a file name; - is standard output",
    )
    parser.add_argument(
        "-s",
        "--scale",
        metavar="FACTOR",
        help="2, 3.5 (from x4), 8 (by x4, then x2); weights know their own",
    )
    parser.add_argument(
        "-n",
        "--model",
        metavar="SPEC",
        help="published weights (rcbam_lite_x2), bicubic_x2, a run's folder or a file, "
        "another project's too; or a network's name beside --scale; default: the best "
        "published one",
    )
    parser.add_argument(
        "--for",
        dest="made_for",
        choices=("clean", "photo"),
        default="clean",
        help="clean pictures (default), or photos: a little blurred, saved as JPEG",
    )
    trained = parser.add_mutually_exclusive_group()
    trained.add_argument("--weights", metavar="FILE", help="as --model")
    trained.add_argument("--workdir", metavar="RUN", help="as --model")
    parser.add_argument(
        "-t",
        "--tile",
        type=int,
        metavar="N",
        help="side of tiles in the input's pixels, 0: none; default: if it is large",
    )
    parser.add_argument(
        "--overlap",
        type=int,
        default=32,
        metavar="N",
        help="pixels of the input that neighbouring tiles share",
    )
    parser.add_argument(
        "--self-ensemble",
        action="store_true",
        help="average over 8 flips and turns: better, 8 times slower",
    )
    parser.add_argument(
        "-r",
        "--recursive",
        action="store_true",
        help="take sub-folders' pictures as well, and keep their places",
    )
    existing = parser.add_mutually_exclusive_group()
    existing.add_argument(
        "--overwrite", action="store_true", help="replace existing results"
    )
    existing.add_argument(
        "--skip-existing",
        action="store_true",
        help="leave existing results, and go on with the others",
    )
    parser.add_argument(
        "-f",
        "--format",
        metavar="SUFFIX",
        help="of results, e.g. png; default: each picture's",
    )
    parser.add_argument(
        "--quality",
        type=int,
        metavar="N",
        help="1 to 100, of JPEG and AVIF (default: 95), of WebP (default: no loss)",
    )
    parser.add_argument(
        "--strip", action="store_true", help="no colour profile, EXIF, XMP, resolution"
    )
    parser.add_argument(
        "--max-megapixels",
        type=float,
        default=100.0,
        metavar="N",
        help="refuse pictures of more; default: 100",
    )
    parser.add_argument(
        "--require-accelerator",
        action="store_true",
        help="end with an error where JAX finds only the CPU",
    )
    parser.add_argument(
        "--dry-run", action="store_true", help="say what would be written, no more"
    )
    parser.add_argument(
        "--cache",
        action=argparse.BooleanOptionalAction,
        default=True,
        help="keep compiled programs in the user's cache folder (default: yes, where "
        "JAX can; JAXSR_CACHE=0 also turns it off)",
    )


def run(options: argparse.Namespace) -> int:
    """Enlarges what the options name; returns the exit code."""
    from jaxsr.compilation_cache import keep_compiled_programs
    from jaxsr.cpu import keep_freed_memory, use_every_core
    from jaxsr.folders import plan_files
    from jaxsr.streams import STANDARD

    inputs = options.inputs + options.input
    if not inputs:
        raise InputError("expected a picture, a folder or - for standard input")
    if options.quality is not None and not 1 <= options.quality <= 100:
        raise InputError(f"--quality: expected 1 to 100, got {options.quality}")
    suffix = _suffix(options.format)
    streams = STANDARD in (*inputs, options.out)
    if streams:
        _check_streams(inputs, options)
    plan = plan_files(
        [] if streams else inputs,
        options.out,
        recursive=options.recursive,
        suffix=suffix,
        overwrite=options.overwrite,
        skip_existing=options.skip_existing,
    )
    keep_freed_memory()
    use_every_core()
    if options.cache:
        keep_compiled_programs()
    if options.require_accelerator:
        _require_accelerator()
    upscaler = _upscaler(options)
    print(upscaler.describe(), file=sys.stderr)
    if streams:
        return _upscale_stream(upscaler, inputs[0], suffix, options)
    for line in plan.passed_over:
        print(f"passed over: {line}", file=sys.stderr)
    for line in plan.unreadable:
        print(f"skipped: {line}", file=sys.stderr)
    failed = len(plan.unreadable)
    is_one_file = len(inputs) == 1 and not os.path.isdir(inputs[0])
    action = _preview if options.dry_run else _upscale
    failed += action(upscaler, plan.pairs, options, is_one_file)
    return 1 if failed else 0


def _upscale(upscaler, pairs, options: argparse.Namespace, is_one_file: bool) -> int:
    """Returns how many pictures failed; of one file alone that is an error."""
    from jaxsr.cli.progress import Progress
    from jaxsr.folders import upscale_files

    failed, progress = 0, Progress(len(pairs))
    results = upscale_files(
        upscaler,
        pairs,
        strip=options.strip,
        quality=options.quality,
        max_megapixels=options.max_megapixels,
        progress=progress.tile,
    )
    try:
        for (_, target), (_, error) in zip(pairs, results, strict=True):
            if error is None:
                progress.written(str(target))
            elif is_one_file:
                raise error
            else:
                failed += 1
                progress.skipped(str(error))
    finally:
        progress.close()
    return failed


def _preview(upscaler, pairs, options: argparse.Namespace, is_one_file: bool) -> int:
    from jaxsr.folders import preview_files

    failed = 0
    found = preview_files(upscaler, pairs, max_megapixels=options.max_megapixels)
    for line, error in found:
        if error is None:
            print(line)
        elif is_one_file:
            raise error
        else:
            failed += 1
            print(f"would be skipped: {error}", file=sys.stderr)
    return failed


def _upscale_stream(
    upscaler, source: str, suffix: str | None, options: argparse.Namespace
) -> int:
    from jaxsr.cli.progress import Progress
    from jaxsr.streams import upscale_stream

    progress = Progress(1)
    try:
        upscale_stream(
            upscaler,
            source,
            options.out,
            suffix=suffix,
            strip=options.strip,
            quality=options.quality,
            max_megapixels=options.max_megapixels,
            progress=progress.tile,
        )
    finally:
        progress.close()
    return 0


def _check_streams(inputs: list[str], options: argparse.Namespace) -> None:
    """Refuses what makes no sense with standard input or output."""
    if len(inputs) > 1 or os.path.isdir(inputs[0]):
        raise InputError("-: expected one picture, through standard input or output")
    if options.dry_run:
        raise InputError("-: expected files for --dry-run")
    if options.out == "-":
        return
    if options.out.endswith("/") or os.path.isdir(options.out):
        raise InputError(f"{options.out}: expected a file name for standard input's")
    if os.path.lexists(options.out) and not options.overwrite:
        raise InputError(
            f"{options.out} exists already: pass --overwrite to replace it"
        )


def _require_accelerator() -> None:
    import jax

    if jax.default_backend() == "cpu":
        raise InputError(
            "--require-accelerator: JAX finds none here, only the CPU (a GPU needs "
            "pip install 'jax[cuda13]')"
        )


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
    from jaxsr.loading import load, load_scaled

    given = options.weights or (options.workdir and f"{options.workdir}/")
    settings = {
        "tile": options.tile,
        "overlap": options.overlap,
        "self_ensemble": options.self_ensemble,
        "network": options.model if given else None,
    }
    spec = given or options.model
    if options.made_for == "photo":
        if spec:
            raise InputError(f"--for photo: expected no network beside it, got {spec}")
        settings["degradation"] = "photo"
    if options.scale is not None:
        return load_scaled(options.scale, spec, **settings)
    if not spec:
        raise InputError("pass --scale, e.g. --scale 2, or --model, e.g. rcbam_lite_x2")
    return load(spec, **settings)
