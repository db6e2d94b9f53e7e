"""The families of PyTorch checkpoints: which key of theirs is which parameter here.

Each function below describes one network of one repository. Depth, features and scale
are read off the keys and shapes, so small variants work as well as the published ones;
what the weights do not show (`res_scale`) has the repository's default.
"""

import re
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from jaxsr.convert import pytorch_early
from jaxsr.convert.mapping import (
    CONV_AS_DENSE,
    VECTOR,
    Arrays,
    Plan,
    choose_scale,
    count,
    size,
)
from jaxsr.convert.mean_shift import add_mean_shifts


def _edsr(arrays: Arrays, scale: int | None) -> Plan:
    """EDSR-PyTorch and torchSR; I/O is 0..255 in one and 0..1 in the other."""
    depth = count(arrays, r"body\.(\d+)\.body\.0\.weight")
    plan = _edsr_plan(arrays, size(arrays, "head.0.weight", 0, 64), depth)
    plan.add_conv("head.0", "head")
    for i in range(depth):
        plan.add_conv(f"body.{i}.body.0", f"block{i:02d}/conv1")
        plan.add_conv(f"body.{i}.body.2", f"block{i:02d}/conv2")
    plan.add_conv(f"body.{depth}", "body_end")
    _add_upsampler(plan, "tail.0", "tail.1", scale)
    add_mean_shifts(plan, "head.0", "tail.1")
    return plan


def _edsr_plan(arrays: Arrays, features: int, depth: int) -> Plan:
    if (features, depth) == (64, 16):
        return Plan(arrays, "edsr_baseline", {})
    # All published networks of 256 features scale their residuals, no other does.
    res_scale = 0.1 if features == 256 else 1.0
    fields = {"features": features, "depth": depth, "res_scale": res_scale}
    return Plan(arrays, "edsr", fields)


def _rcan(arrays: Arrays, scale: int | None) -> Plan:
    """EDSR-PyTorch, yulunzhang/RCAN and torchSR."""
    groups = count(arrays, r"body\.(\d+)\.body\.0\.body\.0\.weight")
    depth = count(arrays, r"body\.0\.body\.(\d+)\.body\.0\.weight")
    gate = "body.0.body.0.body.3.conv_du.0.weight"
    plan = _rcan_plan(arrays, "head.0", gate, groups, depth)
    plan.add_conv("head.0", "head")
    for i in range(groups):
        for j in range(depth):
            key, path = f"body.{i}.body.{j}.body", f"group{i:02d}/block{j:02d}"
            plan.add_conv(f"{key}.0", f"{path}/conv1")
            plan.add_conv(f"{key}.2", f"{path}/conv2")
            _add_gate(plan, f"{key}.3.conv_du.0", f"{key}.3.conv_du.2", path)
        plan.add_conv(f"body.{i}.body.{depth}", f"group{i:02d}/end")
    plan.add_conv(f"body.{groups}", "body_end")
    _add_upsampler(plan, "tail.0", "tail.1", scale)
    add_mean_shifts(plan, "head.0", "tail.1")
    return plan


