"""Test images among training images: copies that were scaled, cropped or mirrored.

Sets of this field were collected from one another: BSD200's 302003, for one, is Set5's
"woman". Points of both images are matched by OpenCV's SIFT, which knows no scale and no
place, and a pair is a copy if one similarity (scale, turn, shift) takes many of them to
each other.
"""

import dataclasses
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from tqdm import tqdm

from jaxsr.data.source import Source
from jaxsr.errors import InputError

_POINTS = 500
# Of two candidates for a point the nearer has to be nearer by this (Lowe 2004, 7.1).
_RATIO = 0.75
_LEAST_POINTS, _LEAST_SHARE = 15, 0.5
# Unrelated images agree too, on taking all points of one to a single one of the other.
_SMALLEST, _LARGEST = 0.2, 5.0
_TOLERANCE = 2.0  # pixels


@dataclasses.dataclass(frozen=True)
class Overlap:
    """Two images that show the same.

    Attributes:
        image: name in the source that was searched.
        other: "SET/NAME" of what it is a copy of.
        scale: how many pixels of `image` one of the other's is wide.
        mirrored: whether left and right are exchanged.
        points: how many matched points agree on it, of `matched`.
    """

    image: str
    other: str
    scale: float
    mirrored: bool
    points: int
    matched: int

    def line(self) -> str:
        """Returns it in words."""
        mirrored = ", mirrored" if self.mirrored else ""
        return (
            f"{self.image} is {self.other} scaled by {self.scale:.2f}{mirrored} "
            f"({self.points} of {self.matched} points agree)"
        )


def find_overlaps(
    source: Source, others: Sequence[Source], *, progress: bool = False
) -> Iterator[Overlap]:
    """Yields the pairs that show the same, one for each image of `source` and other.

    Args:
        source: images for training.
        others: test sets; `source` itself among them is searched for copies within.
        progress: show a bar.

    Raises:
        InputError: OpenCV is not installed.
    """
    cv2 = _opencv()
    sift = cv2.SIFT_create(nfeatures=_POINTS)
    known = [
        (set_, index, mirrored, _describe(cv2, sift, set_.hr(index), mirrored))
        for set_ in others
        for index in range(len(set_))
        for mirrored in (False, True)
    ]
    for index in tqdm(
        range(len(source)), source.name, unit="image", disable=not progress
    ):
        points, descriptors = _describe(cv2, sift, source.hr(index), False)
        if descriptors is None:
            continue
        for set_, at, mirrored, (other_points, other_descriptors) in known:
            # Within one set each pair is met once, and no image with itself.
            if other_descriptors is None or (set_ is source and at >= index):
                continue
            matches = cv2.BFMatcher().knnMatch(other_descriptors, descriptors, k=2)
            good = [
                pair[0]
                for pair in matches
                if len(pair) == 2 and pair[0].distance < _RATIO * pair[1].distance
            ]
            if len(good) < _LEAST_POINTS:
                continue
            matrix, inside = cv2.estimateAffinePartial2D(
                other_points[[match.queryIdx for match in good]],
                points[[match.trainIdx for match in good]],
                ransacReprojThreshold=_TOLERANCE,
            )
            if matrix is None:
                continue
            agreeing = int(np.count_nonzero(inside))
            scale = float(np.hypot(matrix[0, 0], matrix[1, 0]))
            many = agreeing >= max(_LEAST_POINTS, _LEAST_SHARE * len(good))
            if many and _SMALLEST < scale < _LARGEST:
                yield Overlap(
                    image=source.image_name(index),
                    other=f"{set_.name}/{set_.image_name(at)}",
                    scale=scale,
                    mirrored=mirrored,
                    points=agreeing,
                    matched=len(good),
                )


def _opencv() -> Any:
    try:
        import cv2
    except ImportError:
        raise InputError(
            "comparing images needs OpenCV: pip install 'jaxsr-superres[check]'"
        ) from None
    cv2.setRNGSeed(0)
    return cv2


def _describe(cv2: Any, sift: Any, hr: np.ndarray, mirrored: bool) -> tuple[Any, Any]:
    """Returns the points of an image `[N, 2]` and what they look like `[N, 128]`."""
    gray = cv2.cvtColor(hr, cv2.COLOR_RGB2GRAY) if hr.shape[-1] == 3 else hr[..., 0]
    if mirrored:
        gray = gray[:, ::-1]
    found, descriptors = sift.detectAndCompute(np.ascontiguousarray(gray), None)
    return np.array([point.pt for point in found], np.float32), descriptors
