"""Non-local attention (Wang et al., 2018, https://arxiv.org/abs/1711.07971).

Every pixel looks at every other one: `y_i = sum_j softmax_j(theta_i . phi_j) g_j`, then
`z = W_z y + x`, the embedded Gaussian form. The scores of a picture with N pixels are
an N x N matrix, 256 GiB for 512x512; here it never exists, and memory grows with N.
"""

import itertools
import math
from functools import partial
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
from jaxtyping import Float

from jaxsr.layers.convolution import Conv

# 16 MiB of float32 scores: fastest of 2**18 to 2**25 on CPU, where larger blocks fall
# out of the cache and smaller ones make thin matrix products.
_BLOCK_SCORES = 2**22


def attention(
    queries: Float[jax.Array, "n q d"],
    keys: Float[jax.Array, "n k d"],
    values: Float[jax.Array, "n k d"],
    *,
    block_scores: int = _BLOCK_SCORES,
) -> Float[jax.Array, "n q d"]:
    """Returns `softmax(queries @ keys.T) @ values`, unscaled, in the inputs' type.

    Memory, forward and backward, is O(q + k) beyond `block_scores`. In 16 bits on an
    NVIDIA GPU of the Ampere generation or later cuDNN's flash attention does it;
    elsewhere the queries go block by block, each against all keys, and the gradient
    computes each block again instead of storing it. Maximum-subtracted softmax and
    sums are float32 throughout.

    Args:
        block_scores: most scores held at a time, all images of the batch together. At
            least one query of each image is taken, whatever the number of keys.
    """
    if _flash_attention_takes(queries):
        single_head = (x[:, :, None, :] for x in (queries, keys, values))
        return jax.nn.dot_product_attention(
            *single_head, scale=1.0, implementation="cudnn"
        )[:, :, 0, :]

    def attend(block: jax.Array) -> jax.Array:
        product = partial(jnp.einsum, preferred_element_type=jnp.float32)
        scores = product("nqd,nkd->nqk", block, keys)
        # The result does not depend on the maximum, so neither does its gradient.
        peak = jax.lax.stop_gradient(jnp.max(scores, axis=-1, keepdims=True))
        weights = jnp.exp(scores - peak)
        total = jnp.sum(weights, axis=-1, keepdims=True)
        mixed = product("nqk,nkd->nqd", weights.astype(values.dtype), values)
        return (mixed / total).astype(values.dtype)

    n, q, d = queries.shape
    if not isinstance(n * q, int):  # no blocks of what an exporter knows no size of
        return attend(queries)
    size = max(block_scores // (n * keys.shape[1]), 1)
    if size >= q:
        return attend(queries)
    count = math.ceil(q / size)
    size = math.ceil(q / count)  # equal blocks: the least padding
    blocks = jnp.pad(queries, ((0, 0), (0, count * size - q), (0, 0)))
    blocks = blocks.reshape(n, count, size, d).swapaxes(0, 1)
    mixed = jax.lax.map(jax.checkpoint(attend), blocks)
    return mixed.swapaxes(0, 1).reshape(n, count * size, d)[:, :q]


def _flash_attention_takes(queries: jax.Array) -> bool:
    """Whether cuDNN's flash attention runs here for queries of this type and width."""
    device = jax.devices()[0]
    return (
        device.device_kind.startswith("NVIDIA")
        and float(device.compute_capability) >= 8.0
        and queries.dtype in (jnp.bfloat16, jnp.float16)
        and queries.shape[-1] % 8 == 0
        and queries.shape[-1] <= 128
    )


class NonLocal(nn.Module):
    """`x + W_z(attention(theta(x), phi(x), g(x)))`, the identity at the start.

    theta, phi, g and W_z are 1x1 convolutions with biases. W_z starts at zero: training
    begins with the network that surrounds the block. (The authors' video code has batch
    normalisation there and starts its scale at zero; SAN has this form.)

    With `regions` above 1 the picture is cut into `regions` x `regions` parts, at
    `floor(i * H / regions)`, and each attends only to itself, with the same weights.
    An axis shorter than `2 * regions` is not cut, and one of a single pixel is not
    pooled, so that every size works.

    The authors' block is `NonLocal(pool="before", scaled=True)`; the paper's formula is
    unscaled. SAN's is `NonLocal(8, regions=2, pool="after")`. What a pixel sees depends
    on the picture's extent, so a tile comes out different from the whole.

    Fields:
        inner_features: channels of theta, phi and g; None is half of the input's.
        regions: cuts per axis plus one.
        pool: 2x2 max-pooling, which leaves a quarter of the keys and values: "none",
            "before" the convolutions phi and g, or "after" them.
        scaled: divide the scores by `sqrt(inner_features)`.

    Raises:
        ValueError: unknown `pool`.

    Checked against facebookresearch/video-nonlocal-net and daitao/SAN.
    """

    inner_features: int | None = None
    regions: int = 1
    pool: str = "none"
    scaled: bool = False
    dtype: Any = jnp.float32

    @nn.compact
    def __call__(self, x: Float[jax.Array, "n h w c"]) -> Float[jax.Array, "n h w c"]:
        if self.pool not in ("none", "before", "after"):
            raise ValueError(
                f"pool: expected 'none', 'before' or 'after', got {self.pool!r}"
            )
        c = x.shape[-1]
        inner = self.inner_features or max(c // 2, 1)
        theta, phi, g = (
            Conv(inner, 1, dtype=self.dtype, name=name)
            for name in ("theta", "phi", "g")
        )

        def attend(region: jax.Array) -> jax.Array:
            n, h, w, _ = region.shape
            source = _pool(region) if self.pool == "before" else region
            keys, values = phi(source), g(source)
            if self.pool == "after":
                keys, values = _pool(keys), _pool(values)
            queries = theta(region)
            if self.scaled:
                queries = queries * inner**-0.5
            mixed = attention(
                *(a.reshape(n, -1, inner) for a in (queries, keys, values))
            )
            return mixed.reshape(n, h, w, inner)

        mixed = _map_regions(attend, x, self.regions)
        out = Conv(
            c,
            1,
            kernel_init=nn.initializers.zeros_init(),
            dtype=self.dtype,
            name="out",
        )
        return x + out(mixed)


def _pool(x: jax.Array) -> jax.Array:
    window = tuple(min(n, 2) if isinstance(n, int) else 2 for n in x.shape[1:3])
    return nn.max_pool(x, window_shape=window, strides=window)


def _split(x: jax.Array, cuts: list[Any], axis: int) -> list[jax.Array]:
    """Returns the parts of `x` between cuts, which may be symbols."""
    return [
        jax.lax.slice_in_dim(x, start, stop, axis=axis)
        for start, stop in itertools.pairwise([0, *cuts, x.shape[axis]])
    ]


def _map_regions(function, x: jax.Array, regions: int) -> jax.Array:
    """Applies `function`, `[n, h, w, c]` -> `[n, h, w, d]`, to each part of `x`."""
    cuts = [
        [i * length // regions for i in range(1, regions)]
        if not isinstance(length, int) or length >= 2 * regions
        else []
        for length in x.shape[1:3]
    ]
    parts = [part for row in _split(x, cuts[0], 1) for part in _split(row, cuts[1], 2)]
    if len({part.shape for part in parts}) == 1:
        # Parts of one size, as in training, go through as one batch.
        results = jnp.split(function(jnp.concatenate(parts)), len(parts))
    else:
        results = [function(part) for part in parts]
    columns = len(cuts[1]) + 1
    rows = [
        jnp.concatenate(results[i : i + columns], axis=2)
        for i in range(0, len(results), columns)
    ]
    return jnp.concatenate(rows, axis=1)
