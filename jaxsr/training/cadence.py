"""When things happen in a run: logging, evaluation, checkpoints, the end."""

import dataclasses
import math

from jaxsr.errors import InputError

# Steps in one dispatch if nobody says how many: enough to hide what a dispatch costs,
# few enough to notice a signal soon.
_STEPS_PER_DISPATCH = 16


@dataclasses.dataclass(frozen=True, kw_only=True)
class Cadence:
    """When things happen, in steps; 0 means never (and at the end all the same).

    Attributes:
        steps: the run ends after so many.
        max_minutes: the run also ends, with a checkpoint, after so much wall time, of
            this start and not of earlier ones; at least one step is done.
        log_every: loss and speed are logged.
        eval_every: the network is evaluated.
        checkpoint_every: a checkpoint is written.
        steps_per_dispatch: the devices get so many steps at a time, since things can
            only happen between dispatches a divisor of the three above.
    """

    steps: int
    max_minutes: float | None = None
    log_every: int = 100
    eval_every: int = 5_000
    checkpoint_every: int = 1000
    steps_per_dispatch: int = 1

    def __post_init__(self):
        if self.steps_per_dispatch < 1:
            raise InputError(
                "train.steps_per_dispatch: expected a number of steps, or 0 for as "
                f"many as fit, got {self.steps_per_dispatch}"
            )
        for name in ("log_every", "eval_every", "checkpoint_every"):
            if getattr(self, name) % self.steps_per_dispatch:
                raise InputError(
                    f"train.steps_per_dispatch: expected a divisor of train.{name}="
                    f"{getattr(self, name)}, got {self.steps_per_dispatch}"
                )

    def with_most_steps_per_dispatch(self) -> "Cadence":
        """Returns the cadence with the most steps per dispatch that fit it, at most
        16."""
        every = math.gcd(self.log_every, self.eval_every, self.checkpoint_every)
        most = max(n for n in range(1, _STEPS_PER_DISPATCH + 1) if every % n == 0)
        return dataclasses.replace(self, steps_per_dispatch=most)

    def next_dispatch(self, step: int) -> int:
        """Returns how many steps to do at once after `step` steps.

        One, where a run begins or ends between the usual dispatches: any other number
        would have to be compiled for this one time.
        """
        count = self.steps_per_dispatch
        return count if step % count == 0 and step + count <= self.steps else 1


def is_due(step: int, every: int) -> bool:
    """Returns whether something that happens `every` so many steps happens after
    `step`.

    `step` counts from 1; `every=0` is never.
    """
    return every > 0 and step % every == 0
