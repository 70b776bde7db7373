"""Samples and training steps of autoregressive flows: `maf` and `nsf` beside zuko and nflows, in turn.

A masked autoregressive flow of D numbers has its density in one pass of its networks, and its samples number by number.
zuko and nflows run a whole pass for each number; here every product of a weight and a hidden unit is computed once (see
`pushforward.transforms.decoding`). All have as many transforms, of the same depth, and as many parameters within 5 %.
The samples of the two ways of decoding are compared in float64.

    python -m benchmarks flow_sampling
"""

from __future__ import annotations

from functools import partial
from typing import Any

import torch

from benchmarks.flow_peers import NFlows, Zuko, count, processor_in_turn, stepper, width_for
from benchmarks.stored_results import measure_once
from benchmarks.timing import report
from pushforward.conditions import ConditionSpace
from pushforward.models import Model, model_class
from pushforward.randomness import Draws
from pushforward.spaces import Vector
from pushforward.transforms import MaskedAutoregressive

# Numbers of a vector: samples drawn at a time.
SIZES = {64: 64, 512: 16}
BATCH, TRANSFORMS, REPEATS = 256, 3, {64: 5, 512: 1}
PEERS = {"zuko": Zuko, "nflows": NFlows}


def main() -> None:
    rows: list[dict[str, Any]] = []
    for dim, samples in SIZES.items():
        for affine in (True, False):
            setting = {
                "samples": samples,
                "batch": BATCH,
                "transforms": TRANSFORMS,
                "repeats": REPEATS[dim],
                "clock": "processor",
            }
            name = f"D = {dim}, {'affine' if affine else 'spline'}"
            measure = partial(compared, dim, samples, affine=affine)
            rows += measure_once("flow_sampling", name, setting, lambda measure=measure: {"rows": measure()})["rows"]
    notes = [
        f"{TRANSFORMS} transforms of two hidden layers; samples at a time: "
        + ", ".join(f"{samples} at D = {dim}" for dim, samples in SIZES.items())
        + f"; batches of {BATCH} in training",
        "processor time of one core, medians in turn with the least and the most (one sampling at D = 512)",
        "difference: the largest of samples decoded number by number from those by a full pass for each, in float64, "
        "in units of the largest value",
    ]
    report("flow_sampling", "Sampling from autoregressive flows", rows, notes=notes, packages=list(PEERS))


def compared(dim: int, samples: int, *, affine: bool) -> list[dict[str, Any]]:
    """Rows of one size and one map of values."""
    name = "maf" if affine else "nsf"
    ours = built(name, dim)
    flows: dict[str, Model] = {name: ours}
    for peer, kind in PEERS.items():
        width = width_for(partial(built_peer, kind, dim, affine), count(ours))
        flows[peer] = built_peer(kind, dim, affine, width)

    def drawn(model: Model) -> None:
        with torch.no_grad():
            model.sample(Draws(0, samples))

    sampling = processor_in_turn({key: partial(drawn, each) for key, each in flows.items()}, REPEATS[dim])
    training = processor_in_turn({key: stepper(each, dim, rows=BATCH) for key, each in flows.items()}, 7)
    return [
        {
            "flow": key if key == name else f"{key} {name}",
            "D": dim,
            "parameters": count(each),
            "a sampling": str(sampling[key]),
            "times ours": f"{sampling[key].median / sampling[name].median:.1f}",
            "a training step": str(training[key]),
            "steps, times ours": f"{training[key].median / training[name].median:.2f}",
            "difference": f"{difference(ours, dim):.1e}" if key == name else "",
        }
        for key, each in flows.items()
    ]


def built(name: str, dim: int) -> Model:
    kind = model_class(name)
    settings: dict[str, Any] = {"width": 128, "depth": 2}
    settings |= {"transforms": TRANSFORMS} if name == "maf" else {"couplings": TRANSFORMS}
    settings |= {} if name == "maf" else {"conditioner": "autoregressive"}
    torch.manual_seed(0)
    model = kind(Vector(dim), ConditionSpace(), kind.Settings(**settings))
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.02 * torch.randn_like(parameter))
    return model


def built_peer(kind: Any, dim: int, affine: bool, width: int) -> Model:
    settings = kind.Settings(affine=affine, transforms=TRANSFORMS, width=width)
    return kind(Vector(dim), ConditionSpace(), settings)


def difference(model: Model, dim: int) -> float:
    """Of samples decoded number by number from those of a full pass for each number."""
    z = torch.randn(4, dim, dtype=torch.float64)
    flow = model.double().flow
    with torch.no_grad():
        fast = flow.inverse(z)[0]
        for each in flow.modules():
            if isinstance(each, MaskedAutoregressive):
                each.inverse = partial(plain, each)
        slow = flow.inverse(z)[0]
    return float((fast - slow).abs().max() / slow.abs().max())


def plain(transform: MaskedAutoregressive, z: torch.Tensor, condition: Any = None) -> tuple[torch.Tensor, torch.Tensor]:
    x = torch.zeros_like(z)
    for feature in range(z.shape[1]):
        value = transform.monotone.inverse(z, transform._thetas(x, condition))[0]
        x = torch.cat([x[:, :feature], value[:, feature:]], 1)
    return x, torch.zeros(len(z), dtype=z.dtype)
