"""A network with its weights for other programs: ONNX, StableHLO, PyTorch.

    jaxsr.export.write("rcbam_lite_x2", "rcbam_lite_x2.onnx")

What is written has been compared with the network by the other side's own program, on
pictures of sizes that nothing was traced for.
"""

from collections.abc import Callable
from pathlib import Path

from jaxsr.errors import InputError
from jaxsr.export import onnx, pytorch, stablehlo
from jaxsr.files import check_place
from jaxsr.inference import pretrained
from jaxsr.loading import load_weights
from jaxsr.weights import Weights

__all__ = ["FORMATS", "write"]

FORMATS: dict[str, tuple[str, Callable[[Weights, Path], str]]] = {
    "onnx": (".onnx", onnx.write),
    "stablehlo": (".stablehlo", stablehlo.write),
    "safetensors-torch": (".safetensors", pytorch.write),
}
"""Name of a format -> the suffix of its files, and what writes one."""


def write(
    spec: str | Path | Weights,
    path: str | Path,
    format: str | None = None,
    *,
    scale: int | None = None,
) -> str:
    """Writes a network for another program; returns a line on how it was checked.

    Args:
        spec: as of `jaxsr.load`, or `Weights`.
        path: of the file.
        format: one of `FORMATS`; None is what the suffix says.
        scale: see `jaxsr.load_weights`.

    Raises:
        InputError: unknown format, or another suffix than it has; the file is that of
            the weights; no such weights, or of another scale; a network that the format
            cannot hold, with the reason; a library that is not installed; a result that
            differs from the network's by more than 1e-5.
        OSError: the file cannot be written.
    """
    path = Path(path)
    if not isinstance(spec, Weights):
        check_place(path, inputs=[spec, Path(spec, pretrained.FILE)])
    if format is None:
        found = [name for name, (suffix, _) in FORMATS.items() if path.suffix == suffix]
        format = found[0] if found else path.suffix
    if format not in FORMATS:
        raise InputError(
            f"export: expected a format among {', '.join(FORMATS)}, got "
            f"{format or 'a file name without suffix'}"
        )
    suffix, write_as = FORMATS[format]
    if path.suffix != suffix:
        raise InputError(f"{path}: expected a name in {suffix} for {format}")
    if not isinstance(spec, Weights):
        spec = load_weights(spec, scale=scale)
    elif scale not in (None, spec.scale):
        raise InputError(f"weights: expected x{scale}, got x{spec.scale}")
    return write_as(spec, path)
