"""Which upscaled picture belongs to which original, by their file names."""

import re
from collections.abc import Sequence
from pathlib import Path

from jaxsr.errors import InputError
from jaxsr.imaging.files import image_stem

# At the end of a word: img_RCANx4, img_x4_SR, img_4x.
_SCALE = re.compile(r"(?:x(\d+)|(?<!\d)(\d+)x)(?=$|[_. -])", re.IGNORECASE)


def pair_by_name(
    sr_paths: Sequence[Path], hr_paths: Sequence[Path], scale: int
) -> list[tuple[str, Path, Path]]:
    """Returns (image name, SR path, HR path) for each HR picture, in the HR's order.

    An image's name is that of its HR file, without a final `_HR` or `_GT`. An SR file
    belongs to the image whose name it has, or begins with before a suffix: nothing but
    a scale (`x2`), or anything after `_`, `-`, `.` or a space (`_x2`, `_SR`,
    `_RCANx2`, `_2x`). Of several such images the one with the longest name is meant. A
    suffix that names another scale leaves the file out: one folder may hold several.

    Raises:
        InputError: two HR files of one name; an SR file that belongs to no image, or
            two to one; an image without an SR file.
    """
    hr_by_name: dict[str, Path] = {}
    for hr in hr_paths:
        image = re.sub(r"[_-](HR|GT)$", "", image_stem(hr), flags=re.IGNORECASE)
        if image in hr_by_name:
            raise InputError(
                f"{hr.parent}: both {hr_by_name[image].name} and {hr.name} are the "
                f"original of {image!r}"
            )
        hr_by_name[image] = hr

    sr_by_name: dict[str, Path] = {}
    longest_first = sorted(hr_by_name, key=len, reverse=True)
    for sr in sr_paths:
        stem = image_stem(sr)
        image = next((n for n in longest_first if _belongs(stem, n)), None)
        if image is None:
            raise InputError(
                f"{sr}: no picture of {hr_paths[0].parent} has a name that this one "
                "begins with"
            )
        named = _SCALE.search(stem[len(image) :])
        if named and int(named[1] or named[2]) != scale:
            continue
        if image in sr_by_name:
            raise InputError(
                f"{sr.parent}: both {sr_by_name[image].name} and {sr.name} could be "
                f"the x{scale} picture of {image!r}; expected one"
            )
        sr_by_name[image] = sr

    missing = [image for image in hr_by_name if image not in sr_by_name]
    if missing:
        raise InputError(
            f"{sr_paths[0].parent}: no x{scale} picture for {missing[0]!r}"
            + (f" and {len(missing) - 1} more" if len(missing) > 1 else "")
            + f", expected one for each of the {len(hr_by_name)} in "
            f"{hr_paths[0].parent}"
        )
    return [(image, sr_by_name[image], hr) for image, hr in hr_by_name.items()]


def _belongs(stem: str, image: str) -> bool:
    suffix = stem[len(image) :] if stem.startswith(image) else None
    if suffix is None:
        return False
    return re.fullmatch(r"|x\d+|[_. -].*|x\d+[_. -].*", suffix, re.I) is not None
