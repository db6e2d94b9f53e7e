"""The papers' tables beside the published weights: PSNR / SSIM, cost, pictures.

    python benchmarks/paper_tables.py              # prints them
    python benchmarks/paper_tables.py --write      # and puts them into docs/results.md
    python benchmarks/paper_tables.py --pictures   # and draws the pictures, first
    python benchmarks/paper_tables.py --seconds    # and times our networks, first

Cells of others are those of docs/networks.md, which names their sources; ours come from
jaxsr/weights/manifest.json, which tools/publish.py writes, and our seconds from
benchmarks/published_seconds.json, which `--seconds` writes: let the machine be idle.
Parameters and multiply-adds, of a picture of 1280x720 as output, are counted here.
`--check` ends with code 1 if docs/results.md holds anything else.
"""

import argparse
import functools
import json
import sys
from pathlib import Path

import jax
import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import numpy as np
from measuring import shortest_seconds
from published import NETWORKS, SETS, published, published_psnr

from jaxsr.cpu import keep_freed_memory, use_every_core
from jaxsr.imaging import write_image
from jaxsr.loading import load
from jaxsr.models import create
from jaxsr.models.complexity import (
    OUTPUT_HEIGHT,
    OUTPUT_WIDTH,
    count_multiply_adds,
    count_parameters,
)
from jaxsr.scoring import comparison_picture, hardware, methods_picture
from jaxsr.weights import zoo
from jaxsr.weights.cards import describe_hardware, describe_machines

_ROOT = Path(__file__).parents[1]
_PAGE = _ROOT / "docs" / "results.md"
_IMAGES = _ROOT / "docs" / "images"
_SECONDS = Path(__file__).with_name("published_seconds.json")
_BEGIN = "<!-- made by benchmarks/paper_tables.py --write: do not edit -->"
_END = "<!-- end of what benchmarks/paper_tables.py makes -->"
# Pictures that the field's papers show: a set, a picture's name.
_SHOWN = (("Set5", "butterfly"), ("Set14", "ppt3"))


def _comparison(entry: zoo.Entry) -> Path:
    return _IMAGES / f"{zoo.full_name_of(entry)}.png"


def _cost_picture(scale: int) -> Path:
    return _IMAGES / f"psnr_cost_x{scale}.png"


def _methods_picture(image: str, scale: int) -> Path:
    return _IMAGES / f"methods_{image}_x{scale}.png"


@functools.cache
def _cost(network: str, scale: int) -> tuple[int, float]:
    """Returns parameters and multiply-adds."""
    model = create(network, scale=scale)
    return count_parameters(model), count_multiply_adds(model)


def _cost_cells(network: str | None, scale: int) -> list[str]:
    if network is None:
        return ["-", "-"]
    parameters, products = _cost(network, scale)
    return [f"{parameters / 1e3:,.0f} k", f"{products / 1e9:,.1f} G"]


def _table(scale: int, entries: list[zoo.Entry]) -> str:
    rows = [
        [f"x{scale}", *SETS, "parameters", "multiply-adds", "seconds"],
        ["---"] * (4 + len(SETS)),
    ]
    for method, cells in published(scale).items():
        cost = _cost_cells(NETWORKS.get(method), scale)
        rows.append([method, *cells, *cost, ""])
    if entries:
        cells = _cells(entries[0]["bicubic"])
        rows.append(["bicubic, measured here", *cells, "0", "0", ""])
    measured = json.loads(_SECONDS.read_text()) if _SECONDS.is_file() else {}
    for entry in entries:
        name = zoo.full_name_of(entry)
        seconds = measured.get("seconds", {}).get(name)
        cells = [f"**{c}**".replace("**-**", "-") for c in _cells(entry["benchmarks"])]
        cost = _cost_cells(entry["network"], scale)
        shown = f"{seconds:.2f}" if seconds else "-"
        rows.append([f"**{entry['network']}**", *cells, *cost, shown])
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


def _cells(scores: dict) -> list[str]:
    return [
        f"{scores[s]['psnr']:.2f} / {scores[s]['ssim']:.4f}" if s in scores else "-"
        for s in SETS
    ]


def _training(entries: list[zoo.Entry]) -> str:
    head = "| weights | images | steps | minutes | hardware | trained by |"
    rows = [head, "|---|---|---|---|---|---|"]
    for entry in entries:
        card = zoo.full_name_of(entry)
        of = entry["training"]
        cells = [
            f"[{card}](models/{card}.md)",
            f"`{of['data']}`, {of['images']}",
            f"{zoo.total_of(of, 'steps'):,}",
            f"{zoo.total_of(of, 'minutes'):.1f}",
            describe_machines(of),
            f"`{of['command']}`" + (", last of several" if "before" in of else ""),
        ]
        rows.append(f"| {' | '.join(cells)} |")
    return "\n".join(rows)


def _entries() -> list[zoo.Entry]:
    """Returns what is published for the papers' own kind of LR images."""
    entries = zoo.read_manifest()
    return [entry for entry in entries if zoo.degradation_of(entry) == "bicubic"]


