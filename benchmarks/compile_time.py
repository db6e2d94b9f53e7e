"""Compiles the training step of every full network, one process after the other.

    python benchmarks/compile_time.py --json=out.json

Value, gradient and Adam update, L1 on the output, batch of one 24x24 LR patch, x2.
Prints seconds of wall and of processor time, tracing included; nothing is run.
"""

import argparse
import json
import subprocess
import sys
from pathlib import Path

from jaxsr.models import list_models

_COMPILE = """
import json, sys, time
import jax, jax.numpy as jnp, optax
from jaxsr.models import create

model = create(sys.argv[1], scale=2)
lr = jax.ShapeDtypeStruct((1, 24, 24, model.channels), jnp.float32)
hr = jax.ShapeDtypeStruct((1, 48, 48, model.channels), jnp.float32)
variables = dict(jax.eval_shape(model.init, jax.random.key(0), lr))
params = variables.pop("params")
optimizer = optax.adam(1e-4)

def step(params, state, opt_state, lr, hr):
    def loss(params):
        sr, new = model.apply(
            {"params": params, **state}, lr, train=True, mutable=[*state, "supervision"]
        )
        return jnp.mean(jnp.abs(sr - hr)), new
    (value, new), grads = jax.value_and_grad(loss, has_aux=True)(params)
    updates, opt_state = optimizer.update(grads, opt_state)
    return optax.apply_updates(params, updates), new, opt_state, value

opt_state = jax.eval_shape(optimizer.init, params)
clocks = {"wall": time.perf_counter, "cpu": time.process_time}
start = {name: clock() for name, clock in clocks.items()}
jax.jit(step).lower(params, variables, opt_state, lr, hr).compile()
print(json.dumps({name: clock() - start[name] for name, clock in clocks.items()}))
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--models", default=",".join(list_models()))
    parser.add_argument("--json", type=Path, help="write the figures to this file")
    options = parser.parse_args()
    seconds = {}
    print(f"{'network':<16}{'wall, s':>10}{'processor, s':>14}")
    for name in options.models.split(","):
        if name == "bicubic":  # has nothing to train
            continue
        command = [sys.executable, "-c", _COMPILE, name]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        seconds[name] = json.loads(done.stdout)
        row = f"{seconds[name]['wall']:>10.1f}{seconds[name]['cpu']:>14.1f}"
        print(f"{name:<16}{row}", flush=True)
    if options.json:
        text = json.dumps(seconds, indent=2) + "\n"
        options.json.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
