"""How much faster the compiled imresize is than straightforward NumPy.

    python benchmarks/imresize.py [--json out.json]

Resizes one RGB image by three functions: a NumPy loop over taps that indexes, weighs
and sums whole images; `jaxsr.imaging.imresize`; and `jaxsr.imaging.imresize_jnp`,
compiled for JAX's default device (compile time excluded, input already on the device),
for floats alone.
Times are the shortest of several runs. The same command runs on CPU, GPU and TPU.
"""

import argparse
import functools
from pathlib import Path
from typing import Any

import jax
import numpy as np
from measuring import shortest_seconds, write_json

from jaxsr.imaging import imresize, imresize_jnp

SCALES = {"1/2": 1 / 2, "1/3": 1 / 3, "1/4": 1 / 4, "2": 2.0, "3": 3.0, "4": 4.0}


def index_and_sum(image: np.ndarray, scale: float) -> np.ndarray:
    """Returns the bicubic resize as it is usually written in NumPy, for [H, W, C]."""
    is_integer = image.dtype == np.uint8
    for axis in (0, 1):
        length = image.shape[axis]
        stretch = min(scale, 1.0)
        centre = (np.arange(np.ceil(length * scale)) + 0.5) / scale - 0.5
        first = np.floor(centre - 2 / stretch).astype(int) + 1
        taps = first[:, None] + np.arange(int(np.ceil(4 / stretch)))
        x = np.abs(stretch * (centre[:, None] - taps))
        near = 1.5 * x**3 - 2.5 * x**2 + 1
        far = -0.5 * x**3 + 2.5 * x**2 - 4 * x + 2
        weights = np.where(x <= 1, near, np.where(x <= 2, far, 0))
        weights /= weights.sum(axis=1, keepdims=True)
        mirrored = np.concatenate([np.arange(length), np.arange(length)[::-1]])
        taps = mirrored[taps % (2 * length)]
        total = np.zeros(())
        for weight, tap in zip(weights.T, taps.T, strict=True):
            if axis == 0:
                total = total + weight[:, None, None] * image[tap]
            else:
                total = total + weight[:, None] * image[:, tap]
        image = total
        if is_integer:
            image = np.floor(image + 0.5).clip(0, 255).astype(np.uint8)
    return image


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--width", type=int, default=2040)
    parser.add_argument("--height", type=int, default=1356)
    parser.add_argument("--repeats", type=int, default=5, help="runs of a side")
    parser.add_argument("--json", type=Path, help="write the figures to this file")
    options = parser.parse_args()

    random = np.random.default_rng(0)
    pixels = random.integers(0, 256, (options.height, options.width, 3), np.uint8)
    device = jax.devices()[0]
    print(f"{options.width}x{options.height} RGB, {device.device_kind}, times in ms")
    print("scale  dtype    index-and-sum  imresize  imresize_jnp  ratio")
    rows = []
    for dtype in ("uint8", "float32"):
        image = pixels if dtype == "uint8" else pixels / np.float32(255)
        on_device = jax.device_put(image)
        for name, scale in SCALES.items():
            expected = index_and_sum(image, scale)
            sides = {"imresize": functools.partial(imresize, image, scale)}
            if dtype == "float32":
                compiled = jax.jit(functools.partial(imresize_jnp, scale=scale))
                sides["imresize_jnp"] = functools.partial(compiled, on_device)
            row: dict[str, Any] = {"scale": name, "dtype": dtype}
            with_loop = functools.partial(index_and_sum, image, scale)
            row["index_and_sum_ms"] = 1000 * shortest_seconds(with_loop, 3)
            for side, resize in sides.items():
                difference = np.abs(np.asarray(resize()) - expected).max()
                if difference > (0 if dtype == "uint8" else 1e-5):
                    raise SystemExit(f"scale {name}, {dtype}: {side}: {difference}")
                row[f"{side}_ms"] = 1000 * shortest_seconds(resize, options.repeats)
            row["ratio"] = row["index_and_sum_ms"] / row[f"{side}_ms"]
            fast = row.get("imresize_jnp_ms")
            print(
                f"{name:>5}  {dtype:7}  {row['index_and_sum_ms']:13.1f}  "
                f"{row['imresize_ms']:8.1f}  {f'{fast:.2f}' if fast else '-':>12}"
                f"  {row['ratio']:5.1f}",
                flush=True,
            )
            rows.append(row)
    figures = {"width": options.width, "height": options.height, "rows": rows}
    write_json(options.json, figures)


if __name__ == "__main__":
    main()
