"""The papers' tables beside the published weights: PSNR / SSIM, three sets and scales.

    python benchmarks/paper_tables.py              # prints them
    python benchmarks/paper_tables.py --write      # and puts them into docs/results.md
    python benchmarks/paper_tables.py --pictures   # and draws the comparisons, first

Cells of others are those of docs/networks.md, which names their sources; ours come from
jaxsr/weights/manifest.json, which tools/publish.py writes. `--check` ends with code 1
if docs/results.md holds anything else.
"""

import argparse
import sys
from pathlib import Path

from published import published

from jaxsr.imaging import write_image
from jaxsr.loading import load
from jaxsr.scoring import comparison_picture
from jaxsr.weights import zoo
from jaxsr.weights.cards import describe_hardware

_ROOT = Path(__file__).parents[1]
_PAGE = _ROOT / "docs" / "results.md"
_BEGIN = "<!-- made by benchmarks/paper_tables.py --write: do not edit -->"
_END = "<!-- end of what benchmarks/paper_tables.py makes -->"
_SETS = ("Set5", "Set14", "BSD100")


def _picture(entry: zoo.Entry) -> Path:
    return _ROOT / "docs" / "images" / f"{entry['network']}_x{entry['scale']}.png"


def _table(scale: int, entries: list[zoo.Entry]) -> str:
    rows = [[f"x{scale}", *_SETS], ["---"] * (1 + len(_SETS))]
    rows += [[method, *cells] for method, cells in published(scale).items()]
    if entries:
        rows.append(["bicubic, measured here", *_cells(entries[0]["bicubic"])])
    for entry in entries:
        name = f"**{entry['network']}**, {entry['parameters']:,} parameters"
        rows.append([name, *(f"**{cell}**" for cell in _cells(entry["benchmarks"]))])
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


def _cells(scores: dict) -> list[str]:
    return [f"{scores[s]['psnr']:.2f} / {scores[s]['ssim']:.4f}" for s in _SETS]


def _training(entries: list[zoo.Entry]) -> str:
    head = "| weights | images | steps | minutes | hardware | trained by |"
    rows = [head, "|---|---|---|---|---|---|"]
    for entry in entries:
        card = f"{entry['network']}_x{entry['scale']}"
        of = entry["training"]
        cells = [
            f"[{card}](models/{card}.md)",
            f"`{of['data']}`, {of['images']}",
            f"{of['steps']:,}",
            f"{of['minutes']:.1f}",
            describe_hardware(of["hardware"]),
            f"`{of['command']}`",
        ]
        rows.append(f"| {' | '.join(cells)} |")
    return "\n".join(rows)


def make() -> str:
    """Returns the part of docs/results.md that this program makes, Markdown."""
    entries = zoo.read_manifest()
    parts = [
        _table(scale, [e for e in entries if e["scale"] == scale])
        for scale in (2, 3, 4)
    ]
    if entries:
        parts.append(_training(entries))
        parts.append(
            "Our rows: `python evaluate.py --model=NETWORK --scale=N "
            "--benchmarks=Set5,Set14,BSD100`."
        )
    for entry in entries:
        picture = _picture(entry)
        if picture.is_file():
            title = f"{entry['network']} x{entry['scale']}: LR, bicubic, SR, HR"
            parts.append(f"![{title}](images/{picture.name})")
    return "\n\n".join([_BEGIN, *parts, _END])


def _draw(entry: zoo.Entry, data_dir: str | None) -> None:
    upscaler = load(entry["network"], scale=entry["scale"])
    picture = comparison_picture(
        upscaler, "Set5", name=entry["network"], data_dir=data_dir, rows=3
    )
    write_image(_picture(entry), picture)


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--write", action="store_true")
    parser.add_argument("--pictures", action="store_true")
    parser.add_argument("--check", action="store_true")
    parser.add_argument("--data_dir", help="default: $JAXSR_DATA_DIR")
    options = parser.parse_args()

    if options.pictures:
        for entry in zoo.read_manifest():
            _draw(entry, options.data_dir)
    made = make()
    page = _PAGE.read_text(encoding="utf-8")
    before, _, rest = page.partition(_BEGIN)
    _, found, after = rest.partition(_END)
    if not found:
        parser.error(f"{_PAGE}: expected the lines {_BEGIN} and {_END}")
    if options.check:
        return 0 if page == before + made + after else 1
    if options.write or options.pictures:
        _PAGE.write_text(before + made + after, encoding="utf-8")
    print(made)
    return 0


if __name__ == "__main__":
    sys.exit(main())
