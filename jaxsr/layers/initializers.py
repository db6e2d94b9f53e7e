"""How convolutions start: PyTorch's default (EDSR, RCAN, SAN) and He's (VDSR, DRCN)."""

import jax
from flax.linen import initializers

# U(-1/sqrt(fan_in), 1/sqrt(fan_in)), torch.nn.Conv2d's default for the weight.
torch_kernel_init = initializers.variance_scaling(1 / 3, "fan_in", "uniform")

# He et al. (2015) for ReLU, not truncated: Caffe's "msra" filler.
he_init = initializers.variance_scaling(2.0, "fan_in", "normal")


def torch_bias_init(fan_in: int) -> initializers.Initializer:
    """Returns U(-1/sqrt(fan_in), 1/sqrt(fan_in)), torch.nn.Conv2d's bias default.

    Args:
        fan_in: input channels times kernel height times kernel width.
    """
    bound = fan_in**-0.5

    def init(key, shape, dtype=float, out_sharding=None):
        del out_sharding  # part of Flax's initialiser signature
        return jax.random.uniform(key, shape, dtype, -bound, bound)

    return init
