"""Trains the zoo: one recipe after the other, within a budget of hours.

    python tools/train_zoo.py --plan                 # what is done and what is missing
    python tools/train_zoo.py --hours=8              # the next ones; again to go on
    python tools/train_zoo.py --hours=8 rcbam:x2 vdsr:x2
    python tools/train_zoo.py vdsr:x2 --config.train.init_from=vdsr_x2   # and further

Each is `python train.py --config=configs/zoo/NETWORK.py:SCALE`. One that ends is
published (tools/publish.py); when the time is up, or on Ctrl-C or SIGTERM, the run in
progress writes its checkpoint, and the same command goes on with it. Its parameters
alone are in newest.safetensors then.
"""

import argparse
import dataclasses
import json
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp

# Run as a script, it finds what lies in the repository's root and is not installed.
sys.path.insert(0, str(Path(__file__).parents[1]))

from jaxsr.errors import InputError, reports_input_errors
from jaxsr.loading import load_weights
from jaxsr.models.complexity import count_products
from jaxsr.models.variables import abstract_variables
from jaxsr.training.config import Config
from jaxsr.training.config_input import load_config, override_all
from jaxsr.training.metric_log import read_metrics
from jaxsr.training.network import create_training_model
from jaxsr.training.progress import messages
from jaxsr.weights.zoo import Entry, full_name_of, read_manifest, total_of
from tools.publish import ROOT, publish

RECIPES = tuple(
    f"{network}:x{scale}"
    for network in (
        *("rcbam", "srcnn", "fsrcnn", "espcn", "amms", "rcbam_lite"),
        *("vdsr", "lapsrn", "memnet", "edsr_baseline"),
    )
    for scale in (2, 3, 4)
) + ("rcbam_lite_photo:x2", "rcbam_lite_photo:x4")
"""All of them, in the order of training: x2 first, from which the others start."""


@dataclasses.dataclass(frozen=True)
class Recipe:
    """One network at one scale, and how far its training is.

    Attributes:
        name: such as "rcbam:x2", a file and a choice of configs/zoo/.
        config: what it trains, overrides of the command line included.
        workdir: its run's folder, which may not exist yet.
        published: PSNR on Set5 in dB, if this recipe's weights are in the manifest.
        shorter: otherwise steps and PSNR of weights there that have had fewer steps.
    """

    name: str
    config: Config
    workdir: Path
    published: float | None
    shorter: tuple[int, float] | None = None

    @property
    def step(self) -> int:
        """The last step that was logged."""
        return int(self._measured()[-1]["step"]) if self._measured() else 0

    @property
    def psnr(self) -> float | None:
        """On Set5 in dB, published or of the last evaluation."""
        found = [m["Set5/psnr"] for m in self._measured() if "Set5/psnr" in m]
        return self.published or (found[-1] if found else None)

    @property
    def ended(self) -> bool:
        """Whether all steps are done and scored."""
        path = self.workdir / "results.json"
        if not path.is_file():
            return False
        step = json.loads(path.read_text(encoding="utf-8")).get("step")
        return step == self.config.train.steps

    def hours_left(self, multiply_adds_per_second: float) -> float:
        """Returns an estimate: by its own speed, before it began by its arithmetic."""
        left = self.config.train.steps - self.step
        if self.published or self.ended:
            return 0.0
        measured = self._measured()
        if measured and measured[-1]["minutes"] > 1:
            return left * measured[-1]["minutes"] / self.step / 60
        return left * _products_of_a_step(self.config) / multiply_adds_per_second / 3600

    def _measured(self) -> list[dict[str, float]]:
        if not (self.workdir / "metrics.jsonl").is_file():
            return []
        return read_metrics(self.workdir)


def open_recipes(
    names: Sequence[str], overrides: Sequence[str], runs: Path, folder: Path
) -> list[Recipe]:
    """Returns the recipes of those names, all if there is none.

    Args:
        overrides: such as "--config.train.steps=100", for all of them.
        runs: where the runs' folders are.
        folder: of the manifest.

    Raises:
        InputError: there is no such recipe or key.
    """
    manifest = folder / "manifest.json"
    entries = read_manifest(folder) if manifest.is_file() else []
    recipes = []
    for name in names or RECIPES:
        if name not in RECIPES:
            raise InputError(f"{name}: expected one of {', '.join(RECIPES)}")
        file, _, choice = name.partition(":")
        config = load_config(f"{ROOT}/configs/zoo/{file}.py:{choice}")
        override_all(config, list(overrides))
        published: float | None = None
        shorter: tuple[int, float] | None = None
        for entry in entries:
            psnr = entry["benchmarks"]["Set5"]["psnr"]
            if _did(entry, config):
                published = psnr
            elif entry["training"]["config"] == config.name:
                steps = int(total_of(entry["training"], "steps"))
                shorter = (steps, psnr) if steps < config.train.steps else None
        workdir = runs / config.name
        recipes.append(Recipe(name, config, workdir, published, shorter))
    return recipes


def _did(entry: Entry, config: Config) -> bool:
    """Whether published weights come from a config; its steps may be several runs'."""
    training = entry["training"]
    if training["config"] != config.name:
        return False
    if config.train.init_from == full_name_of(entry):
        # Published weights that are to be trained further.
        prolonged = training["init_from"] == config.train.init_from
        return prolonged and training["steps"] >= config.train.steps
    return total_of(training, "steps") >= config.train.steps


