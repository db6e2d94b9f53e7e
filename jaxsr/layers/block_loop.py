"""How a chain of equal blocks is run: what is kept for the gradient, what is compiled.

Whatever is chosen, each block's parameters lie under its own name (block00, block01,
...): weights, checkpoints and results are the same, up to rounding.
"""

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import flax.linen as nn
import jax
import jax.numpy as jnp

Carry = TypeVar("Carry")


def _call(block: nn.Module, x: Any) -> Any:
    return block(x)


@dataclasses.dataclass(frozen=True)
class BlockLoop:
    """Runs blocks one after the other.

    Attributes:
        remat: of each block only the input is kept for the gradient and the rest
            computed again (rematerialisation): memory for a forward pass more.
        roll: the blocks become the body of one compiled loop, so that XLA compiles one
            block instead of all; parameters are stacked for it at each call. Not for
            gradients on CPUs: XLA's of convolutions in loops take 20 times as long.
        fewest: so many blocks at least are rolled.
    """

    remat: bool = False
    roll: bool = False
    fewest: int = 1

    def __call__(
        self,
        blocks: Sequence[nn.Module],
        x: Carry,
        call: Callable[[Any, Carry], Carry] = _call,
    ) -> Carry:
        """Returns `call(blocks[-1], ... call(blocks[0], x))`.

        Args:
            blocks: modules of a network's `@nn.compact` body, with equal fields.
            x: what goes through them; keeps its shape and type.
            call: applies one block, `block(x)` by default.
        """
        roll = self.roll and len(blocks) >= self.fewest
        plain = not (self.remat or roll)
        if plain or not blocks or blocks[0].is_initializing():
            for block in blocks:
                x = call(block, x)
            return x
        if roll:
            return _roll(blocks, x, call, remat=self.remat)
        call = nn.remat(call)
        for block in blocks:
            x = call(block, x)
        return x


def _roll(blocks: Sequence[nn.Module], x: Any, call: Any, *, remat: bool) -> Any:
    # One block without a place in the network is applied to each one's variables.
    template = blocks[0].clone(parent=None)
    variables = [dict(block.variables) for block in blocks]
    updated = [name for name in variables[0] if blocks[0].is_mutable_collection(name)]

    def body(x: Any, variables: Any) -> tuple[Any, Any]:
        return nn.apply(call, template, mutable=updated)(variables, x)

    if remat:
        # The barrier against merging with the forward pass is not needed in a loop.
        body = jax.checkpoint(body, prevent_cse=False)
    stacked = jax.tree.map(lambda *leaves: jnp.stack(leaves), *variables)
    x, news = jax.lax.scan(body, x, stacked)
    for i, block in enumerate(blocks):
        for collection, tree in news.items():  # running statistics
            for name, leaves in tree.items():
                new = jax.tree.map(lambda leaf, i=i: leaf[i], leaves)
                block.put_variable(collection, name, new)
    return x
