"""The optimiser, from the config's `optimizer` section."""

import inspect
import re
from collections.abc import Callable, Mapping
from typing import Any

import jax
import optax

from jaxsr.errors import InputError
from jaxsr.training.own_optimizer import optimizer_at


def create_optimizer(
    schedule: optax.Schedule,
    *,
    name: str = "adam",
    b1: float = 0.9,
    b2: float = 0.999,
    eps: float = 1e-8,
    momentum: float = 0.9,
    weight_decay: float = 0.0,
    clip_norm: float = 0.0,
    clip_update: float = 0.0,
    layer_rates: Mapping[str, float] | None = None,
    muon_layers: str = r".*conv\d+/kernel|body_end/kernel",
    muon_scale: float = 2.0,
) -> optax.GradientTransformation:
    """Returns the optimiser.

    Args:
        schedule: learning rate as a function of the step.
        name: "adam", "sgd" (with `momentum`) or "muon": Muon for the kernels that
            `muon_layers` names and Adam for all other parameters, see `_scale_by_muon`;
            or one of another package by its place, such as "optax:lion", a function of
            the schedule.
        weight_decay: L2 penalty, `weight_decay * parameter` added to the gradient, as
            the Caffe and PyTorch recipes of the field have it; 0 is none. "muon" takes
            it apart from the gradient, whose size Muon does not see: at each step
            parameters lose `rate * weight_decay` of themselves (Liu et al. 2025,
            Sec. 2.2).
        clip_norm: gradients are scaled down to this global norm; 0 is no clipping.
        clip_update: each entry of the gradient is clipped to
            `[-clip_update / rate, clip_update / rate]` (VDSR, Sec. 3.3), before
            momentum: with one of m a step is at most `clip_update / (1 - m)` at a
            constant rate; 0 is no clipping.
        layer_rates: regular expression -> factor on the learning rate of those
            parameters whose path ("tail/kernel") it matches in full. The order plays no
            part, a config has none: what several match, they give one factor.
        muon_layers: regular expression; kernels larger than one pixel whose path it
            matches in full are Muon's.
        muon_scale: the size of Muon's updates beside Adam's, see `_scale_by_muon`.

    Raises:
        InputError: unknown optimiser, or an option that it does not have. What it
            returns raises one when it is given the parameters: no kernel for Muon,
            none that `layer_rates` names, or one with two factors.
    """
    _check_used(name, {"b1": b1, "b2": b2, "eps": eps, "momentum": momentum})
    parts = []
    if clip_norm:
        parts.append(optax.clip_by_global_norm(clip_norm))
    if clip_update:
        parts.append(_clip_by_rate(schedule, clip_update))
    if weight_decay and name != "muon":
        parts.append(optax.add_decayed_weights(weight_decay))
    if name == "adam":
        parts.append(optax.scale_by_adam(b1=b1, b2=b2, eps=eps))
    elif name == "sgd":
        parts.append(optax.trace(decay=momentum))
    elif name == "muon":
        adam = optax.scale_by_adam(b1=b1, b2=b2, eps=eps)
        parts.append(
            optax.partition(
                {"muon": _scale_by_muon(muon_scale), "adam": adam},
                lambda params: _muon_or_adam(params, muon_layers),
            )
        )
        if weight_decay:
            parts.append(optax.add_decayed_weights(weight_decay))
    elif ":" in name:
        parts.append(optimizer_at(name, schedule))
    else:
        raise InputError(
            f"optimizer.name: unknown optimiser {name!r}, expected one of adam, muon, "
            "sgd, or package.module:function"
        )
    if layer_rates:
        parts.append(_scale_layers(dict(layer_rates)))
    if ":" not in name:
        parts.append(optax.scale_by_learning_rate(schedule))
    return optax.chain(*parts)


def _check_used(name: str, options: Mapping[str, Any]) -> None:
    """Finds that options which the optimiser does not have are left as they are."""
    adam = {"b1", "b2", "eps"}
    used = {"adam": adam, "muon": adam, "sgd": {"momentum"}}.get(name, set())
    for key, value in options.items():
        default = inspect.signature(create_optimizer).parameters[key].default
        if key not in used and value != default:
            raise InputError(
                f"optimizer.{key}: {name} does not take it from there, expected it to "
                f"be left at {default!r}, got {value!r}"
            )


