"""Several processes that work together, on one machine or on many: how they find each
other, agree, and end.

A program of one process can call all of it, and nothing happens.
"""

import contextlib
import json
import os
import signal
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NoReturn

import jax
import numpy as np
from jax.experimental.multihost_utils import process_allgather
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from jaxsr.errors import InputError, first_line
from jaxsr.witness import Witness

# Ours comes after XLA's own timeout, which takes effect 5 seconds late, with a page of
# stack frames.
_JOIN_GRACE_SECONDS = 2
# XLA ends all processes as soon as the first one is gone; so long they have to say what
# was wrong, where the same is wrong with all.
_ERROR_GRACE_SECONDS = 2

_witness: Witness | None = None

# Words in what JAX raises when it waits for a process that has gone.
_SIGNS_OF_LOSS = (
    "Gloo",
    "NCCL",
    "UNAVAILABLE",
    "DEADLINE_EXCEEDED",
    "coordination service",
    "heartbeat",
)


@contextlib.contextmanager
def connected(
    *,
    coordinator_address: str | None = None,
    num_processes: int | None = None,
    process_id: int | None = None,
    initialization_timeout: int = 300,
    heartbeat_timeout: int = 100,
    goes_on: str = "",
) -> Iterator[None]:
    """Joins the other processes; all leave together at the end of the `with` block.

    Belongs at the start of a program, before JAX runs anything; the program then ends
    by `leave`. What is None is found by JAX itself on TPU pods and under SLURM, Open
    MPI and Kubernetes.

    Args:
        coordinator_address: "HOST:PORT" of process 0, a port that is free there.
        num_processes: how many there are.
        process_id: which one this is, from 0.
        initialization_timeout: seconds in which all must have joined. If they have not,
            the program ends with one line and code 1.
        heartbeat_timeout: seconds of silence after which a process is taken for dead.
            XLA then ends the others by abort, and a line of ours says so.
        goes_on: how the advice to start all of them again ends.

    What XLA and Gloo print of the others is left out until then; Python's own output is
    not touched.

    Raises:
        InputError: nothing says where the others are.
        OSError: they cannot be joined, or one was lost while this one waited for it.
    """
    global _witness
    # JAX knows as well, but asking it would start it.
    who = "this process" if process_id is None else f"process {process_id}"
    _witness = Witness(who, seconds=heartbeat_timeout, goes_on=goes_on)
    with _ends_unless_all_join(who, coordinator_address, initialization_timeout):
        try:
            jax.distributed.initialize(
                coordinator_address,
                num_processes,
                process_id,
                initialization_timeout=initialization_timeout,
                heartbeat_timeout_seconds=heartbeat_timeout,
                shutdown_timeout_seconds=heartbeat_timeout,
            )
        except ValueError as error:
            raise InputError(
                f"which processes are there? {first_line(error)} Outside of TPU pods, "
                "SLURM, Open MPI and Kubernetes give --coordinator_address, "
                "--num_processes and --process_id"
            ) from error
        except RuntimeError as error:
            raise OSError(
                f"cannot join the other processes: {first_line(error)}"
            ) from error
    # JAX has taken SIGTERM, to tell the others, and would keep it from ending anything.
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    try:
        yield
        wait_for_all()
        jax.distributed.shutdown()
    except Exception as error:
        lost_error = find_lost(error)
        if lost_error is not None:
            raise OSError(
                f"{who} lost another process, whose output says why "
                f"({first_line(lost_error)}); start all of them again{goes_on}"
            ) from error
        raise
    _witness.leave()


def leave(code: int) -> NoReturn:
    """Ends the program; to be called last.

    After an error it does not wait for the other processes, which may never come.
    """
    if _witness is not None:
        _witness.dismiss()
    if code and jax.distributed.is_initialized():
        sys.stdout.flush()
        sys.stderr.flush()
        if is_first():
            time.sleep(_ERROR_GRACE_SECONDS)
        os._exit(code)
    sys.exit(code)


