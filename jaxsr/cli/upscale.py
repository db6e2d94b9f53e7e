"""`jaxsr upscale`: files and folders of pictures, enlarged."""

import argparse
import os
import sys
from collections.abc import Callable

from jaxsr.errors import InputError


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds what `run` takes."""
    parser.add_argument("inputs", nargs="+", metavar="IN", help="files and folders")
    parser.add_argument(
        "-o", "--out", required=True, help="folder, or for one file a file name"
    )
    parser.add_argument("--scale", type=int, help="factor; weights know their own")
    parser.add_argument(
        "--model",
        metavar="SPEC",
        help="published weights (rcbam_lite_x2), bicubic_x2, a run's folder or a file, "
        "another project's too; or a network's name beside --scale; default: the best "
        "published one",
    )
    trained = parser.add_mutually_exclusive_group()
    trained.add_argument("--weights", metavar="FILE", help="as --model")
    trained.add_argument("--workdir", metavar="RUN", help="as --model")
    parser.add_argument(
        "--tile",
        type=int,
        metavar="N",
        help="side of the tiles in pixels of the input; 0 never tiles; by default only "
        "large pictures are tiled",
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
        help="take the pictures of sub-folders as well, and keep their places",
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
        "--format",
        metavar="SUFFIX",
        help="of the results, e.g. png; default: that of each picture",
    )
    parser.add_argument(
        "--strip",
        action="store_true",
        help="leave out colour profile, EXIF, XMP and resolution",
    )
    parser.add_argument(
        "--max-megapixels",
        type=float,
        default=100.0,
        metavar="N",
        help="refuse pictures of more; default: 100",
    )
    parser.add_argument(
        "--cache",
        action=argparse.BooleanOptionalAction,
        default=True,
        help="keep compiled programs in the user's cache folder (default: yes, on "
        "processors where JAX can; JAXSR_CACHE=0 also turns it off)",
    )


def run(options: argparse.Namespace) -> int:
    """Enlarges what the options name; returns the exit code."""
    from tqdm import tqdm

    from jaxsr.compilation_cache import keep_compiled_programs
    from jaxsr.cpu import keep_freed_memory, use_every_core
    from jaxsr.folders import plan_files, upscale_files

    plan = plan_files(
        options.inputs,
        options.out,
        recursive=options.recursive,
        suffix=_suffix(options.format),
        overwrite=options.overwrite,
        skip_existing=options.skip_existing,
    )
    keep_freed_memory()
    use_every_core()
    if options.cache:
        keep_compiled_programs()
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
        progress=_tile_bar(),
    )
    total = len(plan.pairs)
    is_one_file = len(options.inputs) == 1 and not os.path.isdir(options.inputs[0])
    # disable=None: no bar where the output is not a terminal.
    for _, error in tqdm(results, total=total, unit="picture", disable=None):
        if error is not None:
            if is_one_file:
                raise error
            failed += 1
            tqdm.write(f"skipped: {error}", file=sys.stderr)
    return 1 if failed else 0


def _tile_bar() -> Callable[[int, int], None]:
    """Returns what shows a bar of the tiles of each picture that has several."""
    from tqdm import tqdm

    bars: list[tqdm] = []

    def show(done: int, total: int) -> None:
        if total == 1:
            return
        if not bars:
            bars.append(tqdm(total=total, unit="tile", leave=False, disable=None))
        bars[0].update(done - bars[0].n)
        if done == total:
            bars.pop().close()

    return show


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
    from jaxsr.loading import best_published, load, load_weights

    given = options.weights or (options.workdir and f"{options.workdir}/")
    if not (given or options.model) and options.scale is None:
        raise InputError("pass --scale, e.g. --scale 2, or --model, e.g. rcbam_lite_x2")
    spec = given or options.model or best_published(options.scale)
    weights = load_weights(
        spec, scale=options.scale, network=options.model if given else None
    )
    return load(
        weights,
        tile=options.tile,
        overlap=options.overlap,
        self_ensemble=options.self_ensemble,
    )
