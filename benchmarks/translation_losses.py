"""Loss of correlation by `between` and of the spectrum by `cut`, on maps of `field-pairs`, and its causes.

`between` learns from pairs of optimal transport within a batch: how much nearer are they than random pairs, and than
true ones? `cut` weighs a contrastive loss against its critic: what does the weight do to the power of translated maps?

    python -m benchmarks translation_losses
"""

from __future__ import annotations

import tempfile
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

import pushforward as pf
from benchmarks.closed_translations import SmoothedFirst
from benchmarks.stored_results import measure_in_turn, measure_once, stored
from benchmarks.timing import report
from benchmarks.translators import sides
from pushforward.transport.couplings import optimal_transport
from pushforward.validation.true_pairs import translation_figures

BATCHES = (16, 64, 256, 960)
WEIGHTS = (0.0, 0.1, 1.0, 10.0)
STEPS = 100


def main(seconds: float = float("inf")) -> None:
    """Measure what is not measured yet, beginning nothing after so many seconds."""
    if measure_in_turn(WEIGHTS, contrast, seconds):
        tabulate()


def contrast(weight: float) -> dict[str, Any]:
    """r(k) and P(k) of gas by `cut` with one weight of both contrastive terms, computed or read."""
    return measure_once("translation_losses", f"cut {weight:g}", _setting(weight), partial(_trained, weight))


def tabulate() -> None:
    """Both tables."""
    weights = [
        {"weight": weight, **found}
        for weight in WEIGHTS
        if (found := stored("translation_losses", f"cut {weight:g}", _setting(weight)))
    ]
    rows = [{"pairs": "random", "squared distance": 1.0}, *_distances()]
    report(
        "translation_losses",
        "What ties translations to their members",
        rows,
        further={"Weights of the contrastive terms of `cut`": weights},
        notes=[
            "First table: mean squared distance of whitened maps of matter and gas, relative to random pairs. "
            "`between` pairs the members of a batch by optimal transport; true pairs are unseen in training.",
            f"Second table: `cut` to gas alone, {STEPS} steps, one seed, one weight of contrast and identity; r(k) "
            "with the truth and P(k) relative to real maps, means up to half the Nyquist frequency, on 36 true pairs; "
            "power: of translated over that of real maps, mean over the same k.",
        ],
    )


def _distances() -> list[dict[str, Any]]:
    a, b = (pf.read(f"field-pairs-{side}").train.tensor().as_subclass(Tensor)[: max(BATCHES)] for side in "ab")
    start, truth = SmoothedFirst(a, b), sides()
    order = torch.randperm(len(a), generator=torch.Generator().manual_seed(0))
    x, y = start.white(a, "a")[order], start.white(b, "b")

    def distance(x: Tensor, y: Tensor) -> float:
        return float((x - y).flatten(1).square().sum(1).mean())

    rows = []
    for size in BATCHES:
        parts = list(zip(x.split(size), y.split(size), strict=True))
        near = sum(distance(one, optimal_transport(one, two, block=size)) for one, two in parts) / len(parts)
        rows.append({"pairs": f"optimal transport within {size}", "squared distance": near / distance(x, y)})
    ours, theirs = start.white(truth.a, "a"), start.white(truth.b, "b")
    apart = distance(ours, theirs) / distance(ours, theirs.roll(13, 0))
    return [*rows, {"pairs": "true", "squared distance": apart}]


def _setting(weight: float) -> dict[str, Any]:
    return {"weight": weight, "steps": STEPS, "seed": 0}


def _trained(weight: float) -> dict[str, Any]:
    torch.set_num_threads(1)
    pair = pf.EnsemblePair(pf.read("field-pairs-a"), pf.read("field-pairs-b"))
    settings = {"ends": "b", "contrast": weight, "identity": weight}
    with tempfile.TemporaryDirectory() as folder:
        emulator = pf.fit(
            pair, "cut", steps=STEPS, out=Path(folder) / "run", settings=settings, device="cpu", progress=False
        )
        found = {each.statistic: each for each in translation_figures(emulator, sides())}
    power = found["power_spectrum"]
    assert power.k is not None
    assert power.curve is not None
    within = power.k <= power.k[-1] / 2
    return {
        "r(k) with the truth": f"{found['correlation_with_truth'].value:.3f}",
        "P(k) off by (%)": f"{power.value:.1f}",
        "power": f"{power.curve[within].mean():.2f}",
    }


if __name__ == "__main__":
    main()
