"""Posteriors of models that learned parameters given simulated data, beside reference posteriors.

Each model learns from 10,000 simulations of a task (see `benchmarks.posterior_tasks`) and draws 10,000 parameters given
an observation. The score is that of the benchmark's authors (C2ST): the cross-validated accuracy of a perceptron that
separates these from the reference samples; 0.5 is perfect, 1 is complete separation.

    python -m benchmarks posteriors
    python -m benchmarks.posteriors nsf two_moons 1        # one cell, without a table
"""

from __future__ import annotations

import sys
import tempfile
import time
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

import pushforward as pf
from benchmarks.flow_peers import count
from benchmarks.posterior_tasks import TASKS, observed, reference
from benchmarks.stored_results import measure_once, stored
from benchmarks.timing import report

SIMULATIONS, SAMPLES, STEPS, OBSERVATIONS = 10_000, 10_000, 1000, (1, 2, 3, 4, 5)
MODELS: dict[str, tuple[str, dict[str, Any]]] = {
    "nsf": ("nsf", {"conditioner": "autoregressive", "couplings": 4, "width": 64, "batch_size": 256}),
    "maf": ("maf", {"transforms": 5, "width": 64, "batch_size": 256}),
    "flow-matching": ("flow-matching", {"width": 128, "batch_size": 256}),
}


def main() -> None:
    rows = []
    for name in MODELS:
        row: dict[str, Any] = {"model": name}
        for task in TASKS:
            cells = [stored("posteriors", f"{name}, {task}, {number}", setting(name)) for number in OBSERVATIONS]
            found = [cell["c2st"] for cell in cells if cell is not None]
            row[task] = f"{np.mean(found):.3f} ({len(found)})" if found else ""
        rows.append(row)
    notes = [
        f"C2ST accuracy, mean over observations (their number of {len(OBSERVATIONS)}); an empty cell was not measured",
        f"{SIMULATIONS} simulations, {STEPS} steps of training, {SAMPLES} samples of each posterior; one seed",
        "the same classifier as in the benchmark: two hidden layers of ten times the parameters, five folds",
    ]
    report("posteriors", "Posteriors from simulations", rows, notes=notes, packages=["sbibm"])


def setting(name: str) -> dict[str, Any]:
    """Everything that the numbers of a model depend on."""
    return {"model": MODELS[name], "steps": STEPS, "simulations": SIMULATIONS, "samples": SAMPLES}


@cache
def trained(name: str, task: str) -> tuple[pf.Emulator, float]:
    """The emulator of a task, and the processor seconds of its training."""
    family, settings = MODELS[name]
    rng = np.random.default_rng(0)
    theta = TASKS[task].prior(SIMULATIONS, rng)
    data = TASKS[task].simulate(theta, rng)
    start = time.process_time()
    with tempfile.TemporaryDirectory() as folder:
        emulator = pf.fit(
            pf.read(theta, condition=data, space="vector"), family, steps=STEPS, settings=settings,
            out=Path(folder) / "run", device="cpu", progress=False,
        )  # fmt: skip
    return emulator, time.process_time() - start


def measure_cell(name: str, task: str, number: int) -> dict[str, Any]:
    """The stored score of a model on one observation of a task, measured now if there is none."""
    return measure_once("posteriors", f"{name}, {task}, {number}", setting(name), lambda: measured(name, task, number))


def measured(name: str, task: str, number: int) -> dict[str, Any]:
    """C2ST accuracy, processor seconds of training, and number of parameters."""
    emulator, seconds = trained(name, task)
    bound = TASKS[task].bound
    prior = None if bound is None else {f"x{place + 1}": (-bound, bound) for place in range(TASKS[task].dim)}
    posterior = emulator.posterior(observed(task, number), n=SAMPLES, of="samples", prior=prior, seed=number)
    c2st = classified(reference(task, number), posterior.samples.numpy())
    return {"c2st": c2st, "seconds": seconds, "parameters": count(emulator.model)}


def classified(real: NDArray[np.float64], drawn: NDArray[np.float32]) -> float:
    """C2ST: mean accuracy over five folds of a perceptron between reference and model samples, shapes (n, dim)."""
    from sklearn.model_selection import KFold, cross_val_score
    from sklearn.neural_network import MLPClassifier

    x = (np.concatenate([real, drawn]) - real.mean(0)) / real.std(0, ddof=1)
    labels = np.repeat([0, 1], [len(real), len(drawn)])
    width = 10 * real.shape[1]
    classifier = MLPClassifier((width, width), max_iter=10_000, random_state=1)
    folds = KFold(5, shuffle=True, random_state=1)
    return float(np.mean(cross_val_score(classifier, x, labels, cv=folds, scoring="accuracy")))


torch.set_num_threads(1)
if __name__ == "__main__":
    model, task, *numbers = sys.argv[1:]
    for number in numbers or OBSERVATIONS:
        measure_cell(model, task, int(number))
