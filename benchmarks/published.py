"""PSNR and SSIM that papers print, read from the tables of docs/networks.md."""

import re
from pathlib import Path

PAGE = Path(__file__).parents[1] / "docs" / "networks.md"

SETS = ("Set5", "Set14", "BSD100", "Urban100")

# The rows of this field's tables: section of the page, method as it is called there.
# The second table of a section is found by the word that its head begins with.
METHODS = {
    "bicubic": ("bicubic", ""),
    "SRCNN": ("srcnn", ""),
    "FSRCNN": ("fsrcnn", ""),
    "CSCN": ("scn", ""),
    "VDSR": ("vdsr", ""),
    "DRCN": ("drcn", ""),
    "LapSRN": ("lapsrn", ""),
    "MemNet": ("memnet", ""),
    "EDSR-baseline": ("edsr, edsr_baseline", "EDSR-baseline"),
    "EDSR": ("edsr, edsr_baseline", "EDSR "),
    "RCAN": ("rcan", ""),
    "SAN": ("san", ""),
    "AMMS, the paper": ("amms", ""),
    "RCBAM, the paper": ("rcbam, rcbam_lite", ""),
}

# Those of them that are networks here, with the sizes of their papers.
NETWORKS = {
    "SRCNN": "srcnn",
    "FSRCNN": "fsrcnn",
    "VDSR": "vdsr",
    "DRCN": "drcn",
    "LapSRN": "lapsrn",
    "MemNet": "memnet",
    "EDSR-baseline": "edsr_baseline",
    "EDSR": "edsr",
    "RCAN": "rcan",
    "SAN": "san",
    "AMMS, the paper": "amms",
    "RCBAM, the paper": "rcbam",
}


def published(scale: int) -> dict[str, list[str]]:
    """Returns method -> "PSNR / SSIM" on each of `SETS` at x2, x3 or x4."""
    sections = re.split(r"^## ", PAGE.read_text(encoding="utf-8"), flags=re.MULTILINE)
    rows = {}
    for method, (section, head) in METHODS.items():
        (text,) = (s for s in sections if s.startswith(f"{section}\n"))
        table = text[re.search(rf"^\| {head}.*\| Set5 \|", text, re.M).start() :]  # pyright: ignore[reportOptionalMemberAccess]
        row = re.search(rf"^\| x{scale}\b[^|]*\|(.*)\|$", table, re.MULTILINE)
        assert row is not None, (method, scale)
        rows[method] = [cell.strip() for cell in row[1].split("|")[: len(SETS)]]
    return rows


def published_psnr(scale: int) -> dict[str, float]:
    """Returns method -> PSNR in dB on Set5."""
    return {
        method: float(cells[0].split("/")[0])
        for method, cells in published(scale).items()
    }
