"""Model cards and the list of the zoo, made from the manifest's entries alone."""

from collections.abc import Mapping, Sequence
from typing import Any

from jaxsr.protocols import get_protocol
from jaxsr.weights.zoo import (
    degradation_of,
    full_name_of,
    name_of,
    runs_of,
    total_of,
)

_MOST_ROWS = 10

_CARD = """\
# {title}

{parameters:,} parameters: {fields}.{note}

```python
import jaxsr
from skimage.data import chelsea

upscale = jaxsr.load("{name}", scale={scale})
photo = chelsea()[:64, :96]
sr = upscale(photo)  # uint8 [H, W, 3] -> uint8 [{scale}H, {scale}W, 3]
```

| file | size | numbers | SHA-256 | licence |
|---|---|---|---|---|
| `{file}`{source} | {kilobytes:,} kB | {precision}{cost} | `{sha256}` | {licence} |

## What it reaches

PSNR (dB) / SSIM, protocol `{protocol}`: {rules}.
Measured with the file as it is, computing in float32.

{table}

<!-- not run: takes minutes -->
```bash
python evaluate.py --model={name} --scale={scale} --benchmarks={sets}
```

## How it was trained

| | |
|---|---|
| images | `{data}`, {images:,} |
| LR | {lr} |
| patches | {patch_size}x{patch_size} LR pixels, {batch_size} in a batch |
| loss | {loss} |
| started from | {start} |
| steps | {steps} |
| time | {time} minutes, evaluations on the way included |
| hardware | {hardware} |
| versions | {versions} |

<!-- not run: trains for {minutes:.0f} minutes -->
```bash
{commands}
```
{curve}
## Limits

- {limit}
- It was trained for PSNR. Where an LR picture does not tell, it gives the mean of what
  could be there: fine texture comes out smooth, and nothing is invented.
- It enlarges by {scale} and nothing else. Text, faces and medical or satellite pictures
  were not looked at; the images it learned from are everyday photographs.
- The benchmark images are few. A difference of a few hundredths of a dB between two
  networks means nothing on other pictures.
"""


_LR = {
    "bicubic": "MATLAB's bicubic of the HR",
    "photo": "blurred, shrunk, noisy and JPEG-compressed HR, see `jaxsr.data.photo`",
}
_LIMITS = {
    "bicubic": """\
It learned to undo one thing: MATLAB's bicubic, without noise. Noise, blur and the
  blocks of JPEG in a photo are enlarged with it.""",
    "photo": """\
It learned to undo a little blur, little noise and JPEG from quality 30 on. On clean
  pictures it is worse than the network trained for them, see above; strong noise, blur
  by motion and pictures that were sharpened or enlarged before are beyond it.""",
}


def card_name(entry: Mapping[str, Any]) -> str:
    """Returns the file name of an entry's card: that of its weights, as Markdown."""
    return entry["file"].removesuffix(".safetensors") + ".md"


def model_card(entry: Mapping[str, Any]) -> str:
    """Returns the card, Markdown, of an entry as in `jaxsr.weights.zoo`."""
    training, cost = entry["training"], entry["precision_cost"]
    runs = runs_of(training)
    name = full_name_of(entry)
    return _CARD.format(
        **{key: entry[key] for key in ("scale", "parameters", "licence")},
        name=name_of(entry),
        lr=_LR[degradation_of(entry)],
        limit=_LIMITS[degradation_of(entry)],
        **{key: entry[key] for key in ("file", "sha256", "precision", "protocol")},
        **{
            key: training[key]
            for key in ("data", "images", "patch_size", "batch_size", "loss")
        },
        steps=" + ".join(f"{run['steps']:,}" for run in runs),
        time=" + ".join(f"{run['minutes']:,.1f}" for run in runs),
        minutes=total_of(training, "minutes"),
        commands=_commands(runs, name),
        title=f"{name_of(entry)} x{entry['scale']}",
        fields=", ".join(
            f"{name} {value}"
            for name, value in entry["fields"].items()
            if name != "scale"
        ),
        note=f" {entry['note']}" if entry["note"] else "",
        source=f", fetched from `{entry['url']}`" if entry["url"] else "",
        kilobytes=round(entry["bytes"] / 1000),
        cost=f" (costs {cost:.4f} dB at most)" if cost is not None else "",
        rules=get_protocol(entry["protocol"]).description,
        table=_scores({"bicubic": entry["bicubic"], "this file": entry["benchmarks"]}),
        sets=",".join(entry["benchmarks"]),
        start=_start(runs),
        hardware=describe_machines(training),
        versions=", ".join(f"{k} {v}" for k, v in training["versions"].items()),
        curve=_curve(training),
    )


