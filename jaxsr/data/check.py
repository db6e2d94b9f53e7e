"""What is in a source, and whether its LR images are what they should be."""

import dataclasses
from pathlib import Path

import numpy as np
from tqdm import tqdm

from jaxsr.data.benchmarks import is_benchmark, open_set, unusual_images
from jaxsr.data.pairs import check_sizes
from jaxsr.data.source import MADE_HERE, Source, check_scale
from jaxsr.errors import InputError
from jaxsr.imaging import crop_to_multiple, imresize
from jaxsr.imaging.resize import Edge

# How MATLAB treats taps beyond the image: releases of today mirror it, those of about
# 2015, which made some widely used LR images, repeat the edge pixel.
_EDGES: dict[Edge, str] = {
    "symmetric": "today's MATLAB",
    "replicate": "MATLAB of about 2015",
}


@dataclasses.dataclass
class LrReport:
    """The shipped LR images of one scale against the bicubic of their HR images."""

    scale: int
    images: int = 0
    pixels: int = 0
    # By kind of edge: pixels and images in which any channel differs, largest step.
    differing_pixels: dict[Edge, int] = dataclasses.field(
        default_factory=lambda: dict.fromkeys(_EDGES, 0)
    )
    differing_images: dict[Edge, int] = dataclasses.field(
        default_factory=lambda: dict.fromkeys(_EDGES, 0)
    )
    largest_difference: dict[Edge, int] = dataclasses.field(
        default_factory=lambda: dict.fromkeys(_EDGES, 0)
    )

    def add(self, hr: np.ndarray, lr: np.ndarray) -> None:
        """Compares one pair of uint8 images whose sizes fit."""
        # An LR of rounded-up size can only have been made from the whole HR image.
        sides = zip(lr.shape[:2], hr.shape[:2], strict=True)
        if any(self.scale * low > high for low, high in sides):
            source = hr
        else:
            source = crop_to_multiple(hr, self.scale)
        self.images += 1
        self.pixels += lr.shape[0] * lr.shape[1]
        for edge in _EDGES:
            expected = imresize(source, 1 / self.scale, edge=edge)
            expected = expected[: lr.shape[0], : lr.shape[1]]
            difference = np.abs(expected.astype(int) - lr).max(axis=-1)
            self.differing_pixels[edge] += int(np.count_nonzero(difference))
            self.differing_images[edge] += bool(difference.any())
            largest = max(self.largest_difference[edge], int(difference.max()))
            self.largest_difference[edge] = largest

    @property
    def exact_edge(self) -> Edge | None:
        """The kind of edge with which no pixel differs, None if there is none."""
        for edge in _EDGES:
            if not self.differing_pixels[edge]:
                return edge
        return None

    def lines(self) -> list[str]:
        head = f"LR x{self.scale}: {self.images} images, sizes fit"
        if self.exact_edge:
            return [
                f"{head}, all equal the exact bicubic of their HR "
                f"({self.exact_edge} edges, {_EDGES[self.exact_edge]})"
            ]
        lines = [f"{head}, but they are not the exact bicubic of their HR:"]
        for edge, words in _EDGES.items():
            differing = self.differing_pixels[edge]
            lines.append(
                f"  {edge} edges ({words}): {differing} of {self.pixels} pixels differ "
                f"({differing / self.pixels:.2%}), in {self.differing_images[edge]} "
                f"images, by up to {self.largest_difference[edge]}"
            )
        return lines


@dataclasses.dataclass
class SourceReport:
    """What `check_source` found."""

    name: str
    sizes: list[tuple[int, int]] = dataclasses.field(default_factory=list)
    gray: int = 0
    lr: list[LrReport] = dataclasses.field(default_factory=list)
    problems: list[str] = dataclasses.field(default_factory=list)
    lr_origin: str = MADE_HERE
    # Of a benchmark set: the images that are not the usual copy's, None if not known.
    unusual: list[str] | None = None

    @property
    def ok(self) -> bool:
        """Whether every image can be read and every LR image pairs with its HR.

        LR images that pair but are no exact bicubic are no fault of the source: sets
        with other degradations are made so.
        """
        return not self.problems

    def lines(self) -> list[str]:
        """Returns the report as lines of text."""
        lines = [f"{self.name}: {len(self.sizes)} images, {self.gray} of them gray"]
        if self.sizes:
            by_area = sorted(self.sizes, key=lambda size: size[0] * size[1])
            words = (
                f"{name} {width}x{height}"
                for name, (width, height) in (
                    ("smallest", by_area[0]),
                    ("median", by_area[len(by_area) // 2]),
                    ("largest", by_area[-1]),
                )
            )
            shortest = min(min(size) for size in self.sizes)
            lines.append(f"HR: {', '.join(words)}, shortest side {shortest}")
        if self.unusual is not None:
            lines.append(self._copy())
        for report in self.lr:
            lines += report.lines()
        if not self.lr and not self.problems:
            lines.append(f"no LR images: they are {self.lr_origin}")
        return lines + [f"problem: {problem}" for problem in self.problems]

    def _copy(self) -> str:
        if not self.unusual:
            return f"the usual copy of {self.name}, pixel by pixel"
        some = ", ".join(self.unusual[:5]) + ("..." if len(self.unusual) > 5 else "")
        return (
            f"not the usual copy of {self.name}: {len(self.unusual)} images differ "
            f"({some}), and so will PSNR and SSIM"
        )


def check_source(
    spec: str,
    *,
    scale: int | None = None,
    data_dir: str | Path | None = None,
    progress: bool = True,
) -> SourceReport:
    """Reads every image of a source and returns what is there and what is wrong.

    Args:
        spec: a source (`open_source`) or a benchmark set (`open_benchmark`).
        scale: the scale whose LR images are checked; default: 2, 3 and 4, or 2 alone
            for sets that are published anew for each scale.
        data_dir: the folder of data sets; default: the environment's JAXSR_DATA_DIR.
        progress: whether a progress bar is shown.

    Raises:
        InputError: there is no such source, or nothing in it; a scale that is none.
    """
    if scale is not None:
        check_scale(scale)
    source = open_set(spec, data_dir=data_dir, scale=scale)
    if scale is not None:
        scales = (scale,)
    else:
        scales = (2, 3, 4) if source.at_scale(3) is source else (2,)

    report = SourceReport(source.name)
    for scale in scales:
        at_scale = source.at_scale(scale)
        lr_report = LrReport(scale)
        for index in tqdm(
            range(len(at_scale)),
            desc=f"checking x{scale}",
            unit="image",
            leave=False,
            disable=None if progress else True,  # None: shown on terminals only
        ):
            try:
                _check_image(at_scale, index, report, lr_report, scale == scales[0])
            except InputError as error:
                # A missing LR image is met again at every image of the set.
                if str(error) not in report.problems:
                    report.problems.append(str(error))
        if lr_report.images:
            report.lr.append(lr_report)
        elif not report.problems and report.lr_origin == MADE_HERE:
            report.lr_origin = at_scale.lr_origin(scale)
    if is_benchmark(spec) and not report.problems:
        report.unusual = unusual_images(source)
    return report


def _check_image(
    source: Source,
    index: int,
    report: SourceReport,
    lr_report: LrReport,
    first_scale: bool,
) -> None:
    if first_scale:
        hr = source.hr(index)
        report.sizes.append((hr.shape[1], hr.shape[0]))
        report.gray += hr.shape[2] == 1
    lr = source.lr(index, lr_report.scale)
    if lr is not None:
        hr = source.hr(index)
        check_sizes(source, index, hr, lr, lr_report.scale)
        lr_report.add(hr, lr)
