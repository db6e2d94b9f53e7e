"""AMMS: attention (non-local and second-order) and multi-scale feature fusion.

Source: "Image Super-Resolution Reconstruction Based on Attention Mechanism and
Multi-scale Feature Fusion", whose authors also call the network MLRN: Section 2.2 (SF
block), 2.3.1 and Figure 2 (MSFF), 2.3.2 and Figure 3 (LS_AM), 2.3.3 and Figures 4 and 5
(AM). The order of the parts is Figure 1's: convolution, SF, MSFF, LS_AM, MSFF, SF,
sub-pixel reconstruction.

How the paper's gaps are filled, each with its reason:

- SF block: "several 1x1 convolution layers and local residual learning", read as three
  with ReLU between them. The two blocks hold 1.4 % of the parameters.
- MSFF: the branches are as wide as the input and joined by a 1x1 convolution, and the
  input is added: see `jaxsr.layers.multi_scale`.
- AM: the text names two branches, fused. A residual block's two 3x3 convolutions make
  the features that both look at, since attention only weighs and mixes what is there;
  a 1x1 convolution of the two results fuses them; the module's input is added, as in
  the blocks of EDSR, RCAN and SAN.
- Non-local branch: as in SAN, which the paper builds on: within quarters of the picture
  and with pooled keys, a sixteenth of the whole picture's scores, in each module.
  `inner_features` is SAN's 8: half of `features`, the non-local paper's choice, scored
  the same (30.84 dB for both) at three times the network's multiply-adds.
- Second-order branch: SAN's gate, reduction 16, five iterations.
- LS_AM: a 3x3 convolution stands after the last module, as in EDSR, RCAN and SAN. The
  modules have skips of their own, so the long one alone would only double `x`.
- `depth`, the paper's M, and `features` are not stated: 16 and 64, with which the
  network has 1.7 M parameters, between the paper's MemNet (0.7 M) and the large ones.
  Short runs do not tell 12 modules from 16; docs/results.md has what was measured.
- Reconstruction: ESPCN's, one convolution and one rearrangement at every scale; the
  paper cites that one.
- `image_skip`: the bicubic picture is added to the output and the last convolution
  starts at zero, so that training starts as good as bicubic. Not stated.
- `mean`, DIV2K's colour, is subtracted from the input (Sec. 4.2). The range that it
  belongs to is not stated; it is [0, 1] here.
- Colour: Sec. 4.1 says that luma alone goes through the network, Sec. 4.2 that it is
  trained on RGB patches less an RGB mean. Both cannot be; RGB is the default.

The switches `non_local`, `second_order` and `multi_scale` give the ablation of the
paper's Table 1. Without `multi_scale` MSFF keeps its 3x3 branch only. With one branch
AM has nothing to fuse; with none it is EDSR's residual block.

Both attentions take in the whole picture, so a tile comes out a little different from
the same place in the whole.
"""

from collections.abc import Callable
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
from jaxtyping import Float

from jaxsr.imaging import imresize_jnp
from jaxsr.layers.block_loop import BlockLoop
from jaxsr.layers.convolution import Conv
from jaxsr.layers.initializers import torch_kernel_init
from jaxsr.layers.mean_shift import DIV2K_MEAN, mean_colour
from jaxsr.layers.multi_scale import MultiScaleFusion
from jaxsr.layers.non_local import NonLocal
from jaxsr.layers.pixel_shuffle import pixel_shuffle
from jaxsr.layers.second_order_attention import SecondOrderAttention
from jaxsr.models.base import Network


class ShallowFeatureBlock(nn.Module):
    """`x + conv1x1(ReLU(conv1x1(ReLU(conv1x1(x)))))` (SF, Sec. 2.2)."""

    dtype: Any = jnp.float32

    @nn.compact
    def __call__(self, x: Float[jax.Array, "n h w c"]) -> Float[jax.Array, "n h w c"]:
        c = x.shape[-1]
        y = nn.relu(Conv(c, 1, dtype=self.dtype, name="conv1")(x))
        y = nn.relu(Conv(c, 1, dtype=self.dtype, name="conv2")(y))
        return x + Conv(c, 1, dtype=self.dtype, name="conv3")(y)


class AttentionModule(nn.Module):
    """`x + fuse([non_local(y), second_order(y)])`, `y = conv(ReLU(conv(x)))` (AM).

    Sec. 2.3.3, Figures 4 and 5. `inner_features` and `reduction` are those of
    `NonLocal` and `SecondOrderAttention`.
    """

    non_local: bool = True
    second_order: bool = True
    inner_features: int = 8
    reduction: int = 16
    dtype: Any = jnp.float32

    @nn.compact
    def __call__(self, x: Float[jax.Array, "n h w c"]) -> Float[jax.Array, "n h w c"]:
        c = x.shape[-1]
        y = nn.relu(Conv(c, dtype=self.dtype, name="conv1")(x))
        y = Conv(c, dtype=self.dtype, name="conv2")(y)
        branches: list[Callable[[jax.Array], jax.Array]] = []
        if self.non_local:
            branches.append(
                NonLocal(
                    self.inner_features,
                    regions=2,
                    pool="after",
                    dtype=self.dtype,
                    name="non_local",
                )
            )
        if self.second_order:
            branches.append(
                SecondOrderAttention(
                    self.reduction, dtype=self.dtype, name="second_order"
                )
            )
        results = [branch(y) for branch in branches] or [y]
        y = jnp.concatenate(results, axis=-1)
        if len(results) > 1:
            y = Conv(c, 1, dtype=self.dtype, name="fuse")(y)
        return x + y


class AMMS(Network):
    """The second paper's network; the fields are explained at the top of the module."""

    features: int = 64
    depth: int = 16
    non_local: bool = True
    second_order: bool = True
    multi_scale: bool = True
    inner_features: int = 8
    reduction: int = 16
    image_skip: bool = True
    mean: tuple[float, ...] = DIV2K_MEAN
    block_loop: BlockLoop = BlockLoop()

    @nn.compact
    def forward(
        self, lr: Float[jax.Array, "n h w c"], *, train: bool
    ) -> Float[jax.Array, "n {self.scale}*h {self.scale}*w c"]:
        del train  # nothing differs between training and use
        lr = lr.astype(jnp.float32)
        mean = mean_colour(self.mean)
        sizes = (1, 3, 5) if self.multi_scale else (3,)
        x = Conv(self.features, dtype=self.dtype, name="head")(lr - mean)
        x = ShallowFeatureBlock(dtype=self.dtype, name="shallow")(x)
        x = MultiScaleFusion(sizes, dtype=self.dtype, name="fusion1")(x)
        blocks = [
            AttentionModule(
                non_local=self.non_local,
                second_order=self.second_order,
                inner_features=self.inner_features,
                reduction=self.reduction,
                dtype=self.dtype,
                name=f"block{i:02d}",
            )
            for i in range(self.depth)
        ]
        y = self.block_loop(blocks, x)
        x = x + Conv(self.features, dtype=self.dtype, name="body_end")(y)
        x = MultiScaleFusion(sizes, dtype=self.dtype, name="fusion2")(x)
        x = ShallowFeatureBlock(dtype=self.dtype, name="correction")(x)
        x = Conv(
            self.channels * self.scale**2,
            kernel_init=(
                nn.initializers.zeros_init() if self.image_skip else torch_kernel_init
            ),
            dtype=self.dtype,
            name="tail",
        )(x)
        sr = pixel_shuffle(x.astype(jnp.float32), self.scale)
        return sr + (imresize_jnp(lr, self.scale) if self.image_skip else mean)
