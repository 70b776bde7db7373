"""Densities of 6 to 63 dimensions whose entropy is known: how far above it flows end, in the same processor time.

Sets: see `benchmarks.entropy_sets`; 20,000 training members each. All flows are trained by the same loop for as many
steps as fit into the budget (processor seconds of one core). zuko's flows have as many parameters as ours of the same
kind, within 5 %. Scored on 5000 fresh members: the mean of exact less learned log-density, nats.

    python -m benchmarks known_entropy
    python -m benchmarks.known_entropy chain-8       # this set alone, without a table
"""

from __future__ import annotations

import math
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import torch

import pushforward as pf
from benchmarks.entropy_sets import SETS
from benchmarks.flow_peers import Zuko, count, process_seconds, stepper, width_for
from benchmarks.stored_results import measure_in_turn, measure_once, stored
from benchmarks.timing import report
from pushforward.conditions import ConditionSpace
from pushforward.ensembles import Ensemble
from pushforward.models import Model, model_class
from pushforward.spaces import Vector

BUDGET, MEMBERS, SCORED, OUTLIER = 20.0, 20_000, 5000, 1000.0
AUTOREGRESSIVE = {"conditioner": "autoregressive", "couplings": 3, "width": 128}
FLOWS: dict[str, tuple[str, dict[str, Any]]] = {
    "nsf": ("nsf", AUTOREGRESSIVE),
    "zuko nsf": ("zuko", {"transforms": 3, "affine": False}),
    "maf": ("maf", {"transforms": 5, "width": 128}),
    "zuko maf": ("zuko", {"transforms": 5, "affine": True}),
    "nsf, couplings": ("nsf", {"couplings": 6}),
    "realnvp": ("realnvp", {}),
    "tarflow": ("tarflow", {"monotone": "spline", "transforms": 2, "width": 64}),
    "cnf": ("cnf", {}),
}


def main(seconds: float = float("inf")) -> None:
    """Measure what is not measured yet, beginning nothing after so many seconds."""
    plan = [(data, name) for data in SETS for name in FLOWS]
    if measure_in_turn(plan, lambda row: cell(*row), seconds):
        tabulate()


def tabulate() -> None:
    """The table of what is measured so far."""
    rows, outliers = [], []
    for name in FLOWS:
        row: dict[str, Any] = {"flow": name}
        for data in SETS:
            result = stored("known_entropy", f"{data}, {name}", setting(name))
            row[data] = "" if result is None else f"{result['gap']:.3f} ± {result['error']:.3f}"
            if result is not None and result["worst"] > OUTLIER:
                outliers.append(f"{name} on {data} ({result['worst']:.2g})")
        rows.append(row)
    x = {data: each.draw(20_000, 99) for data, each in SETS.items()}
    entropy = {data: -SETS[data].log_prob(x[data]).mean().item() for data in SETS}
    rows.insert(0, {"flow": "entropy, nats"} | {data: f"{value:.2f}" for data, value in entropy.items()})
    notes = [
        f"nats above the entropy, over {SCORED} fresh members; {BUDGET:g} processor seconds of training each, one seed",
        "the same loop for all: a learning rate that falls as a cosine, averaged weights; batches of 512 and a rate of "
        "2e-3, except for families with other defaults (tarflow: batches of 128, Muon at 1e-2)",
        "an empty cell was not measured",
        *[f"means that single members dominate, with their worst: {', '.join(outliers)}" for _ in outliers[:1]],
    ]
    report("known_entropy", "Flows of vectors with known entropy", rows, notes=notes, packages=["zuko"])


def setting(name: str) -> dict[str, Any]:
    return {"budget": BUDGET, "flow": FLOWS[name]}


def cell(data: str, name: str) -> dict[str, Any]:
    return measure_once("known_entropy", f"{data}, {name}", setting(name), lambda: measured(data, name))


def measured(data: str, name: str) -> dict[str, Any]:
    known = SETS[data]
    kind, settings = family(known.dim, name)
    torch.manual_seed(0)
    model = built(kind, known.dim, settings)
    steps = max(20, int(BUDGET / seconds_per_step(model, known.dim)))
    ensemble = Ensemble.from_array(known.draw(MEMBERS, 0).float().numpy(), space=Vector(known.dim), name=data)
    with tempfile.TemporaryDirectory() as folder:
        emulator = pf.fit(
            ensemble, kind if FLOWS[name][0] == "zuko" else FLOWS[name][0], steps=steps, settings=settings,
            out=Path(folder) / "run", device="cpu", progress=False,
        )  # fmt: skip
    fresh = known.draw(SCORED, 777)
    gap = (known.log_prob(fresh) - emulator.log_prob(fresh.float()).double()).numpy()
    return {
        "steps": steps,
        "parameters": count(model),
        "gap": float(gap.mean()),
        "error": float(gap.std() / math.sqrt(len(gap))),
        "worst": float(np.max(gap)),
    }


def seconds_per_step(model: Model, dim: int) -> float:
    """Processor seconds per step of training, of both parts of the run for a model that begins with matching."""
    rows = type(model).training_defaults_for(model.space).get("batch_size", 512)
    matching = getattr(model.settings, "matching", None) or 0.0
    parts = {0.0: matching, 1.0: 1.0 - matching}
    return sum(
        share * process_seconds(stepper(model, dim, rows=rows, progress=progress), 6)
        for progress, share in parts.items()
        if share
    )


def family(dim: int, name: str) -> tuple[type[Model], dict[str, Any]]:
    kind, settings = FLOWS[name]
    if kind != "zuko":
        return model_class(kind), settings
    ours = "maf" if settings["affine"] else "nsf"
    aim = count(built(model_class(ours), dim, FLOWS[ours][1]))
    return Zuko, {**settings, "width": width_for(lambda width: built(Zuko, dim, {**settings, "width": width}), aim)}


def built(kind: type[Model], dim: int, settings: dict[str, Any]) -> Model:
    return kind(Vector(dim), ConditionSpace(), kind.Settings(**settings))


torch.set_num_threads(1)
if __name__ == "__main__":
    for wanted in sys.argv[1:]:
        for flow in FLOWS:
            cell(wanted, flow)
