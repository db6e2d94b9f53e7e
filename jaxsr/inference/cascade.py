"""Any scale, by networks of whole ones: `Cascade`.

x8 is x4, then x2. x3.5 is what the next larger network gives, made smaller by MATLAB's
bicubic. Between stages a picture is rounded as in a file: the result is that of one
run after the other.
"""

import itertools
import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from fractions import Fraction
from typing import TYPE_CHECKING, Any

import numpy as np

from jaxsr.errors import InputError
from jaxsr.imaging import imresize
from jaxsr.inference.comparison import compare
from jaxsr.inference.pictures import apply_to
from jaxsr.inference.upscaler import Upscaler
from jaxsr.models import name_of

if TYPE_CHECKING:  # an optional dependency
    from matplotlib.figure import Figure

_LARGEST = 64


def read_scale(scale: float | Fraction | str) -> Fraction:
    """Returns a scale as people write it, 3.5 or "3.5", exactly.

    Raises:
        InputError: no number from 1 to 64.
    """
    text = str(scale)
    try:
        # Fraction would write out all that 1e2000000000 stands for, float does not.
        is_far = "e" in text.lower() and not 0 < float(text) <= _LARGEST
        factor = Fraction(0 if is_far else text)
    except (ValueError, ZeroDivisionError):
        factor = Fraction(0)
    if not 1 <= factor <= _LARGEST:
        raise InputError(
            f"scale: expected a number of at least 1, at most {_LARGEST}, got {scale}"
        )
    return factor


def choose_stages(scale: Fraction, available: Iterable[int]) -> list[int]:
    """Returns whole scales, larger first, whose product is the least one not below.

    Of several such products the one of fewest factors: 4, not 2 times 2.

    Args:
        scale: above 1.
        available: scales of networks, at least one above 1.
    """
    factors = sorted({factor for factor in available if factor > 1}, reverse=True)
    longest = max(math.ceil(math.log2(scale)), 1)
    chains = (
        chain
        for length in range(1, longest + 1)
        for chain in itertools.combinations_with_replacement(factors, length)
        if math.prod(chain) >= scale
    )
    return list(min(chains, key=lambda chain: (math.prod(chain), len(chain))))


class Cascade:
    """Upscalers one after the other, then bicubic down to a scale that none has.

    Attributes:
        upscalers: the stages.
        scale: the whole's.
    """

    def __init__(self, upscalers: Sequence[Upscaler], scale: Fraction):
        """Checks that the stages suffice.

        Raises:
            InputError: together they enlarge by less than `scale`.
        """
        reached = math.prod(upscaler.scale for upscaler in upscalers)
        if reached < scale:
            raise InputError(
                f"scale: expected at most x{reached}, that of the weights, got "
                f"x{float(scale):g}"
            )
        self.upscalers = tuple(upscalers)
        self.scale = scale

    def __repr__(self) -> str:
        return f"<Cascade {self.describe()}>"

    def describe(self) -> str:
        """Returns a line on the stages."""
        stages = [upscaler.describe() for upscaler in self.upscalers]
        if math.prod(upscaler.scale for upscaler in self.upscalers) > self.scale:
            stages.append("bicubic down")
        return f"x{float(self.scale):g}: {', then '.join(stages)}"

    def output_shape(self, height: int, width: int) -> tuple[int, int]:
        """Returns height and width of what becomes of a picture, rounded up."""
        return math.ceil(height * self.scale), math.ceil(width * self.scale)

    def beside_others(self) -> "Cascade":
        """Returns the same cascade for several threads: see `Upscaler`."""
        stages = [upscaler.beside_others() for upscaler in self.upscalers]
        return Cascade(stages, self.scale)

    def __call__(
        self, picture: Any, *, progress: Callable[[int, int], object] | None = None
    ) -> Any:
        """Returns the picture enlarged `scale` times; see `Upscaler`.

        `progress` is told of the tiles of one stage after the other.
        """

        def enlarge(image: np.ndarray, *, beside_others: bool) -> np.ndarray:
            size = self.output_shape(*image.shape[:2])
            stages = self.beside_others() if beside_others else self
            for upscaler in stages.upscalers:
                image = upscaler(image, progress=progress)
            if image.shape[:2] == size:
                return image
            return imresize(image, output_size=size)

        return apply_to(picture, enlarge, self.output_shape)

    def enlarge_rows(
        self,
        image: np.ndarray,
        take: Callable[[Iterator[np.ndarray]], object],
        *,
        progress: Callable[[int, int], object] | None = None,
    ) -> None:
        """Enlarges a picture whose result need not be in memory whole.

        That of the stages before the last is, and the last one's before bicubic
        interpolation; see `Upscaler.enlarge_rows`.
        """
        *before, last = self.upscalers
        size = self.output_shape(*image.shape[:2])
        for upscaler in before:
            image = upscaler(image, progress=progress)
        if last.output_shape(*image.shape[:2]) == size:
            last.enlarge_rows(image, take, progress=progress)
        else:
            sr = last(image, progress=progress)
            take(iter([imresize(sr, output_size=size)]))

    def compare(self, photo: Any, *, crop: int | None = None) -> "Figure":
        """Returns a figure for a notebook: see `Upscaler.compare`."""
        names = dict.fromkeys(name_of(upscaler.model) for upscaler in self.upscalers)
        return compare(
            self, photo, crop, scale=self.scale, network=", then ".join(names)
        )
