"""Compiled programs: of few shapes, few at a time, a picture's rows shared out.

XLA compiles a program for each shape, in 1 to 30 s, and on a CPU leaves cores idle
within a device. So pictures lie on canvases of few shapes where the network's layers
allow it (`jaxsr.layers.canvas`), the programs used last are kept and others dropped,
and where there are several accelerators or many cores the rows are shared among them:
XLA itself exchanges what a device needs of its neighbours' rows. A few cores are kept
busy by one device.
"""

import dataclasses
import math
import threading
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec
from jaxtyping import Float

from jaxsr.cpu import MOST_PROGRAMS, give_back_freed_memory, has_avx2_only
from jaxsr.layers.block_loop import BlockLoop
from jaxsr.layers.canvas import apply_on_canvas
from jaxsr.models import Network

# A jax.Device, which type checkers take for a variable.
Device = Any

KEPT_PROGRAMS = 16
"""How many programs a process keeps, those used last; one takes 5 to 50 MB."""

# Pictures of ever other sizes, in work side by side, leave gaps that the next do not
# fit into: a thousand photos took nearly twice what twenty take.
_CALLS_BEFORE_GIVING_BACK = 32

# Fewer rows than this are not worth the exchange with the neighbours: an accelerator is
# through with a hundred rows before it has got those of its neighbour.
_LEAST_ROWS, _LEAST_ROWS_OF_ACCELERATORS = 32, 128

# RCBAM's 16 blocks compile in half of the time as a loop, RCAN's 200 in a fifth, and
# run as fast up to a tenth; six gain nothing (CPU).
_LONG_CHAIN = 10

# XLA:CPU leaves a convolution to one thread where its columns times inputs times
# outputs are fewer than this (between 3.0e5 and 5.2e5, jaxlib 0.10.2).
_IDLE_BELOW = 400_000

# Then YNNPACK takes what is around convolutions too, and shares all of it among
# threads; where they are shared anyway its convolutions are a tenth slower so.
_YNNPACK_TAKES_ALL = ("DOT", "INDIVIDUAL_CONVOLUTION", "ELTWISE", "REDUCE")

# With AVX2 it shares convolutions of so many inputs times outputs unevenly; XLA's own
# keep all threads busy.
_UNEVEN_FROM = 64 * 64
_YNNPACK_TAKES_PRODUCTS = ("DOT",)

_YNNPACK_OPTION = "xla_cpu_experimental_ynn_fusion_type"

# Below the first, sides of canvases are powers of two; above, also half-way between.
_COARSE_SIDE, _LEAST_SIDE = 256, 64


def canvas_side(length: int) -> int:
    """Returns the side of the canvas for pictures `length` pixels high or wide.

    64, 128, 256, 384, 512, 768, 1024, ...: a folder of photos makes do with a handful
    of programs, and on average a third of the work is in vain. It is never a single
    pixel more, see `jaxsr.layers.canvas.apply_on_canvas`.
    """
    side = _LEAST_SIDE
    while side < length or side == length + 1:
        between = side + side // 2
        if side >= _COARSE_SIDE and between >= length and between != length + 1:
            return between
        side *= 2
    return side


class PlacedVariables:
    """A network's variables on several devices, for programs on one or more of them."""

    def __init__(self, variables: Mapping[str, Any], devices: Sequence[Device]):
        """Copies the variables.

        Args:
            variables: arrays on the host.
            devices: each gets a copy.
        """
        self.devices = tuple(devices)
        everywhere = NamedSharding(Mesh(np.array(devices), ("rows",)), PartitionSpec())
        self._variables = jax.device_put(dict(variables), everywhere)
        self._views: dict[int, Any] = {}

    def __reduce__(self) -> Any:
        # Another process has other devices.
        return _placed_here, (jax.device_get(self._variables),)

    def on_first(self, count: int) -> Any:
        """Returns the variables on the first `count` devices, without copying."""
        # A view of a hundred arrays takes 4 ms, some pictures take no longer.
        if count not in self._views:
            mesh = Mesh(np.array(self.devices[:count]), ("rows",))
            sharding = NamedSharding(mesh, PartitionSpec())
            self._views[count] = jax.tree.map(
                lambda leaf: self._view(leaf, sharding, count), self._variables
            )
        return self._views[count]

    def _view(self, leaf: jax.Array, sharding: NamedSharding, count: int) -> jax.Array:
        copies = {shard.device: shard.data for shard in leaf.addressable_shards}
        parts = [copies[device] for device in self.devices[:count]]
        return jax.make_array_from_single_device_arrays(leaf.shape, sharding, parts)


def _placed_here(variables: Mapping[str, Any]) -> PlacedVariables:
    return PlacedVariables(variables, jax.local_devices())