def _rcan_plan(arrays: Arrays, head: str, gate: str, groups: int, depth: int) -> Plan:
    features = size(arrays, f"{head}.weight", 0, 64)
    fields = {
        "features": features,
        "groups": groups,
        "depth": depth,
        "reduction": max(features // size(arrays, gate, 0, max(features // 16, 1)), 1),
    }
    return Plan(arrays, "rcan", fields)


def _add_gate(plan: Plan, squeeze: str, expand: str, path: str) -> None:
    for key, name in ((squeeze, "squeeze"), (expand, "expand")):
        target = f"{path}/attention/mlp/{name}"
        plan.sources[f"{target}/kernel"] = (f"{key}.weight", CONV_AS_DENSE)
        plan.sources[f"{target}/bias"] = (f"{key}.bias", VECTOR)


def _add_upsampler(plan: Plan, steps: str, tail: str, scale: int | None) -> None:
    """Adds EDSR's upsampler and last convolution, and the scale that they are for."""
    arrays = plan.arrays
    features = size(arrays, f"{tail}.weight", 1, 64)
    last_step = count(arrays, rf"{re.escape(steps)}\.(\d+)\.weight")
    stages = max((last_step + 1) // 2, 1)
    threefold = size(arrays, f"{steps}.0.weight", 0, 0) == 9 * features
    plan.fields["scale"] = choose_scale(scale, 3 if threefold else 2**stages)
    for i in range(stages):
        plan.add_conv(f"{steps}.{2 * i}", f"upsampler/conv{i}")
    plan.add_conv(tail, "tail")


def _basicsr_edsr(arrays: Arrays, scale: int | None) -> Plan:
    depth = count(arrays, r"body\.(\d+)\.conv1\.weight")
    plan = _edsr_plan(arrays, size(arrays, "conv_first.weight", 0, 64), depth)
    plan.add_conv("conv_first", "head")
    for i in range(depth):
        plan.add_conv(f"body.{i}.conv1", f"block{i:02d}/conv1")
        plan.add_conv(f"body.{i}.conv2", f"block{i:02d}/conv2")
    plan.add_conv("conv_after_body", "body_end")
    _add_upsampler(plan, "upsample", "conv_last", scale)
    return plan


def _basicsr_rcan(arrays: Arrays, scale: int | None) -> Plan:
    groups = count(arrays, r"body\.(\d+)\.conv\.weight")
    depth = count(arrays, r"body\.0\.residual_group\.(\d+)\.rcab\.0\.weight")
    gate = "body.0.residual_group.0.rcab.3.attention.1.weight"
    plan = _rcan_plan(arrays, "conv_first", gate, groups, depth)
    plan.add_conv("conv_first", "head")
    for i in range(groups):
        for j in range(depth):
            key = f"body.{i}.residual_group.{j}.rcab"
            path = f"group{i:02d}/block{j:02d}"
            plan.add_conv(f"{key}.0", f"{path}/conv1")
            plan.add_conv(f"{key}.2", f"{path}/conv2")
            _add_gate(plan, f"{key}.3.attention.1", f"{key}.3.attention.3", path)
        plan.add_conv(f"body.{i}.conv", f"group{i:02d}/end")
    plan.add_conv("conv_after_body", "body_end")
    _add_upsampler(plan, "upsample", "conv_last", scale)
    return plan


def _basicsr_msrresnet(arrays: Arrays, scale: int | None) -> Plan:
    depth = count(arrays, r"body\.(\d+)\.conv1\.weight")
    features = size(arrays, "conv_first.weight", 0, 64)
    stages = max(count(arrays, r"upconv(\d+)\.weight") - 1, 1)
    threefold = size(arrays, "upconv1.weight", 0, 0) == 9 * features
    plan = Plan(
        arrays,
        "msrresnet",
        {
            "scale": choose_scale(scale, 3 if threefold else 2**stages),
            "features": features,
            "depth": depth,
            "channels": size(arrays, "conv_first.weight", 1, 3),
        },
    )
    plan.add_conv("conv_first", "head")
    for i in range(depth):
        plan.add_conv(f"body.{i}.conv1", f"block{i:02d}_conv1")
        plan.add_conv(f"body.{i}.conv2", f"block{i:02d}_conv2")
    for i in range(stages):
        plan.add_conv(f"upconv{i + 1}", f"up{i}")
    plan.add_conv("conv_hr", "hr")
    plan.add_conv("conv_last", "tail")
    return plan


def _daitao_san(arrays: Arrays, scale: int | None) -> Plan:
    groups = count(arrays, r"RG\.(\d+)\.conv_last\.weight")
    depth = count(arrays, r"RG\.0\.rcab\.(\d+)\.conv_first\.0\.weight")
    features = size(arrays, "head.0.weight", 0, 64)
    squeezed = size(arrays, "RG.0.soca.conv_du.0.weight", 0, max(features // 16, 1))
    plan = Plan(
        arrays,
        "san",
        {
            "features": features,
            "groups": groups,
            "depth": depth,
            "reduction": max(features // squeezed, 1),
        },
        {"gamma": ("gamma", VECTOR)},
        # In the released state dict, but not in the forward pass.
        unused=r"RG\.\d+\.gamma|conv_last\.(weight|bias)|non_local\.soca\..*",
    )
    plan.add_conv("head.0", "head")
    attention = "non_local.non_local"
    for key, name in (("g.0", "g"), ("phi.0", "phi"), ("theta", "theta"), ("W", "out")):
        plan.add_conv(f"{attention}.{key}", f"non_local/{name}")
    for i in range(groups):
        key, path = f"RG.{i}", f"group{i:02d}"
        for j in range(depth):
            block = f"{key}.rcab.{j}.conv_first"
            plan.add_conv(f"{block}.0", f"{path}/block{j:02d}/conv1")
            plan.add_conv(f"{block}.2", f"{path}/block{j:02d}/conv2")
        _add_gate(plan, f"{key}.soca.conv_du.0", f"{key}.soca.conv_du.2", path)
        plan.add_conv(f"{key}.conv_last", f"{path}/end")
    _add_upsampler(plan, "tail.0", "tail.1", scale)
    add_mean_shifts(plan, "head.0", "tail.1")
    return plan


def to_numpy(state_dict: Mapping[str, Any]) -> dict[str, np.ndarray]:
    """Takes arrays, and tensors on any device, with or without gradients."""
    return {key: _to_numpy(value) for key, value in state_dict.items()}


def _to_numpy(value: Any) -> np.ndarray:
    if hasattr(value, "detach"):
        value = value.detach().cpu().float()  # NumPy has no bfloat16
    return np.asarray(value)


# Repository and network -> what describes its checkpoints.
FAMILIES: dict[str, Callable[[Arrays, int | None], Plan]] = {
    "yjn870/srcnn": pytorch_early.yjn870_srcnn,
    "yjn870/fsrcnn": pytorch_early.yjn870_fsrcnn,
    "yjn870/espcn": pytorch_early.yjn870_espcn,
    "twtygqyy/vdsr": pytorch_early.twtygqyy_vdsr,
    "twtygqyy/lapsrn": pytorch_early.twtygqyy_lapsrn,
    "edsr-pytorch/edsr": _edsr,
    "edsr-pytorch/rcan": _rcan,
    "edsr-pytorch/vdsr": pytorch_early.edsr_pytorch_vdsr,
    "torchsr/edsr": _edsr,
    "torchsr/rcan": _rcan,
    "torchsr/vdsr": pytorch_early.torchsr_vdsr,
    "basicsr/edsr": _basicsr_edsr,
    "basicsr/rcan": _basicsr_rcan,
    "basicsr/msrresnet": _basicsr_msrresnet,
    "daitao/san": _daitao_san,
}
