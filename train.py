"""Trains a network: python train.py --config=configs/rcbam_x2.py

The same command again continues a run that was stopped. A recipe is chosen behind a
colon (--config=configs/rcbam_x2.py:sample), a single key on the command line
(--config.train.max_minutes=55). Everything the run writes lies in --workdir.
"""

import contextlib
import logging
import shlex
import sys

from absl import app, flags
from ml_collections import config_flags

from jaxsr import processes
from jaxsr.cpu import keep_freed_memory, use_every_core
from jaxsr.errors import InputError, reports_input_errors
from jaxsr.training import train
from jaxsr.training.progress import messages


def main(argv) -> None:
    del argv
    logging.getLogger().setLevel(logging.ERROR)
    given = flags.FLAGS
    keep_freed_memory()  # these three before JAX starts
    with messages(), _joined() if given.distributed else contextlib.nullcontext():
        use_every_core(given.config.data.batch_size // (given.num_processes or 1))
        command = shlex.join(["python", "train.py", *sys.argv[1:]])
        train(given.config, given.workdir, command=command)


def _joined() -> contextlib.AbstractContextManager[None]:
    given = flags.FLAGS
    return processes.connected(
        coordinator_address=given.coordinator_address,
        num_processes=given.num_processes,
        process_id=given.process_id,
        initialization_timeout=given.initialization_timeout,
        heartbeat_timeout=given.heartbeat_timeout,
    )


def _define_flags() -> None:
    config_flags.DEFINE_config_file(
        "config", None, "configs/<name>.py, or configs/<name>.py:<recipe>."
    )
    flags.mark_flag_as_required("config")
    flags.DEFINE_string("workdir", None, "The run's folder; default runs/<name>.")
    flags.DEFINE_bool("distributed", False, "Train together with other processes.")
    # What TPU pods, SLURM and MPI do not tell by themselves.
    flags.DEFINE_string("coordinator_address", None, "HOST:PORT of process 0.")
    flags.DEFINE_integer("num_processes", None, "How many processes train together.")
    flags.DEFINE_integer("process_id", None, "Which of them this one is, from 0.")
    flags.DEFINE_integer("initialization_timeout", 300, "Seconds in which all join.")
    flags.DEFINE_integer("heartbeat_timeout", 100, "Seconds until silence means death.")


def _parse_flags(argv: list[str]) -> list[str]:
    """Parses the command line; what is wrong with it or in a config is one line."""
    try:
        return flags.FLAGS(argv)
    except (flags.Error, AttributeError, KeyError, TypeError, ValueError) as error:
        # A config's own ValueError comes last in what ml_collections makes of it.
        message = str(error).rpartition("ValueError:")[2].replace("\\'", "'")
        raise InputError(" ".join(message.split())) from error


@reports_input_errors
def _run() -> None:
    _define_flags()
    app.run(main, flags_parser=_parse_flags)


if __name__ == "__main__":
    processes.leave(_run())
