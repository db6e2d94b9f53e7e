"""The ablations' programs train what they say, and nothing else differs."""

import jax.numpy as jnp
import optax
import pytest

from benchmarks import ablation, optimizers
from jaxsr.models.complexity import count_parameters
from jaxsr.training.config import check_config
from jaxsr.training.network import create_model
from jaxsr.training.optimizer import create_optimizer


@pytest.mark.parametrize("network", ["amms", "rcbam"])
def test_rows_differ_in_their_parts_alone(network):
    rows = ablation._ROWS[network]
    configs = [ablation.config_of(network, row, 1, 3_000) for row in rows]
    assert len({config.name for config in configs}) == len(rows)
    for config in configs:
        check_config(config)
    whole = configs[-1].to_dict()
    for config in configs[:-1]:
        other = config.to_dict()
        different = {
            k for k in whole["model"] if whole["model"][k] != other["model"][k]
        }
        assert different and different <= set(ablation._SWITCHES[network])
        assert {k: v for k, v in other.items() if k not in ("name", "model")} == {
            k: v for k, v in whole.items() if k not in ("name", "model")
        }


def test_gates_of_cbam_are_what_is_left_out():
    counts = [
        count_parameters(create_model(ablation.config_of("rcbam", row, 0, 100)))
        for row in ablation._ROWS["rcbam"]
    ]
    none, channel, spatial, both = counts
    # 6 blocks: an MLP 32 -> 2 -> 32 with biases; 7x7 of two channels, no bias.
    assert channel - none == 6 * (2 * 32 * 2 + 2 + 32)
    assert spatial - none == 6 * 7 * 7 * 2
    assert both - none == channel + spatial - 2 * none
    assert both == 126_340


def test_rows_of_optimisers_are_configs():
    names = set()
    for name, changes in (optimizers._ROWS | optimizers._ENDS).items():
        config = optimizers.config_of(name, changes, 0, 800)
        check_config(config)
        names.add(config.name)
        params = {"block00": {"conv1": {"kernel": jnp.ones((3, 3, 2, 2))}}}
        create_optimizer(optax.constant_schedule(1.0), **config.optimizer).init(params)
    assert len(names) == len(optimizers._ROWS) + len(optimizers._ENDS)
