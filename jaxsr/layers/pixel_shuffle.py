"""Sub-pixel rearrangement (ESPCN, https://arxiv.org/abs/1609.05158, Eq. 4)."""

import jax
from jaxtyping import Float


def pixel_shuffle(
    x: Float[jax.Array, "n h w d"], scale: int
) -> Float[jax.Array, "n {scale}*h {scale}*w c"]:
    """Returns `[N, H, W, C*scale**2]` rearranged to `[N, scale*H, scale*W, C]`.

    Input channel `c*scale**2 + i*scale + j` goes to row `i`, column `j` of output
    channel `c`. That is PyTorch's order, which published weights follow; TensorFlow's
    depth_to_space orders (i, j, c).

    Raises:
        ValueError: the number of channels is no multiple of `scale**2`.
    """
    n, h, w, d = x.shape
    if d % scale**2:
        raise ValueError(
            f"pixel_shuffle by {scale} needs a multiple of {scale**2} channels, got {d}"
        )
    c = d // scale**2
    x = x.reshape(n, h, w, c, scale, scale)
    return x.transpose(0, 1, 4, 2, 5, 3).reshape(n, scale * h, scale * w, c)
