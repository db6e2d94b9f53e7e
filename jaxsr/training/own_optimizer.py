"""An optimiser of another package, by its place: `optimizer_at("optax:lion", rate)`."""

from typing import Any

import jax
import optax

from jaxsr.errors import InputError, first_line
from jaxsr.places import at_place


def optimizer_at(place: str, schedule: optax.Schedule) -> optax.GradientTransformation:
    """Returns the optimiser that a function makes of the learning rate's schedule.

    Args:
        place: of the function, "optax:lion".
        schedule: learning rate as a function of the step.

    Raises:
        InputError: there is no such function, or it makes no optimiser of a schedule
            alone. What it returns raises one when it is given the parameters and wants
            more than gradients, its state and them: L-BFGS also wants the loss.
    """
    what = f"optimizer.name: {place!r}"
    function = at_place(place, what)
    expected = (
        f"{what}: expected a function that makes an optax.GradientTransformation of a "
        "schedule"
    )
    try:
        made = function(schedule)
    except Exception as error:  # somebody's own function
        raise InputError(f"{expected} alone ({first_line(error)})") from error
    if not hasattr(made, "init") or not hasattr(made, "update"):
        raise InputError(f"{expected}, got {made!r} from it")

    def init(params: optax.Params) -> Any:
        try:
            state = made.init(params)
            jax.eval_shape(made.update, params, state, params)
        except Exception as error:
            raise InputError(
                f"{what}: expected updates from gradients, its state and the "
                f"parameters alone ({first_line(error)})"
            ) from error
        return state

    return optax.GradientTransformation(init, made.update)
