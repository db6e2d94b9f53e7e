"""Trains a network: python train.py --config=configs/rcbam_x2.py

The same command again continues a run that was stopped. A scale and a recipe are chosen
behind a colon (--config=configs/edsr.py:x4,cpu), a single key on the command line
(--config.train.max_minutes=55). Everything the run writes lies in --workdir.
"""

import argparse
import logging
import shlex
import sys

from jaxsr.errors import reports_input_errors
from jaxsr.process_flags import add_process_flags, joined


@reports_input_errors
def main() -> None:
    given, others = _parser().parse_known_args()
    # Seconds of imports: here, where Ctrl-C ends them without a word of theirs.
    from jaxsr.cpu import keep_freed_memory, use_every_core
    from jaxsr.training import train
    from jaxsr.training.config import check_config
    from jaxsr.training.config_input import load_config, override_all
    from jaxsr.training.progress import messages

    config = load_config(given.config)
    override_all(config, others)
    check_config(config)
    logging.getLogger().setLevel(logging.ERROR)
    keep_freed_memory()  # these three before JAX starts
    goes_on = ", and they go on from the last checkpoint"
    with joined(given, goes_on=goes_on), messages():
        use_every_core(config.data.batch_size // (given.num_processes or 1))
        command = shlex.join(["python", "train.py", *sys.argv[1:]])
        train(config, given.workdir, command=command)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        description="Trains a network, or goes on with a run that was stopped.",
        epilog="--config.KEY=VALUE sets a key of the config; "
        "jaxsr/training/config.py has them all.",
        allow_abbrev=False,
    )
    parser.add_argument(
        "--config", required=True, help="PATH or PATH:CHOICE, configs/edsr.py:x4,cpu"
    )
    parser.add_argument("--workdir", help="the run's folder; default runs/<name>")
    add_process_flags(parser)
    return parser


if __name__ == "__main__":
    code = main()
    from jaxsr.processes import leave

    leave(code)
