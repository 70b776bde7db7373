"""The density of two moons by spline flows: `nsf` beside zuko, nflows and normflows, in the same processor time.

Each flow is trained by the same loop (the same batches, optimiser, schedule and averaged weights) for as many steps as
fit into a minute of one core; a step is timed in processor seconds, which do not count what else the machine does. The
peers have as many parameters as `nsf` with its default settings, within 5 %. Scored on 20,000 fresh points: the mean of
exact less learned log-density, the Kullback-Leibler divergence.

    python -m benchmarks spline_flows
    python -m benchmarks.spline_flows nsf zuko      # these alone, without a table
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import torch

import pushforward as pf
from benchmarks.flow_peers import NFlows, NormFlows, Peer, Zuko, count, process_seconds, stepper, width_for
from benchmarks.stored_results import measure_once, stored
from benchmarks.timing import report
from pushforward.conditions import ConditionSpace
from pushforward.ensembles import builtin
from pushforward.models import Model, model_class
from pushforward.simulate import simulate
from pushforward.spaces import Vector

BUDGET, TIMED, POINTS, SCORED = 60.0, 40, 20_000, 3000
SEEDS = (0,)
LABELLED = {False: "two-moons", True: "two-moons given the moon"}
PEERS: dict[str, type[Peer]] = {"zuko": Zuko, "nflows": NFlows, "normflows": NormFlows}
OURS: dict[str, dict[str, Any]] = {"nsf": {}, "nsf, autoregressive": {"conditioner": "autoregressive", "width": 175}}
# The example of normflows knows no condition for its autoregressive splines.
CELLS = [(name, given) for given in (False, True) for name in (*OURS, *PEERS) if not (given and name == "normflows")]


def main() -> None:
    rows = []
    for name, given in CELLS:
        results = [cell(name, given, seed) for seed in SEEDS]
        moons = simulate("two-moons", 1).exact
        floor = moons.conditional_entropy if given else moons.entropy
        gaps = [each["gap"] for each in results]
        rows.append(
            {
                "data": LABELLED[given],
                "flow": name,
                "parameters": results[0]["parameters"],
                "steps": results[0]["steps"],
                "floor, nats": f"{floor:.4f}",
                "above the floor, nats": " ".join(f"{gap:.4f} ± {results[0]['error']:.4f}" for gap in gaps),
            }
        )
    notes = [
        f"two-moons with noise 0.1; {BUDGET:g} processor seconds of one core each, seeds {', '.join(map(str, SEEDS))}",
        "the same loop for all: batches of 512, learning rate 2e-3 falling as a cosine, averaged weights",
        f"mean of exact less learned log-density over {POINTS} fresh points, with its standard error",
    ]
    report("spline_flows", "Spline flows on two moons", rows, notes=notes, packages=list(PEERS))


def cell(name: str, given: bool, seed: int) -> dict[str, Any]:
    """One flow trained from one seed and scored."""
    setting = {"budget": BUDGET}
    key = f"{name}{', given' if given else ''}, {seed}"
    return stored("spline_flows", key, setting) or measure_once(
        "spline_flows", key, setting, lambda: measured(name, given, seed)
    )


def measured(name: str, given: bool, seed: int) -> dict[str, Any]:
    kind, settings = family(name, given)
    model = built(kind, given, settings)
    condition = Condition(torch.eye(2).repeat(256, 1)) if given else None
    steps = int(BUDGET / process_seconds(stepper(model, 2, condition), TIMED))
    moons = simulate("two-moons", 20_000, 0, labels=given)
    data = builtin.simulate("two-moons", labels=given)
    with tempfile.TemporaryDirectory() as folder:
        emulator = pf.fit(
            data, kind if name in PEERS else "nsf", steps=steps, seed=seed, settings=settings, out=Path(folder) / "run",
            device="cpu", progress=False,
        )  # fmt: skip
    fresh = simulate("two-moons", POINTS, SCORED, labels=given)
    x, rows = torch.from_numpy(fresh.x), fresh.conditions
    learned = emulator.log_prob(x, rows).double().numpy()
    assert moons.exact is not None
    gap = (moons.exact.log_prob(fresh.x, rows) if given else moons.exact.log_prob(fresh.x)) - learned
    return {
        "steps": steps,
        "parameters": count(model),
        "gap": float(np.mean(gap)),
        "error": float(np.std(gap) / np.sqrt(len(gap))),
    }


def family(name: str, given: bool) -> tuple[type[Model], dict[str, Any]]:
    """The class of a flow and its settings, of as many parameters as `nsf`."""
    nsf = model_class("nsf")
    if name in OURS:
        return nsf, OURS[name]
    aim, peer = count(built(nsf, given, {})), PEERS[name]
    width = width_for(lambda width: built(peer, given, {"width": width}), aim)
    return peer, {"width": width}


def built(kind: type[Model], given: bool, settings: dict[str, Any]) -> Model:
    condition = ConditionSpace(2) if given else ConditionSpace()
    return kind(Vector(2), condition, kind.Settings(**settings))


if __name__ == "__main__":
    for wanted in sys.argv[1:]:
        for flow, labelled in CELLS:
            if flow == wanted:
                cell(flow, labelled, SEEDS[0])
