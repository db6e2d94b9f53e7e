"""SCN: sparse coding written as a network (LISTA with one recurrence).

Source: Wang, Liu, Yang, Han and Huang, "Deep Networks for Image Super-Resolution with
Sparse Prior", ICCV 2015, https://arxiv.org/abs/1507.08905, Sec. 3 and 4, in the form of
the first author's MATLAB code and weights (huangzehao/SCN_Matlab), with which this
module reaches 36.54 dB (x2) on Set5. His Python code beside it reads the same arrays
transposed, which gives 36.58 dB.

One stage doubles the picture. On luma enlarged by bicubic, for every 5x5 patch:

1. H: four 5x5 filters; a patch is described by their 4 x 25 responses at the 5x5
   positions around it, scaled to length 1.
2. LISTA: z0 = soft(W y); z = soft(S z0 + W y), with soft(a) = sign(a) max(|a| - 1, 0).
   The learned thresholds of the paper are folded into W, S and D (its Fig. 3): the
   threshold 1 is exact and there is no parameter for it.
3. D: 25 values of the finer patch, scaled to 1.1 times the length of the mean-removed
   patch below.
4. G: a weight for each position in the patch, overlapping patches added up, on top of
   the twice box-filtered image, the mean of the patches' means.

The network is homogeneous of degree 1, so the [0, 1] used here and the authors' [0,
255] are the same. x3, x4 and above are cascades, one stage with its own weights a
doubling, then bicubic down to size; outputs of all stages but the last are sown as
`supervision/prediction<i>` while training (the paper's CSCN trains the cascade so).

Departs: a floor of 1e-6 under every length that is divided by (the code divides by 0
where all codes are silent). H and W are one 5x5 convolution each, which never builds
the 100 features; the numbers are the same. Only D computes in `dtype`, the rest in
float32 at highest precision: what the threshold leaves of a rounded code can be all
rounding, and the scaling of the finer patch would blow it up. H starts as gradients and
second differences, W, S and D from a random dictionary as ISTA has it.
"""

from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from jaxsr.imaging import imresize_jnp
from jaxsr.imaging.any_size import extend
from jaxsr.models.base import Network

_PATCH = 5
_BORDER = 6  # half the support of H and the patches (4), and of adding patches up (2)
_FILTERS = 4
_GAIN = 1.1  # the code's constant on the length of the finer patch
_FLOOR = 1e-12  # under squared lengths

# Start of the dictionary layers: 1/lambda, the inverse of the sparsity penalty, and the
# Lipschitz constant of ISTA, above the largest squared singular value of a random
# 100 x 128 dictionary with unit columns, (1 + sqrt(1.28))^2 = 4.5.
_INVERSE_PENALTY = 5.0
_LIPSCHITZ = 5.0


def _gradient_filters(key, shape, dtype=jnp.float32):
    """First and second differences along x and y, `[5, 5, 1, 4]`."""
    del key  # nothing is random
    smooth = np.array([1.0, 2.0, 3.0, 2.0, 1.0]) / 9
    first = np.array([0.0, -1.0, 0.0, 1.0, 0.0])
    second = np.array([1.0, 0.0, -2.0, 0.0, 1.0])
    filters = [np.outer(smooth, f) for f in (first, second)]
    filters += [f.T for f in filters]
    return jnp.asarray(np.stack(filters, axis=-1).reshape(shape), dtype)


def _random_dictionary(key, shape, dtype=jnp.float32):
    """W = dictionary^T / lambda for atoms of length 1, as a convolution kernel."""
    atoms = jax.random.normal(key, shape, dtype)
    lengths = jnp.sqrt(jnp.sum(jnp.square(atoms), axis=(0, 1, 2), keepdims=True))
    return _INVERSE_PENALTY * atoms / lengths


def _ista_feedback(key, encode):
    """S = I - dictionary^T dictionary / L: one ISTA step, for the dictionary in W."""
    del key  # fixed by W
    atoms = encode.reshape(-1, encode.shape[-1]) / _INVERSE_PENALTY
    return jnp.eye(atoms.shape[1]) - atoms.T @ atoms / _LIPSCHITZ


