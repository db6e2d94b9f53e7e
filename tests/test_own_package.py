"""A program outside of jaxsr with its own network and loss, from training to use.

It uses public names only, and nothing of the checkout but jaxsr itself.
"""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from jaxsr.imaging import imresize, read_image, write_image
from tools.publish import ROOT

NETWORK = '''
"""A network of one convolution beside bicubic."""

import flax.linen as nn
import jax.numpy as jnp
from jaxsr.imaging import imresize_jnp
from jaxsr.layers.pixel_shuffle import pixel_shuffle
from jaxsr.models import Network


class OneConvolution(Network):
    kernel_size: int = 3

    @nn.compact
    def forward(self, lr, *, train):
        del train
        size = (self.kernel_size, self.kernel_size)
        x = nn.Conv(self.channels * self.scale**2, size, name="conv1")(lr)
        return imresize_jnp(lr, self.scale) + 0.1 * pixel_shuffle(x, self.scale)


def huber(sr, hr):
    distance = jnp.abs(sr - hr)
    return jnp.mean(jnp.where(distance < 0.1, 5 * distance**2, distance - 0.05))
'''

PROGRAM = """
import sys

import jaxsr
from jaxsr.training import default_config, train
from my_package.networks import OneConvolution, huber

config = default_config()
config.name = "mine"
config.data.train = config.eval.benchmarks = "folder:photos"
config.data.patch_size, config.data.batch_size = 8, 2
config.data.pipeline = "device"
config.train.log_every = config.train.eval_every = config.train.checkpoint_every = 2
config.train.steps = int(sys.argv[1])
trained = train(config, model=OneConvolution(scale=2, kernel_size=5), loss=huber)
print("step", int(trained.state.step))
print("loaded", repr(jaxsr.load_weights("runs/mine")))
"""

PUBLISH = """
from pathlib import Path
from tools.publish import publish

sets = ["folder:photos"]
publish("runs/mine", folder=Path("zoo"), benchmarks=sets, allow_worse=True)
"""


@pytest.fixture
def folder(tmp_path) -> Path:
    """Where the program lies, with two photos."""
    (tmp_path / "photos").mkdir()
    random = np.random.default_rng(0)
    for name in ("a", "b"):
        coarse = random.integers(0, 256, (6, 8, 3)).astype(np.uint8)
        write_image(tmp_path / "photos" / f"{name}.png", imresize(coarse, 4))
    (tmp_path / "my_package").mkdir()
    (tmp_path / "my_package" / "networks.py").write_text(NETWORK)
    (tmp_path / "program.py").write_text(PROGRAM)
    return tmp_path


def test_own_network_and_loss_from_training_to_use(folder):
    paths = [str(folder), str(ROOT)]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(paths)}

    def run(*words: str) -> str:
        result = subprocess.run(
            [sys.executable, *words],
            cwd=folder,
            env=environment,
            capture_output=True,
            text=True,
        )
        assert result.returncode == 0, result.stdout + result.stderr
        return result.stdout + result.stderr

    name = "my_package.networks:OneConvolution"
    assert "step 2\n" in run("program.py", "2")
    resumed = run("program.py", "4")
    assert "continuing from step 2" in resumed and "step 4\n" in resumed
    # 5 * 5 * 3 * 12 weights and 12 biases.
    assert f"loaded Weights({name}: scale=2, channels=3, kernel_size=5; 912" in resumed

    command = ("-m", "jaxsr.cli")
    words = ("--model", "runs/mine", "--benchmarks", "folder:photos")
    assert f"| {name} | x2 |" in run(*command, "evaluate", *words)
    run(*command, "upscale", "photos", "-o", "out", "--model", "runs/mine")
    assert read_image(folder / "out" / "a.png").shape == (48, 64, 3)
    run("-c", PUBLISH)
    file = "zoo/my_package.networks.OneConvolution_x2.safetensors"
    run(*command, "upscale", "photos/a.png", "-o", "again.png", "--model", file)
    assert read_image(folder / "again.png").shape == (48, 64, 3)
