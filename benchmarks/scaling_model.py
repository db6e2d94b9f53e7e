"""What data parallelism over many chips costs, on paper: docs/scaling.md explains it.

    python benchmarks/scaling_model.py --step_ms 24 --parameters 1369859

`--step_ms` is the time of a step of one chip on its part of the batch, as
`train_step.py` measures it; `--parameters` as `jaxsr models` prints them.
"""

import argparse
import dataclasses
import json
from pathlib import Path

_BYTES = 4  # gradients are float32, as the parameters are


@dataclasses.dataclass(frozen=True)
class Interconnect:
    """How chips are joined: in groups, and the groups with each other.

    Attributes:
        group: chips in a group: a row of a TPU's torus, a node of GPUs.
        inside: bytes per second that a chip sends within its group.
        between: bytes per second that each chip sends to other groups.
        latency: seconds of one message.
    """

    group: int
    inside: float
    between: float
    latency: float


# Sources and what is assumed: docs/scaling.md.
INTERCONNECTS = {
    "v5e": Interconnect(group=16, inside=100e9, between=100e9, latency=1e-6),
    "h100": Interconnect(group=8, inside=450e9, between=50e9, latency=5e-6),
}


def all_reduce_seconds(chips: int, size: float, net: Interconnect) -> float:
    """Returns the time in which all chips get the sum of `size` bytes of each.

    Ring within a group (reduce-scatter), ring over groups of what each chip then holds,
    ring within the group again (all-gather).
    """
    inside = min(chips, net.group)
    groups = chips / inside
    seconds = 2 * (inside - 1) * (size / inside / net.inside + net.latency)
    part = size / inside
    return seconds + 2 * (groups - 1) * (part / groups / net.between + net.latency)


def predict(
    chips: int, *, step: float, parameters: int, net: Interconnect
) -> dict[str, float]:
    """Returns one row, times in seconds.

    Weak scaling keeps each chip's part of the batch, `step` seconds of work; strong
    scaling divides that part among the chips. The sum of gradients waits for all of
    them and nothing waits for it but the update: no overlap is counted on.
    """
    reduce = all_reduce_seconds(chips, _BYTES * parameters, net)
    return {
        "chips": chips,
        "all_reduce": reduce,
        "weak_efficiency": step / (step + reduce),
        "weak_speedup": chips * step / (step + reduce),
        "strong_speedup": step / (step / chips + reduce),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--step_ms", type=float, required=True)
    parser.add_argument("--parameters", type=int, required=True)
    parser.add_argument("--interconnect", choices=INTERCONNECTS, default="v5e")
    parser.add_argument(
        "--chips", nargs="+", type=int, default=[1, 2, 4, 8, 16, 32, 64, 128, 256]
    )
    parser.add_argument("--json", type=Path, help="write the figures to this file")
    options = parser.parse_args()
    rows = [
        predict(
            chips,
            step=options.step_ms / 1000,
            parameters=options.parameters,
            net=INTERCONNECTS[options.interconnect],
        )
        for chips in options.chips
    ]
    print("| chips | all-reduce, ms | weak: efficiency | speed-up | strong: speed-up |")
    print("|---|---|---|---|---|")
    for row in rows:
        print(
            f"| {row['chips']} | {1000 * row['all_reduce']:.3f} "
            f"| {row['weak_efficiency']:.1%} | {row['weak_speedup']:.1f} "
            f"| {row['strong_speedup']:.1f} |"
        )
    if options.json:
        options.json.write_text(json.dumps(rows, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
