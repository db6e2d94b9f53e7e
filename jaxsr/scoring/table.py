"""Results as the field's table."""

from collections.abc import Mapping, Sequence
from typing import Any

from jaxsr.data.benchmarks import usual_size
from jaxsr.protocols import get_protocol

# The order in which the field's tables print these sets.
_COLUMNS = ("Set5", "Set14", "BSD100", "Urban100")


def markdown_table(results: Mapping[str, Any] | Sequence[Mapping[str, Any]]) -> str:
    """Returns the field's table: a row for each result, a column for each set.

    Cells are PSNR (dB) / SSIM. A "+" after a method is self-ensemble, as the field
    writes it. Results under different protocols cannot stand in one table: each
    protocol has its own, named above it. Below stand the sets of which another copy
    than the usual one or not every image was scored, or that have LR images of their
    own.
    """
    if isinstance(results, Mapping):
        results = [results]
    protocols = dict.fromkeys(result["protocol"] for result in results)
    return "\n\n".join(
        _one_table([r for r in results if r["protocol"] == protocol], protocol)
        for protocol in protocols
    )


def _one_table(results: Sequence[Mapping[str, Any]], protocol: str) -> str:
    present = dict.fromkeys(name for result in results for name in result["benchmarks"])
    columns = [name for name in _COLUMNS if name in present]
    columns += [name for name in present if name not in _COLUMNS]
    rows = [["Method", "Scale", *columns], ["---"] * (len(columns) + 2)]
    for result in results:
        method = result["model"] + ("+" if result["self_ensemble"] else "")
        cells = [_cell(result["benchmarks"].get(name)) for name in columns]
        rows.append([method, f"x{result['scale']}", *cells])
    description = get_protocol(protocol).description
    caption = f"PSNR (dB) / SSIM, protocol `{protocol}`: {description}."
    entries = [item for result in results for item in result["benchmarks"].items()]
    notes = []
    for name, entry in entries:
        if "unusual" in entry:
            some = ", ".join(entry["unusual"])
            notes.append(f"Not the usual copy of {name}: {some}.")
        # A folder of that name: a set that is opened by its name is whole.
        scored, usual = len(entry.get("images", ())), usual_size(name)
        if scored and usual not in (None, scored):
            notes.append(f"{name} has {usual} images, of which {scored} were scored.")
        if "lr" in entry:
            notes.append(f"LR images of {name}: {entry['lr']}.")
    below = ["", *dict.fromkeys(notes)] if notes else []
    table = (f"| {' | '.join(row)} |" for row in rows)
    return "\n".join([caption, "", *table, *below])


def _cell(entry: Mapping[str, Any] | None) -> str:
    return f"{entry['psnr']:.2f} / {entry['ssim']:.4f}" if entry else "-"
