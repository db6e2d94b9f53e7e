"""A program of its own: reads along what the libraries beneath a process print, and
says in one line what became of the process if it cannot say it itself.

usage: python witness_child.py WHO SECONDS NOISE < THE_END

XLA ends a process that lost another one from within, by abort, so that nothing of
Python comes to say what it means. WHO is that process, SECONDS its patience with the
others, NOISE an open file from which its output is read, THE_END something of at least
one byte if it ended regularly. It imports nothing of jaxsr, to start fast.
"""

import re
import sys
import threading
from collections.abc import Iterable, Iterator

# How XLA tells that another process has gone; that it ends this one comes last.
_ABOUT_OTHERS = re.compile(
    r"[IWE]\d{4} .*(coordination_service|coordination_client|preemption_sync_manager|"
    r"distributed_runtime|grpc)"
)
_GOES_ON = re.compile(
    r"(\d*|The tasks have crashed.*|Additional GRPC.*|:UNKNOWN:.*|RPC: .*)$"
)
# Gloo's greeting, whose pieces threads write into one another's lines.
_GREETING = re.compile(
    r"\[Gloo\] Rank|is connected to(?= *\d| *is connected| *\[Gloo| *$)|peer ranks\.|"
    r"Expected number of connected peer ranks is ?:"
)
_ENDS_THIS_ONE = re.compile(r"F\d{4} .*the JAX distributed service detected fatal")
_GONE = re.compile(r"(\d+)$")
_SECONDS_OF_LAST_WORDS = 10.0


class Listener:
    """Tells what has to be shown from what all processes of a run print.

    Attributes:
        is_lost: another process was lost.
        gone: the numbers of those that were, as far as they are known.
    """

    def __init__(self):
        """Nothing heard yet."""
        self.is_lost = False
        self.gone: list[str] = []
        self._passed_over = False
        self._greeted = False

    def shown(self, lines: Iterable[str]) -> Iterator[str]:
        """Yields the lines that are not about other processes."""
        for line in lines:
            text = line.rstrip()
            if self.is_lost:
                continue  # a page of stack frames
            if _ENDS_THIS_ONE.match(text):
                self.is_lost = True
            elif _ABOUT_OTHERS.match(text):
                self._passed_over = True
            elif self._passed_over and _GOES_ON.match(text):
                self.gone += _GONE.findall(text)
            else:
                self._passed_over = False
                rest = _GREETING.sub("", text)
                self._greeted |= rest != text
                if not self._greeted or rest.strip(" :0123456789"):
                    self._greeted = False
                    yield line if rest == text else f"{rest.strip()}\n"


def main(who: str, seconds: str, goes_on: str, noise: str) -> None:
    listener = Listener()

    def listen() -> None:
        with open(int(noise), encoding="utf-8", errors="replace") as lines:
            for line in listener.shown(lines):
                print(line, end="", file=sys.stderr, flush=True)

    thread = threading.Thread(target=listen, daemon=True)
    thread.start()
    ended_regularly = sys.stdin.read()
    thread.join(_SECONDS_OF_LAST_WORDS)
    if ended_regularly:
        return
    what = "ended abruptly: it was killed, or it crashed"
    if listener.is_lost:
        gone = ", ".join(dict.fromkeys(listener.gone))
        which = f"process {gone}" if gone else "another process"
        what = (
            f"lost {which}, which died or was not heard of for {seconds} s (that "
            "one's output says why)"
        )
    print(
        f"error: {who} {what}; start all of them again{goes_on}",
        file=sys.stderr,
    )


if __name__ == "__main__":
    main(*sys.argv[1:])
