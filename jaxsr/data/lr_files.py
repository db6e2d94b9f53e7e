"""LR files that lie beside a folder of HR images, in the layouts that people have.

    DIV2K_train_HR/0001.png     DIV2K_train_LR_bicubic/X2/0001x2.png
    HR/0001.png                 LR/x2/0001.png
    HR/0001.png                 LR/0001x2.png
    GT/0001.png                 LRbicx2/0001.png
    train_HR_sub/0001_s001.png  train_LR_bicubic/X2_sub/0001_s001.png

An LR folder is called as the HR folder is, LR or LQ in place of HR or GT, with anything
behind it; or it lies inside the HR folder. Its files may lie in folders of their scale,
or its name or theirs may say the scale; where nothing does, their sizes do.

Whatever looks like LR images is used or refused, never passed over.
"""

import contextlib
import os
import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from PIL import Image

from jaxsr.errors import InputError
from jaxsr.imaging import list_images
from jaxsr.imaging.files import SUFFIXES, image_stem

_HR_WORD = re.compile(
    r"(?<![a-z])(HR|GT(mod\d+)?|original)(?![a-z])|(?-i:HR)$", re.IGNORECASE
)
_SCALE_ENDING = re.compile(r"x(\d)$", re.IGNORECASE)

# Nothing but these scales is looked for where only sizes tell.
_SCALES = range(2, 17)


def find_lr(
    hr_folder: Path, hr_paths: Mapping[str, Path], scale: int
) -> dict[str, Path]:
    """Returns the LR file of each image, by its name; none if there are no LR images.

    Args:
        hr_folder: where the HR files lie.
        hr_paths: the HR file of each image, by the image's name.
        scale: the factor between them.

    Raises:
        InputError: several folders of LR images, none of them by bicubic; an image
            without an LR file or with two; an LR file without an image; LR files whose
            sizes fit no scale.
    """
    found = {}
    for folder, ending in _lr_folders(hr_folder):
        for place, files in _files_of_scale(folder, ending, hr_paths, scale):
            found[place] = files
    if len(found) > 1:
        # DIV2K's other degradations lie beside the bicubic that all tables are of.
        names = {p: str(p.relative_to(hr_folder.parent)).lower() for p in found}
        bicubic = {p: f for p, f in found.items() if "bicubic" in names[p]}
        if len(bicubic) != 1:
            raise InputError(
                f"{hr_folder}: several folders hold LR images of x{scale}, expected "
                f"one: {' and '.join(map(str, found))}"
            )
        found = bicubic
    return _pair(hr_folder, hr_paths, scale, *found.popitem()) if found else {}


def check_apart(paths: Sequence[Path]) -> None:
    """Raises InputError if LR images lie among HR images, as `a_LR.png` and `ax2.png`.

    Training on small images as if they were originals would go unnoticed.
    """
    stems = {image_stem(path).lower() for path in paths}
    for path in paths:
        stem = image_stem(path).lower()
        scaled = re.fullmatch(r"(.+?)[_-]?x[2348]", stem)
        low = re.fullmatch(r"(.+?)_lr[2348]?", stem)  # RealSR's: a_HR.png, a_LR2.png
        of_pair = low and not stems.isdisjoint({low[1], f"{low[1]}_hr"})
        if of_pair or (scaled and scaled[1] in stems):
            raise InputError(
                f"{path}: looks like an LR image among HR images, expected them in "
                "folders of their own, HR and LR"
            )


def looks_like_lr(
    hr_folder: Path, hr_paths: Mapping[str, Path], scale: int
) -> Path | None:
    """Returns a folder near that of the HR images whose files could be their LR images,
    by names and sizes, though it is not called so; None if there is none.

    Args:
        hr_folder, hr_paths, scale: see `find_lr`, which found nothing.
    """
    places = [(hr_folder, "."), (hr_folder.parent, ".")]
    places.append((hr_folder.parent.parent, hr_folder.name))  # HR/x2 beside LR/x2
    for place, inside in places:
        # What cannot be looked into is somebody else's.
        with contextlib.suppress(OSError):
            for child in _folders(place):
                folder = child / inside
                if not folder.is_dir() or folder.samefile(hr_folder):
                    continue
                if _could_be_lr(folder, hr_paths, scale):
                    return folder
    return None


def other_folders(hr_folder: Path) -> list[Path]:
    """Returns the folders inside that of the HR images which hold images, not LR ones.

    Nobody reads them, which is no matter of course.
    """
    lr_folders = [folder for folder, _ in _lr_folders(hr_folder)]
    return [
        folder
        for folder in _folders(hr_folder)
        if folder not in lr_folders and _holds_images(folder)
    ]


def lr_name(hr_folder: Path) -> Path:
    """Returns what a folder of LR images may be called to be found."""
    name, words = hr_folder.name, [*_HR_WORD.finditer(hr_folder.name)]
    if not words:
        return hr_folder.with_name(f"{name}_LR")
    start, end = words[-1].span()
    return hr_folder.with_name(f"{name[:start]}LR{name[end:]}")


def _holds_images(folder: Path) -> bool:
    with contextlib.suppress(OSError):  # one that cannot be opened is somebody else's
        return any(path.suffix.lower() in SUFFIXES for path in folder.iterdir())
    return False


