"""The moving average of the parameters, which is what is used and scored."""

from typing import Any

import jax
import jax.numpy as jnp


def update_ema(ema: Any, params: Any, *, decay: float, step: jax.Array) -> Any:
    """Returns the moving average after `step` (counted from 0) gave `params`.

    The decay rises as `(1 + step) / (10 + step)` up to `decay`: a fixed 0.999 would
    drag the random start along for thousands of steps. An empty average stays empty.
    """
    if not ema:
        return ema
    share = 1.0 - jnp.minimum(decay, (1.0 + step) / (10.0 + step))
    return jax.tree.map(lambda e, p: e + share * (p - e), ema, params)
