"""Writes the `.pth` files beside it. Needs PyTorch, which the tests do not.

Made with PyTorch 2.13.0 (CPU): `python tests/convert/files/make_files.py`. Every file
holds the same small weights, see `test_read_checkpoint_torch_file`.
"""

from collections import OrderedDict
from pathlib import Path

import numpy as np
import torch

FOLDER = Path(__file__).parent


def save(name: str, content: object, *, zipped: bool = True) -> None:
    torch.save(content, FOLDER / name, _use_new_zipfile_serialization=zipped)


def no_source(*_: object) -> None:
    raise OSError("the sources of PyTorch's modules are not copied into the file")


def main() -> None:
    torch.serialization.get_source_lines_and_file = no_source
    layer = torch.nn.Conv2d(3, 2, 1)
    with torch.no_grad():
        layer.weight.copy_(torch.arange(6.0).reshape(2, 3, 1, 1) / 4 - 0.5)
        layer.bias.copy_(torch.tensor([0.25, -1.0]))
    module = torch.nn.Sequential(OrderedDict(conv=layer, norm=torch.nn.BatchNorm2d(2)))
    weights = module.state_dict()
    for suffix, zipped in (("zip", True), ("legacy", False)):
        save(f"state_dict_{suffix}.pth", weights, zipped=zipped)
        save(f"module_{suffix}.pth", {"epoch": 3, "model": module}, zipped=zipped)
    save(
        "parameters.pth", dict(module.named_parameters()) | dict(module.named_buffers())
    )
    average = {key: value + 1 for key, value in weights.items()}
    save("params_ema.pth", {"params": weights, "params_ema": average})
    save(
        "training.pth",
        {
            "epoch": 3,
            "best_psnr": np.float64(31.5),
            "device": torch.device("cpu"),
            "state_dict": weights,
            "optimizer": torch.optim.Adam(module.parameters()).state_dict(),
        },
    )
    for name, dtype in (("half", torch.float16), ("bfloat16", torch.bfloat16)):
        halves = {
            key: value.to(dtype) if value.is_floating_point() else value
            for key, value in weights.items()
        }
        save(f"{name}_zip.pth", halves)
        save(f"{name}_legacy.pth", halves, zipped=False)
    # Views: one storage for all, weight transposed in memory, bias in the middle.
    storage = torch.zeros(20)
    weight = storage[3:9].reshape(3, 2).T.reshape(2, 3, 1, 1)
    weight.copy_(weights["conv.weight"])
    bias = storage[12:16:2]
    bias.copy_(weights["conv.bias"])
    views = weights | {"conv.weight": weight, "conv.bias": bias}
    save("views_zip.pth", views)
    save("views_legacy.pth", views, zipped=False)


if __name__ == "__main__":
    main()