def _could_be_lr(folder: Path, hr_paths: Mapping[str, Path], scale: int) -> bool:
    """Returns whether the first image has a smaller one of its name in a folder."""
    name = next(iter(hr_paths))
    stem = re.sub(r"[_-](HR|GT)$", "", name, flags=re.IGNORECASE)
    with contextlib.suppress(OSError), os.scandir(folder) as entries:
        for path in (Path(e) for e in entries):
            if path.suffix.lower() in SUFFIXES and image_stem(path).startswith(stem):
                image, held = _read_name(image_stem(path), hr_paths)
                if image == name and held in (None, scale):
                    if scale in _fitting_scales(hr_paths[name], path):
                        return True
    return False


def _lr_folders(hr_folder: Path) -> list[tuple[Path, str]]:
    """Returns the folders of LR images that belong to a folder of HR images, each with
    what the names of its folders of one scale end in."""
    rest = r"([^a-z].*|bic.*|x\d)?"
    inside = re.compile(rf"L[RQ]{rest}", re.IGNORECASE)
    folders = [(p, "") for p in _folders(hr_folder) if inside.fullmatch(p.name)]
    name, words = hr_folder.name, [*_HR_WORD.finditer(hr_folder.name)]
    if words:
        start, end = words[-1].span()
        before, behind = re.escape(name[:start]), name[end:]
        # train_HR_sub beside train_LR_sub, or beside train_LR with folders X2_sub.
        beside = {"": rf"{before}L[RQ]{re.escape(behind)}{rest}"}
        if behind:
            beside[behind] = rf"{before}L[RQ]{rest}"
    else:
        beside = {"": rf"{re.escape(name)}[_-]?L[RQ]{rest}"}
    for ending, pattern in beside.items():
        fits = re.compile(pattern, re.IGNORECASE).fullmatch
        beside_it = [p for p in _folders(hr_folder.parent) if fits(p.name)]
        folders += [(p, ending) for p in beside_it if (p, "") not in folders]
    return folders


def _folders(folder: Path) -> list[Path]:
    return sorted(path for path in folder.iterdir() if path.is_dir())


def _files_of_scale(
    folder: Path, ending: str, hr_paths: Mapping[str, Path], scale: int
) -> list[tuple[Path, list[Path]]]:
    """Returns the places in an LR folder that hold files of this scale."""
    of_scale = re.compile(rf"x?(\d)x?{re.escape(ending)}", re.IGNORECASE).fullmatch
    by_scale = [
        (match, child) for child in _folders(folder) if (match := of_scale(child.name))
    ]
    places = [child for match, child in by_scale if int(match[1]) == scale]
    named = _SCALE_ENDING.search(folder.name)
    if not ending and (_holds_images(folder) or not by_scale):
        if named is None or int(named[1]) == scale:
            places.append(folder)
    found = []
    for place in places:
        files = list_images(place)
        if place is folder and named is None:
            files = _of_scale(files, hr_paths, scale)
        if files:
            found.append((place, files))
    return found


def _of_scale(
    files: list[Path], hr_paths: Mapping[str, Path], scale: int
) -> list[Path]:
    """Returns the files that are for this scale, by their names or their sizes."""
    kept = []
    for path in files:
        image, held = _read_name(image_stem(path), hr_paths)
        if held is None and image is not None:
            fitting = _fitting_scales(hr_paths[image], path)
            # What fits no scale at all is kept: reading it says what is wrong.
            held = scale if scale in fitting or not fitting else min(fitting)
        if held in (None, scale):
            kept.append(path)
    return kept


def _fitting_scales(hr: Path, lr: Path) -> list[int]:
    """Returns the scales that the sizes of two pictures fit, none if one is no picture
    or too large to be opened."""
    try:
        with Image.open(hr) as large, Image.open(lr) as small:
            sides = [*zip(large.size, small.size, strict=True)]
    except (
        Exception
    ):  # decoders raise what they like, and reading it says what is wrong
        return []
    return [
        scale
        for scale in _SCALES
        if all(low in (high // scale, -(-high // scale)) for high, low in sides)
    ]


def _read_name(
    stem: str, hr_paths: Mapping[str, Path]
) -> tuple[str | None, int | None]:
    """Returns the image that a file of this stem belongs to, and the scale it names.

    0001.png may have 0001.png, 0001x2.png, 0001x2m.png (DIV2K) and 0001_LR_x2.png.
    """
    if stem in hr_paths:
        return stem, None
    match = re.fullmatch(
        r"(?P<name>.+?)(?:[_-]?(?:LR|LQ))?(?:[_-]?x(?P<scale>\d)[a-z]?\d?)?"
        r"(?:[_-]?(?:LR|LQ))?",
        stem,
        re.IGNORECASE,
    )
    if match is None:
        return None, None
    scale = int(match["scale"]) if match["scale"] else None
    for name in (match["name"], f"{match['name']}_HR", f"{match['name']}_GT"):
        if name in hr_paths:
            return name, scale
    return None, scale


def _pair(
    hr_folder: Path,
    hr_paths: Mapping[str, Path],
    scale: int,
    folder: Path,
    files: Sequence[Path],
) -> dict[str, Path]:
    pairs: dict[str, Path] = {}
    for path in files:
        name, held = _read_name(image_stem(path), hr_paths)
        if name is None or held not in (None, scale):
            raise InputError(
                f"{path}: no HR image in {hr_folder} pairs with this LR image"
            )
        if name in pairs:
            raise InputError(
                f"{folder}: both {pairs[name].name} and {path.name} are the LR image "
                f"of {hr_paths[name].name}, expected one"
            )
        pairs[name] = path
    for name, hr in hr_paths.items():
        if name not in pairs:
            raise InputError(
                f"{folder}: no LR image for {hr.name}, expected {name}x{scale}"
                f"{hr.suffix}"
            )
    return pairs
