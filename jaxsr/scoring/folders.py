"""The pictures of any program against their originals."""

import re
from pathlib import Path

from jaxsr.data.benchmarks import is_unusual
from jaxsr.data.source import check_scale
from jaxsr.errors import named
from jaxsr.imaging import list_images, read_image8
from jaxsr.protocols import get_protocol
from jaxsr.scoring.pairing import pair_by_name
from jaxsr.scoring.result import Result, set_entry, versions
from jaxsr.scoring.sets import HR_FOLDERS, SCALE_FOLDERS, folder_name


def score_folders(
    sr_dir: str | Path,
    hr_dir: str | Path,
    *,
    scale: int,
    protocol: str = "rgb",
    name: str | None = None,
    luma: bool = False,
) -> Result:
    """Returns the result of SR pictures that any program made, paired by file name.

    See `pair_by_name` for the rule. The set is called as the HR folder, or as the one
    above it where that is "HR", "GT", "original" or a scale ("X2"); the method as the
    SR folder, or as the first above it that is neither a scale nor the set.

    Args:
        sr_dir: folder of upscaled pictures.
        hr_dir: folder of originals; each must have its SR picture, for a mean over a
            part of a set is not the set's number.
        scale: the factor between LR and HR.
        protocol: "rgb" or "classic", see `jaxsr.protocols`.
        name: of the method in the result.
        luma: whether one-channel SR pictures are the luma of colour ones, as the
            networks of protocol "classic" make it, and not gray pictures.

    Raises:
        InputError: a missing or empty folder, an unreadable picture, pictures that do
            not pair, sizes that do not fit, unknown protocol.
    """
    rules = get_protocol(protocol)
    check_scale(scale)
    set_name = folder_name(hr_dir, HR_FOLDERS)
    images, unusual = {}, []
    for image, sr, hr in pair_by_name(list_images(sr_dir), list_images(hr_dir), scale):
        pictures = read_image8(sr), read_image8(hr)
        with named(sr):
            images[image] = rules.score(*pictures, scale, luma=luma)
        if is_unusual(set_name, pictures[1]):
            unusual.append(image)
    return {
        "model": name or folder_name(sr_dir, rf"{SCALE_FOLDERS}|{re.escape(set_name)}"),
        "scale": scale,
        "protocol": protocol,
        "parameters": None,
        "weights_sha256": None,
        "self_ensemble": None,
        "tile": None,
        "tiled": None,
        "versions": versions(),
        "hardware": None,
        "benchmarks": {set_name: set_entry(images, unusual)},
    }
