"""What `jaxsr upscale` is told on the command line."""

import argparse

from jaxsr.errors import InputError
from jaxsr.process_flags import add_process_flags


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds what `upscale.run` takes."""
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
    add_process_flags(parser)


def check_megapixels(limit: float) -> None:
    """Refuses what would be no limit, or let nothing through.

    Raises:
        InputError: a number not above 0.
    """
    if not limit > 0:  # NaN is not, and every comparison with it is false
        raise InputError(f"--max-megapixels: expected a number above 0, got {limit:g}")
