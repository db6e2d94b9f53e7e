"""Measures a network on benchmark sets: python evaluate.py --model=rcbam_lite_x2

The same as `jaxsr evaluate`, from a checkout; --help says what it takes. Prints the
field's table; --json keeps every image's numbers and how they were made.
"""

import sys
from collections.abc import Sequence

from jaxsr.cli import main as jaxsr


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the command line `arguments`, the process's own by default."""
    words = sys.argv[1:] if arguments is None else arguments
    return jaxsr(["evaluate", *words], program="python evaluate.py")


if __name__ == "__main__":
    sys.exit(main())