def plan(recipes: Sequence[Recipe]) -> str:
    """Returns the table of what is done and what is missing, Markdown."""
    speed = _multiply_adds_per_second()
    lines = [
        "| recipe | state | step | Set5, dB | hours left here, about |",
        "|---|---|---|---|---|",
    ]
    total = 0.0
    for recipe in recipes:
        hours = recipe.hours_left(speed)
        total += hours
        step, psnr, steps = recipe.step, recipe.psnr, recipe.config.train.steps
        of = f" of {steps:,}"
        if recipe.published:
            state, step, of = "published", steps, ""
        elif recipe.ended or recipe.step:
            state = "ended" if recipe.ended else "begun"
        elif recipe.shorter:
            state, (step, psnr) = "published: fewer steps", recipe.shorter
        else:
            state = "-"
        psnr = f"{psnr:.2f}" if psnr else "-"
        cells = (recipe.name, state, f"{step:,}{of}", psnr, f"{hours:.1f}")
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join([*lines, f"| all | | | | {total:.1f} |"])


def train(recipe: Recipe, overrides: Sequence[str], until: float) -> int:
    """Trains until the end, the time or a signal; returns the program's exit code.

    Args:
        until: seconds of `time.monotonic`.
    """
    file, _, choice = recipe.name.partition(":")
    words = [
        "train.py",
        f"--config=configs/zoo/{file}.py:{choice}",
        *overrides,
        f"--workdir={recipe.workdir}",
    ]
    print(shlex.join(["python", *words]), flush=True)
    process = subprocess.Popen([sys.executable, *words], cwd=ROOT)

    def stop(*received: Any) -> None:
        del received
        nonlocal until
        until = 0.0
        process.terminate()

    before = {n: signal.signal(n, stop) for n in (signal.SIGTERM, signal.SIGINT)}
    try:
        while process.poll() is None:
            if 0.0 < until < time.monotonic():
                stop()
            time.sleep(0.2)
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    if until == 0.0 and not process.returncode:
        return -signal.SIGTERM
    return process.returncode


def keep_newest(workdir: Path) -> None:
    """Writes the newest parameters of an unfinished run, a file without the optimiser.

    Where the checkpoints are lost another machine starts from it (train.init_from).
    """
    try:
        weights = load_weights(str(workdir))
    except InputError:
        return  # it was stopped before its first checkpoint
    path = workdir / "newest.safetensors"
    weights.save(path)
    print(f"{path}: for --config.train.init_from, if the run is lost")


def _products_of_a_step(config: Config) -> float:
    """Returns the multiply-adds of a training step: forward, and twice it back."""
    model = create_training_model(config)
    size = config.data.patch_size
    shape = (config.data.batch_size, size, size, model.channels)
    lr = jax.ShapeDtypeStruct(shape, jnp.float32)
    return 3.0 * count_products(model.apply, abstract_variables(model), lr)


def _multiply_adds_per_second() -> float:
    """Returns what a convolution of 64 features reaches on this machine."""
    x = jnp.ones((16, 32, 32, 64))
    kernel = jnp.ones((3, 3, 64, 64))
    convolve = jax.jit(
        lambda x: jax.lax.conv_general_dilated(
            x, kernel, (1, 1), "SAME", dimension_numbers=("NHWC", "HWIO", "NHWC")
        )
    )
    seconds = []
    for _ in range(6):
        start = time.perf_counter()
        convolve(x).block_until_ready()
        seconds.append(time.perf_counter() - start)
    return count_products(convolve, x) / min(seconds)


@reports_input_errors
def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the command line `arguments`, the process's own by default."""
    parser = argparse.ArgumentParser(
        description="Train the networks that jaxsr ships, within a budget of hours.",
        epilog="--config.KEY=VALUE sets a key of all recipes that are named.",
        allow_abbrev=False,
    )
    parser.add_argument("recipes", nargs="*", metavar="RECIPE", help="such as rcbam:x2")
    parser.add_argument("--plan", action="store_true", help="print it; train nothing")
    parser.add_argument("--hours", type=float, help="default: until all are trained")
    parser.add_argument(
        "--runs", type=Path, default=ROOT / "runs", help="of the runs' folders"
    )
    parser.add_argument(
        "--folder", type=Path, help="publish there; default: this checkout"
    )
    given, overrides = parser.parse_known_args(arguments)
    folder = given.folder or ROOT / "jaxsr" / "weights"
    until = time.monotonic() + 3600 * (1e6 if given.hours is None else given.hours)

    def opened() -> list[Recipe]:
        return open_recipes(given.recipes, overrides, given.runs.absolute(), folder)

    if given.plan:
        print(plan(opened()))
        return 0
    failed = 0
    for index in range(len(opened())):
        recipe = opened()[index]
        if recipe.published:
            continue
        if not recipe.ended:
            code = train(recipe, overrides, until)
            if code == -signal.SIGTERM:
                keep_newest(recipe.workdir)
                break
            if code:
                return code
        try:
            with messages():
                data_dir = recipe.config.data.data_dir
                publish(recipe.workdir, folder=given.folder, data_dir=data_dir)
        except InputError as error:  # the others are trained all the same
            print(f"{recipe.name} is not published: {error}", file=sys.stderr)
            failed = 1
    print(plan(opened()))
    return failed


if __name__ == "__main__":
    sys.exit(main())
