"""The families of MATLAB files: the authors' own weights of VDSR, LapSRN and SCN."""

from collections.abc import Callable, Sequence

import numpy as np

from jaxsr.convert.mapping import (
    MATLAB_CONV,
    MATLAB_CONV_TRANSPOSE,
    MATRIX,
    VECTOR,
    Arrays,
    Plan,
    choose_scale,
    count,
    pyramid_scale,
    size,
)
from jaxsr.errors import InputError


def restore_axes(arrays: Arrays) -> dict[str, np.ndarray]:
    """Returns the arrays with the axes that MATLAB drops, and vectors as vectors.

    A kernel `[h, w, in, out]` lies in the file with fewer axes if `out`, or `in` and
    `out`, are 1; a bias lies there as a matrix of one row or column.
    """
    restored = {}
    for key, array in arrays.items():
        if key.endswith("_f") or key.startswith("model.weight."):
            array = array.reshape(array.shape + (1,) * (4 - array.ndim))
        elif array.ndim == 2 and 1 in array.shape:
            array = array.ravel()
        restored[key] = array
    return restored


def _vdsr(arrays: Arrays, scale: int | None) -> Plan:
    """huangzehao/caffe-vdsr: the weights that the authors released, and retrained."""
    depth = count(arrays, r"model\.weight\.(\d+)")
    plan = Plan(
        arrays,
        "vdsr",
        {
            "scale": choose_scale(scale, None),
            "features": size(arrays, "model.weight.0", 3, 64),
            "depth": depth,
            "channels": size(arrays, "model.weight.0", 2, 1),
        },
    )
    for i in range(depth):
        plan.sources[f"conv{i:02d}/kernel"] = (f"model.weight.{i}", MATLAB_CONV)
        plan.sources[f"conv{i:02d}/bias"] = (f"model.bias.{i}", VECTOR)
    return plan


def _lapsrn(arrays: Arrays, scale: int | None) -> Plan:
    """phoenix104104/LapSRN; its levels count down, level 1 is the finest."""
    levels = max(count(arrays, r"level(\d+)_img_up_f") - 1, 1)
    depth = max(count(arrays, r"level1_conv(\d+)_f") - 1, 1)
    plan = Plan(
        arrays,
        "lapsrn",
        {
            "scale": pyramid_scale(scale, levels),
            "features": size(arrays, "input_conv_f", 3, 64),
            "depth": depth,
            "upsample_kernel": size(arrays, "level1_upconv_f", 0, 3),
            "channels": size(arrays, "input_conv_f", 2, 1),
        },
    )

    def add(key: str, path: str, layout: tuple[int, ...], *, bias: bool = True):
        plan.sources[f"{path}/kernel"] = (f"{key}_f", layout)
        if bias:
            plan.sources[f"{path}/bias"] = (f"{key}_b", VECTOR)

    add("input_conv", "head", MATLAB_CONV)
    for i in range(levels):
        key, path = f"level{levels - i}", f"level{i}"
        for j in range(depth):
            add(f"{key}_conv{j + 1}", f"{path}/conv{j:02d}", MATLAB_CONV)
        add(f"{key}_upconv", f"{path}/upsample", MATLAB_CONV_TRANSPOSE)
        add(f"{key}_residual_conv", f"{path}/residual", MATLAB_CONV)
        image_upsample = f"{path}/image_upsample"
        add(f"{key}_img_up", image_upsample, MATLAB_CONV_TRANSPOSE, bias=False)
    return plan


def join_stages(files: Sequence[Arrays]) -> Arrays:
    """Returns the arrays of a cascade's files, one a stage, as those of one file."""
    if len(files) == 1:
        return files[0]
    return {
        f"stage{i}.{key}": array
        for i, arrays in enumerate(files)
        for key, array in arrays.items()
    }


def _scn(arrays: Arrays, scale: int | None) -> Plan:
    """huangzehao/SCN_Matlab: one x2 stage, repeated if need be, or one file a stage."""
    files = count(arrays, r"stage(\d+)\..*")
    chosen: int = 2 ** max(files, 1) if scale is None else scale
    if chosen < 2:
        raise InputError(f"expected a scale of at least 2, got {chosen}")
    stages = (chosen - 1).bit_length()
    if files not in (0, stages):
        raise InputError(
            f"x{chosen} takes one file, or one for each stage ({stages}), got {files}"
        )
    prefixes = [f"stage{i}." if files else "" for i in range(stages)]
    for prefix in dict.fromkeys(prefixes):
        arrays = _unfold_scn(arrays, f"{prefix}model")
    plan = Plan(
        arrays,
        "scn",
        {"scale": chosen, "atoms": size(arrays, f"{prefixes[0]}model.wd", 3, 128)},
        # Fixed, and built into the network.
        unused=r"(stage\d+\.)?model\.(mean2|diffms)",
    )
    for i, prefix in enumerate(prefixes):
        plan.sources |= {
            f"stage{i}/{name}": (f"{prefix}model.{key}", layout)
            for name, key, layout in (
                ("filters", "conv", MATLAB_CONV),
                ("encode", "wd", MATLAB_CONV),
                ("feedback", "usd1", MATRIX),
                ("decode", "ud", MATRIX),
                ("combine", "addp", VECTOR),
            )
        }
    return plan


def _unfold_scn(arrays: Arrays, name: str) -> Arrays:
    """Returns SCN's two matrices on features as convolution kernels.

    The columns of `conv` are 100 features of 9x9 taps, column by column: four 5x5
    filters, each at 5x5 shifts, feature `25 * filter + 5 * dy + dx`. They become
    `[5, 5, 1, 4]`, and the rows of `wd` `[5, 5, 4, atoms]`.
    """
    conv, wd = arrays.get(f"{name}.conv"), arrays.get(f"{name}.wd")
    if conv is None or wd is None:
        return arrays  # reported with whatever else is missing
    if conv.shape != (81, 100) or wd.ndim != 2 or len(wd) != 100:
        raise InputError(
            f"expected {name}.conv 81x100 and {name}.wd 100xN, got "
            f"{conv.shape} and {wd.shape}"
        )
    features = conv.reshape(9, 9, 100, order="F").reshape(9, 9, 4, 5, 5)
    filters = features[:5, :5, :, 0, 0]
    for dy in range(5):
        for dx in range(5):
            shifted = np.zeros((9, 9, 4))
            shifted[dy : dy + 5, dx : dx + 5] = filters
            if not np.array_equal(features[..., dy, dx], shifted):
                raise InputError(
                    f"expected {name}.conv to hold four filters at 5x5 shifts, got "
                    "features that differ"
                )
    wd = wd.reshape(4, 5, 5, -1).transpose(1, 2, 0, 3)
    return {**arrays, f"{name}.conv": filters[:, :, None], f"{name}.wd": wd}


# Families that may come as one file a stage.
CASCADES = {"matconvnet/scn"}
# Source and network -> what describes its weights.
FAMILIES: dict[str, Callable[[Arrays, int | None], Plan]] = {
    "matconvnet/vdsr": _vdsr,
    "matconvnet/lapsrn": _lapsrn,
    "matconvnet/scn": _scn,
}
