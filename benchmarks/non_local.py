"""How the blocked non-local attention compares with the formula that builds the matrix.

    python benchmarks/non_local.py [--json out.json] [--large 512]

For square maps with 32 inner features and every pixel a key: seconds, forward and with
gradients, of `softmax(q @ k.T) @ v` as it stands and of
`jaxsr.layers.non_local.attention`, both compiled, for one image on JAX's default
device. Times are the shortest of several runs. Where the matrix and its gradients would
pass `--limit` the plain formula is left out.

Before that, one `NonLocal()` block on a `--large` x `--large` x 64 map, by itself in a
process of its own, whose peak memory is the device's, or on a CPU the whole process's
(ru_maxrss, with JAX itself). On a CPU 512 takes minutes; `--large 0` leaves it out.
"""

import argparse
import functools
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
from measuring import shortest_seconds, write_json

from jaxsr.layers.non_local import attention

_FEATURES = 32
_MEASURE_LARGE = """
import json, resource, sys, time
import jax, jax.numpy as jnp
from jaxsr.layers.non_local import NonLocal

side, backward = int(sys.argv[1]), sys.argv[2] == "backward"
block = NonLocal()
x = jax.random.normal(jax.random.key(0), (1, side, side, 64))
small = x[:, :8, :8]
variables = block.init(jax.random.key(1), small)

def loss(variables, x):
    return jnp.sum(jnp.square(block.apply(variables, x)))

function = jax.grad(loss, argnums=(0, 1)) if backward else block.apply
function = jax.jit(function).lower(variables, x).compile()
start = time.perf_counter()
jax.block_until_ready(function(variables, x))
seconds = time.perf_counter() - start
unit = 1 if sys.platform == "darwin" else 1024
device = jax.devices()[0].memory_stats() or {}  # CPUs tell nothing
used = unit * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
peak = device.get("peak_bytes_in_use", used)
print(json.dumps({"seconds": seconds, "peak_bytes": peak}))
"""


def plain_attention(queries: jax.Array, keys: jax.Array, values: jax.Array):
    """Returns `softmax(queries @ keys.T) @ values` by way of the whole matrix."""
    scores = jnp.einsum("nqd,nkd->nqk", queries, keys)
    return jnp.einsum("nqk,nkd->nqd", jax.nn.softmax(scores, axis=-1), values)


def with_gradients(function: Callable[..., jax.Array]) -> Callable:
    def loss(*inputs: jax.Array) -> jax.Array:
        return jnp.sum(jnp.square(function(*inputs)))

    return jax.grad(loss, argnums=(0, 1, 2))


def compare(side: int, *, repeats: int, limit: float) -> dict[str, Any]:
    """Returns the row of one map of `side` x `side`; None where nothing was run."""
    keys = jax.random.split(jax.random.key(0), 3)
    inputs = [jax.random.normal(key, (1, side**2, _FEATURES)) for key in keys]
    matrix = 4 * side**4
    row: dict[str, Any] = {"side": side, "matrix_bytes": matrix}
    # Copies of the matrix alive at once: scores and weights; and their gradients.
    for name, wrap, copies in (
        ("forward", lambda function: function, 2),
        ("backward", with_gradients, 4),
    ):
        functions: dict[str, Callable[..., jax.Array]] = {"blocked": attention}
        if copies * matrix <= limit * 2**30:
            functions["plain"] = plain_attention
        seconds = {
            form: shortest_seconds(
                functools.partial(jax.jit(wrap(function)), *inputs), repeats
            )
            for form, function in functions.items()
        }
        plain, blocked = seconds.get("plain"), seconds["blocked"]
        row[name] = {
            "plain_seconds": plain,
            "blocked_seconds": blocked,
            "ratio": plain and plain / blocked,
        }
    return row


def measure_large(side: int, direction: str) -> dict[str, float]:
    """Returns seconds and peak bytes of a process that runs one block, once."""
    command = [sys.executable, "-c", _MEASURE_LARGE, str(side), direction]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return json.loads(done.stdout)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--sides", type=int, nargs="+", default=[48, 96, 128])
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--limit", type=float, default=8.0, help="GiB; default 8")
    parser.add_argument("--large", type=int, default=512, metavar="SIDE")
    parser.add_argument("--backward", action="store_true", help="the large map too")
    parser.add_argument("--json", type=Path, help="write the figures to this file")
    options = parser.parse_args()

    # First: Linux counts what the parent of a process ever used to its own peak, and
    # on a GPU a parent that has started JAX holds most of the memory.
    large = {}
    if options.large:
        for direction in ("forward", *(["backward"] if options.backward else [])):
            large[direction] = measure_large(options.large, direction)
            print(
                f"NonLocal on {options.large}x{options.large}x64, {direction}: "
                f"{large[direction]['seconds']:.1f} s, "
                f"peak {large[direction]['peak_bytes'] / 2**30:.2f} GiB",
                flush=True,
            )
    device = jax.devices()[0].device_kind
    print(f"{_FEATURES} inner features, {device}, shortest of {options.repeats} runs")
    print("map      matrix    direction  plain      blocked    plain / blocked")
    rows = []
    for side in options.sides:
        row = compare(side, repeats=options.repeats, limit=options.limit)
        rows.append(row)
        for direction in ("forward", "backward"):
            plain = row[direction]["plain_seconds"]
            blocked = row[direction]["blocked_seconds"]
            print(
                f"{f'{side}x{side}':8} {row['matrix_bytes'] / 2**20:5.0f} MiB "
                f"{direction:9} "
                + (f" {plain:8.4f} s" if plain else f"{'-':>11}")
                + f" {blocked:8.4f} s "
                + (f"{plain / blocked:8.1f}" if plain else f"{'-':>8}"),
                flush=True,
            )
    write_json(options.json, {"maps": rows, "large": {"side": options.large, **large}})


if __name__ == "__main__":
    main()