def make() -> str:
    """Returns the part of docs/results.md that this program makes, Markdown."""
    entries = _entries()
    parts = [
        _table(scale, [e for e in entries if e["scale"] == scale])
        for scale in (2, 3, 4)
    ]
    if _SECONDS.is_file():
        machine = json.loads(_SECONDS.read_text())["hardware"]
        parts.append(
            f"Seconds: one output of {OUTPUT_WIDTH}x{OUTPUT_HEIGHT}, "
            f"{describe_hardware(machine)}, idle, shortest of three after the first, "
            "`python benchmarks/paper_tables.py --seconds`. Urban100 is not at hand."
        )
    parts.append(_training(entries))
    parts.append(
        "Our rows: `python evaluate.py --model=NETWORK --scale=N "
        "--benchmarks=Set5,Set14,BSD100`."
    )
    for scale in (2, 3, 4):
        title = f"x{scale}: PSNR on Set5 against multiply-adds"
        parts.append(_shown(title, _cost_picture(scale)))
        for set_name, image in _SHOWN:
            title = f"{set_name}'s {image}, x{scale}, by all methods: PSNR / SSIM"
            parts.append(_shown(title, _methods_picture(image, scale)))
    for entry in entries:
        title = f"{entry['network']} x{entry['scale']}: LR, bicubic, SR, HR"
        parts.append(_shown(title, _comparison(entry)))
    return "\n\n".join([_BEGIN, *filter(None, parts), _END])


def _shown(title: str, picture: Path) -> str:
    return f"![{title}](images/{picture.name})" if picture.is_file() else ""


def _draw(data_dir: str | None) -> None:
    entries = _entries()
    for entry in entries:
        upscaler = load(entry["network"], scale=entry["scale"])
        picture = comparison_picture(
            upscaler, "Set5", name=entry["network"], data_dir=data_dir, rows=3
        )
        write_image(_comparison(entry), picture)
    for scale in (2, 3, 4):
        at_scale = sorted(
            (e for e in entries if e["scale"] == scale),
            key=lambda e: e["benchmarks"]["Set5"]["psnr"],
        )
        _draw_cost(scale, at_scale)
        methods = {e["network"]: load(e["network"], scale=scale) for e in at_scale}
        for set_name, image in _SHOWN:
            picture = methods_picture(methods, set_name, image, data_dir=data_dir)
            write_image(_methods_picture(image, scale), picture)


def _draw_cost(scale: int, entries: list[zoo.Entry]) -> None:
    theirs = {
        method: (_cost(network, scale)[1], published_psnr(scale)[method])
        for method, network in NETWORKS.items()
    }
    ours = {
        entry["network"]: (
            _cost(entry["network"], scale)[1],
            entry["benchmarks"]["Set5"]["psnr"],
        )
        for entry in entries
    }
    figure, axes = plt.subplots(figsize=(7, 4.5), layout="constrained")
    for points, colour, label in (
        (theirs, "gray", "as their papers print"),
        (ours, "C3", "these weights"),
    ):
        axes.scatter(*zip(*points.values(), strict=True), color=colour, label=label)
        for name, point in points.items():
            axes.annotate(
                name.removesuffix(", the paper"),
                point,
                xytext=(4, 4),
                textcoords="offset points",
                fontsize=8,
                color=colour,
            )
    axes.set_xscale("log")
    axes.set(
        xlabel=f"multiply-adds of one output of {OUTPUT_WIDTH}x{OUTPUT_HEIGHT}",
        ylabel=f"PSNR on Set5 x{scale}, dB",
    )
    axes.grid(alpha=0.3)
    axes.legend(loc="lower right")
    figure.savefig(_cost_picture(scale), dpi=110)
    plt.close(figure)


def _time() -> None:
    """Times every published network once for its kind of picture; writes the file."""
    seconds = {}
    for entry in _entries():
        scale = entry["scale"]
        upscaler = load(entry["network"], scale=scale)
        shape = (OUTPUT_HEIGHT // scale, round(OUTPUT_WIDTH / scale), 3)
        lr = np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)
        name = zoo.full_name_of(entry)
        seconds[name] = round(shortest_seconds(lambda: upscaler(lr), 3), 3)  # noqa: B023
        print(f"{name}: {seconds[name]} s", flush=True)
    found = {"seconds": seconds, "hardware": hardware(), "jax": jax.__version__}
    _SECONDS.write_text(json.dumps(found, indent=2) + "\n", encoding="utf-8")


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--write", action="store_true")
    parser.add_argument("--pictures", action="store_true")
    parser.add_argument("--seconds", action="store_true")
    parser.add_argument("--check", action="store_true")
    parser.add_argument("--data_dir", help="default: $JAXSR_DATA_DIR")
    options = parser.parse_args()

    if options.pictures or options.seconds:
        keep_freed_memory()
        use_every_core()
    if options.seconds:
        _time()
    if options.pictures:
        _draw(options.data_dir)
    made = make()
    page = _PAGE.read_text(encoding="utf-8")
    before, _, rest = page.partition(_BEGIN)
    _, found, after = rest.partition(_END)
    if not found:
        parser.error(f"{_PAGE}: expected the lines {_BEGIN} and {_END}")
    if options.check:
        return 0 if page == before + made + after else 1
    if options.write or options.pictures or options.seconds:
        _PAGE.write_text(before + made + after, encoding="utf-8")
    print(made)
    return 0


if __name__ == "__main__":
    sys.exit(main())
