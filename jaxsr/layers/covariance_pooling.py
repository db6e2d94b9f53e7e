"""Global covariance pooling with the matrix square root by Newton-Schulz iteration.

Source: Li et al., "Towards Faster Training of Global Covariance Pooling Networks by
Iterative Matrix Square Root Normalization", 2018, https://arxiv.org/abs/1712.01034.
Checked against jiangtaoxie/fast-MPN-COV and daitao/SAN.

Everything here is float32 at highest precision, whatever the network computes in: in
bfloat16 the root is off by almost 1 %, and TPUs and TensorFloat-32 would round inside
the matrix products.
"""

import jax
import jax.numpy as jnp
from jaxtyping import Float

# Added to the trace, so that constant features give zeros instead of 0/0. 1e-6 would
# already move the results of faint features.
_EPSILON = 1e-12


def covariance(x: Float[jax.Array, "n h w c"]) -> Float[jax.Array, "n c c"]:
    """Returns the covariance of the channels over the pixels, divided by H*W (Eq. 1).

    From the centred features, in O(H*W*C) memory; the authors' code multiplies by the
    H*W x H*W centring matrix.
    """
    n, h, w, c = x.shape
    x = x.astype(jnp.float32).reshape(n, h * w, c)
    x = x - jnp.mean(x, axis=1, keepdims=True)
    return jnp.einsum("npc,npd->ncd", x, x, precision="highest") / (h * w)


def matrix_sqrt(
    a: Float[jax.Array, "n c c"], iterations: int = 5
) -> Float[jax.Array, "n c c"]:
    """Returns the square root of positive semi-definite matrices, approximately.

    Newton-Schulz: from `Y = a / trace(a)`, `Z = I`, each iteration takes
    `T = (3 I - Z Y) / 2`, `Y <- Y T`, `Z <- T Z`, and Y nears the root of its start
    (Eqs. 2 to 5). Five iterations are part of the networks that use them, not an
    approximation to improve: they leave small eigenvalues well below their root. The
    gradient is that of the iteration; zero matrices have value and gradient zero.

    Args:
        iterations: at least 1; beyond 20 float32 gains nothing and in the end diverges.

    Raises:
        ValueError: `iterations` is below 1.
    """
    if iterations < 1:
        raise ValueError(f"iterations must be at least 1, got {iterations}")

    def product(left: jax.Array, right: jax.Array) -> jax.Array:
        return jnp.matmul(left, right, precision="highest")

    trace = jnp.trace(a, axis1=1, axis2=2)[:, None, None] + _EPSILON
    identity = jnp.eye(a.shape[-1], dtype=a.dtype)[None]
    y = a / trace
    # Z is still the identity in the first iteration.
    t = (3.0 * identity - y) / 2.0
    y, z = product(y, t), t
    for _ in range(iterations - 1):
        t = (3.0 * identity - product(z, y)) / 2.0
        y, z = product(y, t), product(t, z)
    return y * jnp.sqrt(trace)


def covariance_pool(
    x: Float[jax.Array, "n h w c"], iterations: int = 5
) -> Float[jax.Array, "n c c"]:
    """Returns the square root of the channels' covariance, float32.

    Finite, with a finite gradient, for constant features and single pixels (zeros).
    """
    return matrix_sqrt(covariance(x), iterations)
