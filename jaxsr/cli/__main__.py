"""`python -m jaxsr.cli`: the `jaxsr` command where it is not on the path."""

import sys

from jaxsr.cli import main

sys.exit(main())