def _soft_threshold(x):
    return jnp.sign(x) * jax.nn.relu(jnp.abs(x) - 1.0)


def _conv(x, kernel):
    """Convolution without padding."""
    return jax.lax.conv_general_dilated(
        x,
        kernel,
        window_strides=(1, 1),
        padding="VALID",
        dimension_numbers=("NHWC", "HWIO", "NHWC"),
        precision="highest",
    )


class SCNStage(nn.Module):
    """One doubling, `[N, H, W, 1]` to `[N, 2H, 2W, 1]`, float32."""

    atoms: int = 128
    dtype: Any = jnp.float32

    @nn.compact
    def __call__(
        self, lr: Float[jax.Array, "n h w 1"]
    ) -> Float[jax.Array, "n 2*h 2*w 1"]:
        size, n = _PATCH, self.atoms
        filters = self.param("filters", _gradient_filters, (size, size, 1, _FILTERS))
        encode = self.param("encode", _random_dictionary, (size, size, _FILTERS, n))
        feedback = self.param("feedback", _ista_feedback, encode)
        decode = self.param(
            "decode",
            nn.initializers.normal(1.0 / (_INVERSE_PENALTY * _LIPSCHITZ)),
            (n, size**2),
        )
        combine = self.param(
            "combine", nn.initializers.constant(1.0 / size**2), (size**2,)
        )

        image = imresize_jnp(lr, 2)
        if all(isinstance(length, int) for length in image.shape):
            border = [(0, 0), (_BORDER, _BORDER), (_BORDER, _BORDER), (0, 0)]
            image = jnp.pad(image, border, mode="symmetric")
        else:
            for axis in (1, 2):
                image = extend(image, _BORDER, axis)

        responses = _conv(image, filters)
        box = jnp.ones((size, size, _FILTERS, 1))
        squared_length = _conv(jnp.square(responses), box)
        codes = _conv(responses, encode) * jax.lax.rsqrt(squared_length + _FLOOR)
        sparse = _soft_threshold(codes)
        sparse = jnp.matmul(sparse, feedback, precision="highest")
        sparse = _soft_threshold(sparse + codes)

        positions = jnp.eye(size**2).reshape(size, size, 1, size**2)
        image = image[:, 2:-2, 2:-2]  # H read two pixels further than the rest does
        low = _conv(image, positions - 1 / size**2)  # patches less their means
        energy = jnp.sum(jnp.square(low), axis=-1, keepdims=True)
        fine = (sparse.astype(self.dtype) @ decode.astype(self.dtype)).astype(
            jnp.float32
        )
        fine_energy = jnp.sum(jnp.square(fine), axis=-1, keepdims=True)
        fine = fine * (
            _GAIN * jnp.sqrt(energy + _FLOOR) * jax.lax.rsqrt(fine_energy + _FLOOR)
        )

        triangle = np.convolve(np.ones(size), np.ones(size)) / size**2
        triangle = jnp.asarray(np.outer(triangle, triangle), jnp.float32)
        mean = _conv(image, triangle[:, :, None, None])
        overlap = positions.swapaxes(2, 3)[::-1, ::-1]
        return mean + _conv(fine * combine[None, None, None], overlap)


class SCN(Network):
    """The cascade; explained at the top of the module. Works on luma, from x2."""

    atoms: int = 128
    channels: int = 1

    def check(self) -> None:
        super().check()
        if self.scale < 2:
            self.refuse("scale", f"expected at least 2, got {self.scale}")
        if self.channels != 1:
            self.refuse("channels", f"expected 1, for luma, got {self.channels}")

    @nn.compact
    def forward(
        self, lr: Float[jax.Array, "n h w c"], *, train: bool
    ) -> Float[jax.Array, "n {self.scale}*h {self.scale}*w c"]:
        stages = (self.scale - 1).bit_length()
        sr = lr.astype(jnp.float32)
        for i in range(stages):
            sr = SCNStage(self.atoms, dtype=self.dtype, name=f"stage{i}")(sr)
            if train and i < stages - 1:
                self.sow("supervision", f"prediction{i}", sr)
        if self.scale != 2**stages:
            sr = imresize_jnp(sr, self.scale / 2**stages)
        return sr
