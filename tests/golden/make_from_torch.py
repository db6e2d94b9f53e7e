"""Makes golden files by running public PyTorch implementations; see README.md.

    git clone https://github.com/yjn870/SRCNN-pytorch     (and so on, see README.md)
    python tests/golden/make_from_torch.py FOLDER_OF_CLONES tests/golden

Needs torch and NumPy only; nothing of jaxsr is used, so that the two stay independent.
"""

import argparse
import importlib
import importlib.util
import re
import sys
import types
from pathlib import Path

import numpy as np
import torch
from torch import nn


def stand_in(name: str, folder: Path | None = None) -> None:
    """Puts an empty module in place of one that the networks do not need.

    It has every attribute. With a folder it is a package, and the files in the folder
    can be imported from it.
    """
    module = types.ModuleType(name)
    module.__getattr__ = lambda attribute: nn.Module
    if folder:
        module.__path__ = [str(folder)]
    sys.modules[name] = module


def load(path: Path) -> types.ModuleType:
    """Returns the Python file as a module."""
    spec = importlib.util.spec_from_file_location(f"golden_{path.parent.name}", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@torch.no_grad()
def randomise(network: nn.Module, *, bias: float = 0.1, tail: float = 1.0) -> None:
    """Gives every parameter and running average a value that shows in the output.

    Values are multiples of 1/512, which compress to a quarter.

    Args:
        bias: standard deviation of biases; for layers that see 0..255, some 255 times
            that for [0, 1].
        tail: factor on the last weight, to bring the output near [0, 1].
    """
    generator = torch.Generator().manual_seed(0)

    def normal(tensor, std):
        return torch.randn(tensor.shape, generator=generator) * std

    def uniform(tensor, low, high):
        return torch.rand(tensor.shape, generator=generator) * (high - low) + low

    values = {}
    last = None
    for prefix, module in network.named_modules():
        if "mean" in prefix:  # mean shifts are fixed
            continue
        if isinstance(module, nn.Conv2d | nn.ConvTranspose2d):
            # A transposed convolution of stride s meets 1/s**2 of its taps at a pixel.
            taps = module.in_channels * module.kernel_size[0] ** 2
            if isinstance(module, nn.ConvTranspose2d):
                taps /= module.stride[0] ** 2
            values[module.weight] = normal(module.weight, (1.5 / taps) ** 0.5)
            last = module
            if module.bias is not None:
                values[module.bias] = normal(module.bias, bias)
        elif isinstance(module, nn.PReLU):
            values[module.weight] = uniform(module.weight, 0.05, 0.5)
        elif isinstance(module, nn.BatchNorm2d):
            values[module.weight] = uniform(module.weight, 0.5, 1.5)
            values[module.bias] = normal(module.bias, 0.1)
            values[module.running_mean] = normal(module.running_mean, 0.3)
            values[module.running_var] = uniform(module.running_var, 0.5, 2.0)
    values[last.weight] *= tail
    for parameter, value in values.items():
        parameter.copy_(torch.round(value * 512) / 512)


def yjn870(clones: Path):
    srcnn = load(clones / "SRCNN-pytorch" / "models.py").SRCNN()
    randomise(srcnn)
    yield "srcnn_yjn870", srcnn, (1, 18, 22), 1.0
    module = load(clones / "FSRCNN-pytorch" / "models.py")
    for scale in (2, 3, 4):
        sizes = {"d": 56, "s": 12, "m": 4} if scale == 3 else {"d": 10, "s": 5, "m": 2}
        fsrcnn = module.FSRCNN(scale_factor=scale, **sizes)
        randomise(fsrcnn)
        yield f"fsrcnn_yjn870_x{scale}", fsrcnn, (1, 9, 11), 1.0
    module = load(clones / "ESPCN-pytorch" / "models.py")
    for scale in (2, 3, 4):
        espcn = module.ESPCN(scale_factor=scale)
        randomise(espcn)
        yield f"espcn_yjn870_x{scale}", espcn, (1, 9, 11), 1.0


def twtygqyy(clones: Path):
    module = load(clones / "pytorch-vdsr" / "vdsr.py")
    vdsr = module.Net()
    # 4 instead of 20 convolutions, for the size of the file.
    vdsr.residual_layer = vdsr.make_layer(module.Conv_ReLU_Block, 2)
    randomise(vdsr, tail=0.3)
    yield "vdsr_twtygqyy", vdsr, (1, 18, 22), 1.0


def twtygqyy_lapsrn(clones: Path):
    # Its 64 features are written into the source; 6 keep the file small.
    source = (clones / "pytorch-LapSRN" / "lapsrn.py").read_text()
    module = types.ModuleType("lapsrn_with_6_features")
    exec(re.sub(r"\b64\b", "6", source), module.__dict__)
    lapsrn = module.Net()
    randomise(lapsrn)
    yield "lapsrn_twtygqyy", lapsrn, (1, 9, 11), 1.0


def edsr_pytorch(clones: Path):
    edsr = import_model(clones / "EDSR-PyTorch" / "src", "edsr")
    rcan = import_model(clones / "EDSR-PyTorch" / "src", "rcan")
    common = {"rgb_range": 255, "n_colors": 3}
    for scale in (2, 3, 4):
        options = types.SimpleNamespace(
            n_resblocks=3, n_feats=8, res_scale=1, scale=[scale], **common
        )
        network = edsr.EDSR(options)
        randomise(network, bias=10.0, tail=0.2)
        yield f"edsr_edsr_pytorch_x{scale}", network, (3, 9, 11), 255.0
    for scale in (2, 3, 4):
        options = types.SimpleNamespace(
            n_resgroups=2,
            n_resblocks=2,
            n_feats=12,
            reduction=4,
            res_scale=1,
            scale=[scale],
            **common,
        )
        network = rcan.RCAN(options)
        randomise(network, bias=10.0, tail=0.2)
        yield f"rcan_edsr_pytorch_x{scale}", network, (3, 9, 11), 255.0


def torchsr(clones: Path):
    folder = clones / "torchSR" / "torchsr" / "models"
    edsr = load(folder / "edsr.py").EDSR(3, 8, 2, 1)
    randomise(edsr, bias=10.0, tail=0.2)
    yield "edsr_torchsr_x2", edsr, (3, 9, 11), 1.0
    rcan = load(folder / "rcan.py").RCAN(2, 2, 12, 4, 2)
    randomise(rcan, bias=10.0, tail=0.2)
    yield "rcan_torchsr_x2", rcan, (3, 9, 11), 1.0


def basicsr(clones: Path):
    for package in ("basicsr", "basicsr.archs", "basicsr.utils"):
        stand_in(package, clones / "BasicSR" / package.replace(".", "/"))
    stand_in("basicsr.ops")
    stand_in("basicsr.ops.dcn")
    stand_in("torchvision")

    def arch(name):
        return importlib.import_module(f"basicsr.archs.{name}_arch")

    edsr = arch("edsr").EDSR(3, 3, num_feat=8, num_block=3, upscale=4, res_scale=0.1)
    randomise(edsr, bias=10.0, tail=0.2)
    yield "edsr_basicsr_x4", edsr, (3, 9, 11), 1.0
    rcan = arch("rcan").RCAN(
        3, 3, num_feat=12, num_group=2, num_block=2, squeeze_factor=4, upscale=3
    )
    randomise(rcan, bias=10.0, tail=0.2)
    yield "rcan_basicsr_x3", rcan, (3, 9, 11), 1.0
    for scale in (2, 3, 4):
        network = arch("srresnet").MSRResNet(num_feat=8, num_block=3, upscale=scale)
        randomise(network, tail=0.3)
        yield f"msrresnet_basicsr_x{scale}", network, (3, 9, 11), 1.0


def lornatang(clones: Path):
    for name in ("", ".models", ".models.feature_extraction"):
        stand_in(f"torchvision{name}")
    module = load(clones / "SRGAN-PyTorch" / "model.py")
    for scale in (2, 4):
        network = module.SRResNet(channels=8, num_rcb=3, upscale=scale)
        randomise(network, tail=0.05)
        # The network clips its output, which would hide differences.
        network.conv3.bias.data.fill_(0.5)
        yield f"srresnet_lornatang_x{scale}", network, (3, 9, 11), 1.0


def import_model(folder: Path, name: str) -> types.ModuleType:
    """Returns a file of a package `model`, which several repositories have."""
    for known in [known for known in sys.modules if known.split(".")[0] == "model"]:
        del sys.modules[known]
    sys.path.insert(0, str(folder))
    module = importlib.import_module(f"model.{name}")
    sys.path.pop(0)
    return module


def daitao(clones: Path):
    module = import_model(clones / "SAN" / "TrainCode", "san")
    for scale in (2, 3, 4):
        options = types.SimpleNamespace(
            n_resgroups=2,
            n_resblocks=2,
            n_feats=16 if scale == 2 else 8,
            reduction=4,
            res_scale=1,
            scale=[scale],
            rgb_range=255,
            n_colors=3,
        )
        network = module.SAN(options)
        randomise(network, bias=10.0, tail=0.05)
        network.gamma.fill_(0.25)
        yield f"san_daitao_x{scale}", network, (3, 9, 11), 255.0


def shifted_vdsr(clones: Path):
    module = import_model(clones / "EDSR-PyTorch" / "src", "vdsr")
    module.url["r4f8"] = ""  # it builds networks of known sizes only
    options = types.SimpleNamespace(n_resblocks=4, n_feats=8, rgb_range=255, n_colors=3)
    vdsr = module.VDSR(options)
    randomise(vdsr, bias=10.0, tail=0.3)
    yield "vdsr_edsr_pytorch", vdsr, (3, 18, 22), 255.0
    module = load(clones / "torchSR" / "torchsr" / "models" / "vdsr.py")
    for scale in (2, 3):
        vdsr = module.VDSR(4, 8, scale, pretrained=False)
        randomise(vdsr, tail=0.3)
        yield f"vdsr_torchsr_x{scale}", vdsr, (3, 9, 11), 1.0


@torch.no_grad()
def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("clones", type=Path, help="folder of the cloned repositories")
    parser.add_argument("out", type=Path, help="folder for the .npz files")
    arguments = parser.parse_args()
    generator = torch.Generator().manual_seed(1)
    makers = (yjn870, twtygqyy, edsr_pytorch, torchsr, basicsr, lornatang)
    for make in (*makers, twtygqyy_lapsrn, daitao, shifted_vdsr):
        for name, network, shape, value_range in make(arguments.clones):
            image = torch.rand((2, *shape), generator=generator)
            output = network.eval()(image * value_range)
            if isinstance(output, tuple):  # LapSRN returns the output of every level
                output = output[-1]
            output = output / value_range
            np.savez_compressed(
                arguments.out / f"{name}.npz",
                input=image.numpy(),
                output=output.numpy(),
                **{f"state/{k}": v.numpy() for k, v in network.state_dict().items()},
            )
            size = (arguments.out / f"{name}.npz").stat().st_size // 1000
            print(
                f"{name}: output {output.min():.3f} to {output.max():.3f}, "
                f"standard deviation {output.std():.3f}; {size} kB"
            )


if __name__ == "__main__":
    main()
