"""SRCNN (Dong et al., 2014/2016), https://arxiv.org/abs/1501.00092, Sec. 3.

Three convolutions on the bicubic-upsampled luma; "9-5-5" names their sizes. The default
is the row that later papers print (57 K parameters); `kernel_sizes=(9, 1, 5)` is the
small network of the first paper (8 K).

Checked against yjn870/SRCNN-pytorch. Departs from the paper:

- Zero padding keeps the image's size; the paper trains without padding and compares the
  centre.
- PyTorch's default initialisation, as in that repository. The paper's N(0, 0.001) in
  all three layers starts from next to no signal; the authors trained for 8e8 updates.
"""

import flax.linen as nn
import jax
import jax.numpy as jnp
from jaxtyping import Float

from jaxsr.imaging import imresize_jnp
from jaxsr.layers.convolution import Conv
from jaxsr.models.base import Network


class SRCNN(Network):
    """Patch extraction, non-linear mapping, reconstruction (Fig. 2).

    Attributes:
        features: outputs of the first two convolutions, the paper's n1 and n2.
        kernel_sizes: of the three convolutions, the paper's f1, f2, f3.
    """

    features: tuple[int, int] = (64, 32)
    kernel_sizes: tuple[int, int, int] = (9, 5, 5)
    channels: int = 1

    knows_canvases = True

    @property
    def receptive_radius(self) -> int:
        return self.radius_behind_bicubic(sum(size // 2 for size in self.kernel_sizes))

    @nn.compact
    def forward(
        self, lr: Float[jax.Array, "n h w c"], *, train: bool
    ) -> Float[jax.Array, "n {self.scale}*h {self.scale}*w c"]:
        del train  # nothing differs between training and use
        n1, n2 = self.features
        f1, f2, f3 = self.kernel_sizes
        x = imresize_jnp(lr.astype(jnp.float32), self.scale)
        x = nn.relu(Conv(n1, f1, dtype=self.dtype, name="conv1")(x))
        x = nn.relu(Conv(n2, f2, dtype=self.dtype, name="conv2")(x))
        x = Conv(self.channels, f3, dtype=self.dtype, name="conv3")(x)
        return x.astype(jnp.float32)