@contextlib.contextmanager
def _ends_unless_all_join(
    who: str, address: str | None, seconds: int
) -> Iterator[None]:
    """Ends the program with one line if the block takes longer."""

    def end() -> None:
        if _witness is not None:
            _witness.dismiss()
        where = f" at {address}" if address else ""
        print(
            f"error: {who} waited {seconds} s{where} for all processes to join: one of "
            "them was not started, ended, or cannot reach that address "
            "(--initialization_timeout)",
            file=sys.stderr,
            flush=True,
        )
        os._exit(1)

    timer = threading.Timer(seconds + _JOIN_GRACE_SECONDS, end)
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()


def is_first() -> bool:
    """Returns whether this is the process that writes files and reports."""
    return jax.process_index() == 0


def share(items: Sequence[Any]) -> Sequence[Any]:
    """Returns what of the items is this process's: every so many-th of them."""
    return items[jax.process_index() :: jax.process_count()]


def gather(value: Any) -> list[Any]:
    """Returns what each process gave, in the order of their numbers.

    All have to call it.

    Args:
        value: what JSON can hold; floats arrive exactly.
    """
    if jax.process_count() == 1:
        return [value]
    data = np.frombuffer(json.dumps(value).encode(), np.uint8)
    sizes = process_allgather(np.int32(data.size))
    padded = np.zeros(sizes.max(), np.uint8)
    padded[: data.size] = data
    rows = process_allgather(padded)
    return [
        json.loads(row[:size].tobytes()) for row, size in zip(rows, sizes, strict=True)
    ]


def ask_first(function: Callable[[], Any]) -> Any:
    """Returns in all processes what the function returns in the first one.

    All have to call it; the others do not call the function.

    Args:
        function: returns what JSON can hold.

    Raises:
        InputError: it raised one, in the first process; so it is with an `OSError`.
    """
    answer = problem = None
    if is_first():
        try:
            answer = function()
        except InputError as error:
            if jax.process_count() == 1:
                raise
            problem = "input", str(error)
        except OSError as error:
            if jax.process_count() == 1:
                raise
            problem = "system", str(error)
    answer, problem = gather([answer, problem])[0]
    if problem is not None:
        kind, message = problem
        raise InputError(message) if kind == "input" else OSError(message)
    return answer


def find_lost(error: BaseException) -> BaseException | None:
    """Returns the error that says that another process was lost, if one is the cause of
    what was raised."""
    seen: BaseException | None = error
    while seen is not None:
        if isinstance(seen, jax.errors.JaxRuntimeError) and any(
            sign in str(seen) for sign in _SIGNS_OF_LOSS
        ):
            return seen
        seen = seen.__cause__ or seen.__context__
    return None


def wait_for_all() -> None:
    """Returns when all processes have called it."""
    gather(None)


class Agreement:
    """The largest number that any process gives, told to all at the same call."""

    def __init__(self, *, delay: int):
        """Compiles nothing yet.

        Args:
            delay: the answer is that of so many calls ago, so that asking does not wait
                for what the devices were given since then.
        """
        mesh = Mesh(np.array(jax.devices()), ("devices",))
        self._sharding = NamedSharding(mesh, PartitionSpec("devices"))
        self._largest = jax.jit(
            lambda numbers: numbers.max(),
            out_shardings=NamedSharding(mesh, PartitionSpec()),
        )
        self._delay = delay if jax.process_count() > 1 else 0
        self._asked: deque[jax.Array] = deque()

    def ask(self, number: int) -> int:
        """Returns the answer, 0 while there is none; all processes have to call it."""
        if jax.process_count() == 1:
            return number
        numbers = np.full(len(self._sharding.addressable_devices), number, np.int32)
        self._asked.append(
            self._largest(
                jax.make_array_from_process_local_data(self._sharding, numbers)
            )
        )
        return int(self._asked.popleft()) if len(self._asked) > self._delay else 0
