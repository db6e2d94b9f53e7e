"""The flags of a program whose processes work together, and what they lead to."""

import argparse
import contextlib
from collections.abc import Callable

from jaxsr.errors import InputError


def add_process_flags(parser: argparse.ArgumentParser) -> None:
    """Adds --distributed, and what says who the others are."""
    parser.add_argument(
        "--distributed", action="store_true", help="work together with other processes"
    )
    many = parser.add_argument_group("what TPU pods, SLURM and MPI tell by themselves")
    many.add_argument("--coordinator_address", help="HOST:PORT of process 0")
    many.add_argument("--num_processes", type=_whole(1), help="that work together")
    many.add_argument("--process_id", type=_whole(0), help="which one this is, from 0")
    for name, default, words in (
        ("initialization", 300, "in which all join"),
        ("heartbeat", 100, "of silence that mean death"),
    ):
        many.add_argument(
            f"--{name}_timeout",
            type=_whole(1),
            default=default,
            help=f"seconds {words}; default {default}",
        )


def joined(
    options: argparse.Namespace, *, goes_on: str = ""
) -> contextlib.AbstractContextManager[None]:
    """Returns the context in which the processes work together; see `connected`.

    Without --distributed it is one of no effect.

    Args:
        options: the parsed flags.
        goes_on: how the advice to start all processes again ends.

    Raises:
        InputError: flags that say who the others are, without --distributed.
    """
    if not options.distributed:
        for name in ("coordinator_address", "num_processes", "process_id"):
            if getattr(options, name) is not None:
                raise InputError(f"--{name}: expected --distributed beside it")
        return contextlib.nullcontext()
    from jaxsr import processes

    return processes.connected(
        coordinator_address=options.coordinator_address,
        num_processes=options.num_processes,
        process_id=options.process_id,
        initialization_timeout=options.initialization_timeout,
        heartbeat_timeout=options.heartbeat_timeout,
        goes_on=goes_on,
    )


def _whole(least: int) -> Callable[[str], int]:
    def parse(text: str) -> int:
        if not text.isdecimal() or int(text) < least:
            raise argparse.ArgumentTypeError(
                f"expected a whole number of at least {least}, got {text!r}"
            )
        return int(text)

    return parse