def _start(runs: Sequence[Mapping[str, Any]]) -> str:
    first = f"`{runs[0]['init_from']}`" if runs[0]["init_from"] else "random"
    return first + (", then each run from the one before it" if runs[1:] else "")


def _commands(runs: Sequence[Mapping[str, Any]], name: str) -> str:
    """Returns the commands of all runs, each starting from the one before it."""
    lines = []
    for number, run in enumerate(runs, 1):
        command = run["command"]
        if number > 1:
            start = f"runs/{name}_{number - 1}"
            command = command.replace(f"init_from={name}", f"init_from={start}")
        if number < len(runs):
            command += f" --workdir=runs/{name}_{number}"
        lines.append(command)
    return "\n".join(lines)


def describe_hardware(hardware: Mapping[str, Any]) -> str:
    """Returns a result's "hardware" in words."""
    if hardware["device"] == "cpu":
        vector = hardware.get("vector")  # older results do not have it
        by = f" ({vector})" if vector else ""
        return f"{hardware['cores']} cores of {hardware['cpu']}{by}"
    return f"{hardware['devices']} x {hardware['device']}"


def describe_machines(training: Mapping[str, Any]) -> str:
    """Returns the hardware of all runs of an entry's training, in their order."""
    machines = (describe_hardware(run["hardware"]) for run in runs_of(training))
    return ", ".join(dict.fromkeys(machines))


def list_entries(entries: Sequence[Mapping[str, Any]]) -> str:
    """Returns the zoo as a table of plain text: what there is, its size and PSNR."""
    sets = list(dict.fromkeys(s for entry in entries for s in entry["benchmarks"]))
    head = f"{'weights':<18}{'scale':>6}{'parameters':>13}{'kB':>8}"
    lines = [head + "".join(f"{name:>14}" for name in sets)]
    for entry in entries:
        line = f"{name_of(entry):<18}{'x' + str(entry['scale']):>6}"
        line += f"{entry['parameters']:>13,}{round(entry['bytes'] / 1000):>8,}"
        for name in sets:
            scores = entry["benchmarks"].get(name)
            line += f"{scores['psnr']:>14.2f}" if scores else f"{'-':>14}"
        lines.append(line)
    return "\n".join(lines)


def _curve(training: Mapping[str, Any]) -> str:
    """Returns PSNR on the way, in few rows; older runs' entries do not have it."""
    points = training.get("curve", [])
    if not points:
        return ""
    apart = -(-len(points) // _MOST_ROWS)
    rows = [
        f"| {step:,} | {minutes:,.1f} | {psnr:.2f} |"
        for step, minutes, psnr in points[::-1][::apart][::-1]
    ]
    head = [f"| step | minutes | {training['curve_of']}, dB |", "|---|---|---|"]
    return "\n".join(["", *head, *rows, ""])


def _scores(rows: Mapping[str, Mapping[str, Any]]) -> str:
    sets = list(next(iter(rows.values())))
    lines = [f"| | {' | '.join(sets)} |", "|---" * (len(sets) + 1) + "|"]
    for name, scores in rows.items():
        cells = (f"{scores[s]['psnr']:.2f} / {scores[s]['ssim']:.4f}" for s in sets)
        lines.append(f"| {name} | {' | '.join(cells)} |")
    return "\n".join(lines)