def enlarge(
    model: Network,
    variables: PlacedVariables,
    lr: Float[np.ndarray, "h w c"],
    *,
    few_shapes: bool,
    alone: bool,
) -> Float[np.ndarray, "sh sw c"]:
    """Returns the network's output for one picture or tile.

    Args:
        model: the network.
        variables: its parameters, on the devices that share the rows.
        lr: the picture.
        few_shapes: put it on a canvas, if the network's layers know of them. The result
            then differs from that of its own shape by the rounding of sums.
        alone: no other tile is in work, so that all cores are free for this one.
    """
    height, width, _ = lr.shape
    rows, columns = height, width
    on_cpu = variables.devices[0].platform == "cpu"
    if few_shapes and model.knows_canvases:
        rows, columns = canvas_side(height), canvas_side(width)
    elif on_cpu:
        model = _compiled_fast(model)
    count = len(variables.devices)
    if on_cpu and (count <= MOST_PROGRAMS or not alone or not model.knows_canvases):
        # Few cores are all kept busy by one device, without exchange. And XLA:CPU runs
        # AMMS's branches in another order on each device: both wait for the other's
        # exchange until it aborts the process (427x240 pixels x3).
        count = 1
    least = _LEAST_ROWS if on_cpu else _LEAST_ROWS_OF_ACCELERATORS
    count = max(min(count, rows // least), 1)
    if model.knows_canvases:
        rows = -(-rows // count) * count
        if rows == height + 1:  # see `canvas_side`
            rows += count
    else:
        count = max(d for d in range(1, count + 1) if rows % d == 0)
    on_canvas = (rows, columns) != (height, width)
    if on_canvas:
        # As far as bicubic interpolation looks it is what the picture's edge implies.
        missing = ((0, rows - height), (0, columns - width), (0, 0))
        lr = np.pad(lr, missing, mode="symmetric")

    placed = variables.on_first(count)
    mesh = Mesh(np.array(variables.devices[:count]), ("rows",))
    by_rows = NamedSharding(mesh, PartitionSpec(None, "rows"))
    everywhere = NamedSharding(mesh, PartitionSpec())
    batch = jax.device_put(np.ascontiguousarray(lr[None]), by_rows)
    size = jax.device_put((np.int32(height), np.int32(width)), everywhere)
    arguments = (placed, batch, *(size if on_canvas else ()))
    leaves, tree = jax.tree.flatten(placed)
    shapes = tuple((leaf.shape, leaf.dtype) for leaf in leaves)
    fusions = None
    if alone and on_cpu and count == 1:
        channels = (math.prod(s[-2:]) for s, _ in shapes if len(s) == 4)
        fusions = _find_fusions(max(channels, default=0), columns)

    # JAX_DISABLE_JIT, to look into the layers; what is compiled refuses to run then.
    uncompiled = jax.config.jax_disable_jit  # pyright: ignore[reportAttributeAccessIssue]

    def compile_program() -> Callable[..., jax.Array]:
        function = _on_canvas if on_canvas else _whole
        program = jax.jit(lambda *given: function(model, *given), out_shardings=by_rows)
        if uncompiled:
            return program
        lowered = program.lower(*arguments)
        return _compile_with(lowered, fusions)

    key = (
        model,
        batch.shape,
        on_canvas,
        variables.devices[:count],
        tree,
        shapes,
        fusions,
        uncompiled,
    )
    sr = jax.device_get(_programs.get(key, compile_program)(*arguments))[0]
    scale = sr.shape[0] // rows
    return sr[: height * scale, : width * scale]


def _find_fusions(channels: int, columns: int) -> tuple[str, ...] | None:
    """Returns what YNNPACK had best take so that every thread has some; None: usual.

    Args:
        channels: inputs times outputs of the widest convolution, 0 if there is none.
        columns: of the picture.
    """
    if channels >= _UNEVEN_FROM and has_avx2_only():
        return _YNNPACK_TAKES_PRODUCTS
    return _YNNPACK_TAKES_ALL if 0 < columns * channels < _IDLE_BELOW else None


def _compile_with(
    lowered: jax.stages.Lowered, fusions: tuple[str, ...] | None
) -> jax.stages.Compiled:
    if fusions is None:
        return lowered.compile()
    kinds = ",".join(f"LIBRARY_FUSION_TYPE_{kind}" for kind in fusions)
    try:
        return lowered.compile(compiler_options={_YNNPACK_OPTION: kinds})
    except jax.errors.JaxRuntimeError as error:
        # An option of one XLA need not be one of the next.
        if "option" not in str(error):
            raise
        return lowered.compile()


def _compiled_fast(model: Network) -> Network:
    """Returns the network with long chains of blocks as loops.

    A program of a shape that few pictures have is worth less than its compilation.
    """
    if getattr(model, "block_loop", None) != BlockLoop():
        return model
    loop = BlockLoop(roll=True, fewest=_LONG_CHAIN)
    return dataclasses.replace(model, block_loop=loop)


def _whole(model: Network, variables: Mapping[str, Any], lr: jax.Array) -> jax.Array:
    return jnp.asarray(model.apply(variables, lr))


def _on_canvas(model: Network, *given: Any) -> jax.Array:
    return jnp.asarray(apply_on_canvas(model, *given))


class _Programs:
    """The programs used last, for threads: each is compiled once."""

    def __init__(self):
        self._lock = threading.Lock()
        self._kept: OrderedDict[Any, tuple[threading.Lock, list[Any]]] = OrderedDict()
        self._calls = 0

    def get(self, key: Any, compile_program: Callable[[], Any]) -> Callable[..., Any]:
        """Returns the program of this key, compiled now if it is not there."""
        with self._lock:
            self._calls += 1
            give_back = self._calls % _CALLS_BEFORE_GIVING_BACK == 0
            busy, program = self._kept.setdefault(key, (threading.Lock(), []))
            self._kept.move_to_end(key)
            while len(self._kept) > KEPT_PROGRAMS:
                self._kept.popitem(last=False)
        with busy:
            if not program:
                program.append(compile_program())
                give_back = True
        if give_back:
            give_back_freed_memory()
        return program[0]


_programs = _Programs()
