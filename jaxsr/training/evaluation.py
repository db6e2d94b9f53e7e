"""A run's network on the benchmark sets that its config names, now and then and at its
end.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax.numpy as jnp
import numpy as np

from jaxsr import models, processes, scoring
from jaxsr.data.benchmarks import split_benchmarks
from jaxsr.errors import named
from jaxsr.imaging import write_image
from jaxsr.inference import Upscaler
from jaxsr.models import Network
from jaxsr.protocols import get_protocol
from jaxsr.training.config import Config
from jaxsr.training.metric_log import MetricLog


def benchmark_names(config: Config) -> list[str]:
    """Returns the names in `config.eval.benchmarks`."""
    return split_benchmarks(config.eval.benchmarks)


def scored_on(config: Config) -> str | None:
    """Returns what the PSNR that ranks checkpoints is measured on, and how."""
    names = benchmark_names(config)
    ensemble = ", self-ensemble" if config.eval.self_ensemble else ""
    return f"{names[0]}, protocol {config.eval.protocol}{ensemble}" if names else None


def check_evaluation(config: Config) -> None:
    """Finds that the benchmarks are at hand and go with the protocol.

    Raises:
        InputError: they are or do not; the message names the key.
    """
    protocol = config.eval.protocol
    with named("eval.protocol"):
        get_protocol(protocol)
    if names := benchmark_names(config):
        with named("eval.benchmarks"):
            scoring.open_sets(
                names,
                scale=config.model.scale,
                data_dir=config.data.data_dir,
                protocol=protocol,
            )


def evaluation(
    config: Config, model: Network, log: MetricLog | None
) -> Callable[[dict[str, Any], int], dict[str, float]] | None:
    """Returns what `fit` calls now and then, None if the config names no benchmark."""

    def evaluate(variables: dict[str, Any], step: int) -> dict[str, float]:
        upscaler = _upscaler(config, model, variables)
        sets = _score(config, upscaler, config.model.name)["benchmarks"]
        if log is not None:
            # Drawn while training goes on: the upscaler has parameters of its own.
            log.image(step, "comparison", lambda: _comparison(config, upscaler))
        numbers = {
            f"{name}/{metric}": scores[metric]
            for name, scores in sets.items()
            for metric in ("psnr", "ssim")
        }
        return {"psnr": next(iter(sets.values()))["psnr"], **numbers}

    return evaluate if benchmark_names(config) else None


def report(
    config: Config,
    model: Network,
    variables: dict[str, Any],
    about: dict[str, Any],
    folder: Path,
) -> dict[str, Any]:
    """Returns the run's result, and writes and prints its row of the table.

    A picture to look at is written as well. One process writes and prints. Without a
    benchmark there is nothing to do, and the result is empty.

    Args:
        about: what else is known of the run, to be kept with the result.
        folder: gets results.json, results.md and comparison.png.
    """
    if not benchmark_names(config):
        return {}
    upscaler = _upscaler(config, model, variables)
    ours = _score(config, upscaler, config.model.name) | about
    bicubic = Upscaler(models.create("bicubic", scale=config.model.scale), {})
    rows = [_score(config, bicubic, "bicubic"), ours]
    if processes.is_first():
        table = scoring.markdown_table(rows)
        scoring.write_result(folder / "results.json", ours)
        (folder / "results.md").write_text(table + "\n", encoding="utf-8")
        write_image(folder / "comparison.png", _comparison(config, upscaler))
        print(f"\n{table}\n")
    return ours


def _upscaler(config: Config, model: Network, variables: Any) -> Upscaler:
    model = model.clone(dtype=jnp.float32)  # as `jaxsr evaluate` and `load` have it
    return Upscaler(model, variables, self_ensemble=config.eval.self_ensemble)


def _score(config: Config, upscaler: Upscaler, name: str) -> dict[str, Any]:
    result = scoring.evaluate(
        upscaler,
        benchmark_names(config),
        scale=config.model.scale,
        protocol=config.eval.protocol,
        name=name,
        data_dir=config.data.data_dir,
    )
    return dict(result)


def _comparison(config: Config, upscaler: Upscaler) -> np.ndarray:
    return scoring.comparison_picture(
        upscaler,
        benchmark_names(config)[0],
        name=config.model.name,
        data_dir=config.data.data_dir,
    )