def _clip_by_rate(schedule: optax.Schedule, limit: float):
    def update(updates, state, params=None):
        del params
        bound = limit / schedule(state.count)
        updates = jax.tree.map(lambda g: g.clip(-bound, bound), updates)
        return updates, optax.ScaleByScheduleState(
            count=optax.safe_increment(state.count)
        )

    return optax.GradientTransformation(
        lambda params: optax.ScaleByScheduleState(
            count=jax.numpy.zeros([], jax.numpy.int32)
        ),
        update,
    )


def _scale_layers(rates: dict[str, float]) -> optax.GradientTransformation:
    def named(path: str) -> dict[float, str]:
        return {
            rate: pattern
            for pattern, rate in rates.items()
            if re.fullmatch(pattern, path)
        }

    def factor(path: str) -> float:
        return next(iter(named(path)), 1.0)

    def check(params) -> optax.EmptyState:
        paths = jax.tree.leaves(_map_with_path(lambda path, _: path, params))
        for path in paths:
            if len(several := named(path)) > 1:
                said = " and ".join(f"{p!r}: {r:g}" for r, p in several.items())
                raise InputError(
                    f"optimizer.layer_rates: expected one factor for {path}, got {said}"
                )
        for pattern in rates:
            if not any(re.fullmatch(pattern, path) for path in paths):
                raise InputError(
                    f"optimizer.layer_rates: expected patterns of parameters, got "
                    f"{pattern!r}, which none of the network's has for its path; there "
                    f"are {', '.join(paths[:3])} ..."
                )
        return optax.EmptyState()

    def scale(updates, state, params=None):
        del params
        return _map_with_path(lambda path, g: factor(path) * g, updates), state

    return optax.GradientTransformation(check, scale)


# A kernel [height, width, inputs, outputs] as a matrix.
_KERNEL_AS_MATRIX = optax.contrib.MuonDimensionNumbers(
    reduction_axis=(0, 1, 2), output_axis=3
)


def _scale_by_muon(scale: float) -> optax.GradientTransformation:
    """Muon for convolutions: momentum whose singular values are all made about 1.

    Source: Jordan et al. (2024), https://kellerjordan.github.io/posts/muon/. A kernel
    is a matrix of `height * width * inputs` rows and `outputs` columns. The update is
    multiplied by `scale * 0.2 * sqrt(the larger of the two)`: with a scale of 1 its
    root mean square is that of Adam's (Liu et al. 2025,
    https://arxiv.org/abs/2502.16982, Sec. 2.2).
    """

    def dimensions(updates):
        return jax.tree.map(lambda _: _KERNEL_AS_MATRIX, updates)

    def resize(update: jax.Array) -> jax.Array:
        outputs = update.shape[-1]
        longer = max(update.size // outputs, outputs)
        return scale * 0.2 * longer**0.5 * update

    return optax.chain(
        optax.contrib.scale_by_muon(weight_dimension_numbers=dimensions),
        optax.stateless(lambda updates, params: jax.tree.map(resize, updates)),
    )


def _muon_or_adam(params: Any, layers: str) -> Any:
    def label(path: str, leaf: jax.Array) -> str:
        is_kernel = leaf.ndim == 4 and leaf.shape[0] * leaf.shape[1] > 1
        return "muon" if is_kernel and re.fullmatch(layers, path) else "adam"

    labels = _map_with_path(label, params)
    if "muon" not in jax.tree.leaves(labels):
        raise InputError(
            "optimizer.muon_layers: expected a pattern of kernels larger than one "
            f"pixel, got {layers!r}, which none of the network's has for its name"
        )
    return labels


def _map_with_path(function: Callable[[str, jax.Array], Any], tree: Any) -> Any:
    """Maps `function(path, leaf)`, the path as "tail/kernel"."""
    return jax.tree.map_with_path(
        lambda path, leaf: function(
            jax.tree_util.keystr(path, simple=True, separator="/"), leaf
        ),
        tree,
    )
