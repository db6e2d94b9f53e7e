"""Families of PyTorch checkpoints of the first networks, SRCNN to LapSRN.

See `jaxsr.convert.pytorch`, which lists them.
"""

from jaxsr.convert.mapping import (
    CONV_TRANSPOSE,
    VECTOR,
    Arrays,
    Plan,
    choose_scale,
    count,
    pyramid_scale,
    size,
)
from jaxsr.convert.mean_shift import add_mean_shifts


def yjn870_srcnn(arrays: Arrays, scale: int | None) -> Plan:
    names = ("conv1", "conv2", "conv3")
    plan = Plan(
        arrays,
        "srcnn",
        {
            "scale": choose_scale(scale, None),
            "features": tuple(
                size(arrays, f"{name}.weight", 0, default)
                for name, default in zip(names, (64, 32), strict=False)
            ),
            "kernel_sizes": tuple(
                size(arrays, f"{name}.weight", 2, default)
                for name, default in zip(names, (9, 5, 5), strict=True)
            ),
            "channels": size(arrays, "conv1.weight", 1, 1),
        },
    )
    for name in names:
        plan.add_conv(name, name)
    return plan


def yjn870_fsrcnn(arrays: Arrays, scale: int | None) -> Plan:
    depth = max((count(arrays, r"mid_part\.(\d+)\.weight") - 4) // 2, 0)
    plan = Plan(
        arrays,
        "fsrcnn",
        {
            "scale": choose_scale(scale, None),
            "features": size(arrays, "first_part.0.weight", 0, 56),
            "shrink": size(arrays, "mid_part.0.weight", 0, 12),
            "depth": depth,
            "channels": size(arrays, "first_part.0.weight", 1, 1),
        },
    )
    names = ["shrink", *(f"map{i:02d}" for i in range(depth)), "expand"]
    layers = {"first_part.0": "head"}
    layers |= {f"mid_part.{2 * i}": name for i, name in enumerate(names)}
    for key, name in layers.items():
        plan.add_conv(key, name)
        part, index = key.split(".")
        slope = f"{part}.{int(index) + 1}.weight"
        plan.sources[f"{name}_prelu/slope"] = (slope, VECTOR)
    plan.sources["deconv/kernel"] = ("last_part.weight", CONV_TRANSPOSE)
    plan.sources["deconv/bias"] = ("last_part.bias", VECTOR)
    return plan


def yjn870_espcn(arrays: Arrays, scale: int | None) -> Plan:
    channels = size(arrays, "first_part.0.weight", 1, 1)
    outputs = size(arrays, "last_part.0.weight", 0, 9)
    plan = Plan(
        arrays,
        "espcn",
        {
            "scale": choose_scale(scale, round((outputs / channels) ** 0.5)),
            "features": (
                size(arrays, "first_part.0.weight", 0, 64),
                size(arrays, "first_part.2.weight", 0, 32),
            ),
            "channels": channels,
        },
    )
    for i, key in enumerate(("first_part.0", "first_part.2", "last_part.0")):
        plan.add_conv(key, f"conv{i + 1}")
    return plan


def twtygqyy_vdsr(arrays: Arrays, scale: int | None) -> Plan:
    inner = count(arrays, r"residual_layer\.(\d+)\.conv\.weight")
    plan = Plan(
        arrays,
        "vdsr",
        {
            "scale": choose_scale(scale, None),
            "features": size(arrays, "input.weight", 0, 64),
            "depth": inner + 2,
            "use_bias": False,
            "channels": size(arrays, "input.weight", 1, 1),
        },
    )
    inner_keys = [f"residual_layer.{i}.conv" for i in range(inner)]
    for i, key in enumerate(["input", *inner_keys, "output"]):
        plan.add_conv(key, f"conv{i:02d}", bias=False)
    return plan


def edsr_pytorch_vdsr(arrays: Arrays, scale: int | None) -> Plan:
    """Its input comes enlarged, by MATLAB's bicubic."""
    depth = max(count(arrays, r"body\.(\d+)\.0\.weight"), 2)
    keys = [f"body.{i}.0" for i in range(depth)]
    return _shifted_vdsr(arrays, scale, keys, "matlab")


def torchsr_vdsr(arrays: Arrays, scale: int | None) -> Plan:
    depth = max((count(arrays, r"body\.(\d+)\.weight") + 1) // 2, 2)
    keys = [f"body.{2 * i}" for i in range(depth)]
    return _shifted_vdsr(arrays, scale, keys, "torch")


def _shifted_vdsr(
    arrays: Arrays, scale: int | None, keys: list[str], bicubic: str
) -> Plan:
    plan = Plan(
        arrays,
        "vdsr",
        {
            "scale": choose_scale(scale, None),
            "features": size(arrays, f"{keys[0]}.weight", 0, 64),
            "depth": len(keys),
            "bicubic": bicubic,
            "channels": 3,
        },
    )
    for i, key in enumerate(keys):
        plan.add_conv(key, f"conv{i:02d}")
    add_mean_shifts(plan)
    return plan


def twtygqyy_lapsrn(arrays: Arrays, scale: int | None) -> Plan:
    levels = max(count(arrays, r"convt_R(\d+)\.weight") - 1, 1)
    depth = count(arrays, r"convt_F1\.0\.cov_block\.(\d+)\.weight") // 2
    plan = Plan(
        arrays,
        "lapsrn",
        {
            "scale": pyramid_scale(scale, levels),
            "features": size(arrays, "conv_input.weight", 0, 64),
            "depth": depth,
            "upsample_kernel": 4,
            "use_bias": False,
            "channels": size(arrays, "conv_input.weight", 1, 1),
        },
    )
    plan.add_conv("conv_input", "head", bias=False)
    for i in range(levels):
        block = f"convt_F{i + 1}.0.cov_block"
        for j in range(depth):
            plan.add_conv(f"{block}.{2 * j}", f"level{i}/conv{j:02d}", bias=False)
        for name, key in (
            ("upsample", f"{block}.{2 * depth}.weight"),
            ("image_upsample", f"convt_I{i + 1}.weight"),
        ):
            plan.sources[f"level{i}/{name}/kernel"] = (key, CONV_TRANSPOSE)
        plan.add_conv(f"convt_R{i + 1}", f"level{i}/residual", bias=False)
    return plan
