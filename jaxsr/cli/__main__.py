"""`python -m jaxsr.cli`, and the `jaxsr` command."""

import sys
from typing import NoReturn

from jaxsr.cli import main


def program() -> NoReturn:
    """Runs the command line and ends the process."""
    code = main()
    # What nothing has imported has no others to leave.
    if "jaxsr.processes" in sys.modules:
        from jaxsr.processes import leave

        leave(code or 0)
    sys.exit(code)


if __name__ == "__main__":
    program()
