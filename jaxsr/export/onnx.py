"""ONNX, by jax2onnx: input `lr`, output `sr`, float32 `[N, C, H, W]` in [0, 1].

Needs `pip install 'jaxsr-superres[export]'`.
"""

import contextlib
import importlib
import io
import logging
from pathlib import Path
from typing import Any

import numpy as np

from jaxsr.errors import InputError, first_line
from jaxsr.export.any_size import compare, input_of, network_of, said
from jaxsr.files import write_whole
from jaxsr.weights import Weights

_OPSET = 21


def write(weights: Weights, path: Path) -> str:
    """Writes a network of dynamic batch, height and width; see `jaxsr.export.write`.

    Raises:
        InputError: jax2onnx or onnxruntime is not installed; jax2onnx cannot convert
            the network; it differs.
    """
    jax2onnx, onnxruntime = _need("jax2onnx"), _need("onnxruntime")
    try:
        # It prints what it does, also what no one asked for.
        with contextlib.redirect_stdout(io.StringIO()), _quiet():
            model = jax2onnx.to_onnx(
                network_of(weights),
                [input_of(weights)],
                model_name=f"{weights.network}_x{weights.scale}",
                opset=_OPSET,
                input_names=["lr"],
                output_names=["sr"],
            )
        content = model.SerializeToString()
        session = _open(onnxruntime, content)
        run = lambda lr: np.asarray(session.run(None, {"lr": lr})[0])  # noqa: E731
        worst = compare(weights, run)
    except InputError:
        raise
    except Exception as error:  # of every kind, from either library
        raise InputError(
            f"export: {weights.network} x{weights.scale} cannot become ONNX by "
            f"jax2onnx: {first_line(error)}"
        ) from error
    write_whole(path, content)
    return f"{path}: {said(worst)}, by onnxruntime {onnxruntime.__version__}"


def _open(onnxruntime: Any, content: bytes) -> Any:
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3  # errors
    return onnxruntime.InferenceSession(
        content, options, providers=["CPUExecutionProvider"]
    )


def _need(name: str) -> Any:
    try:
        return importlib.import_module(name)
    except ImportError:
        raise InputError(
            f"export: ONNX needs {name}: pip install 'jaxsr-superres[export]'"
        ) from None


@contextlib.contextmanager
def _quiet():
    """Keeps the libraries' own reports to errors."""
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        yield
    finally:
        logging.disable(before)
