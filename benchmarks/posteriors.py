"""Posteriors of models that learned parameters given simulated data, beside reference posteriors and beside sbi.

Each model learns from the same 10,000 simulations of a task (see `benchmarks.posterior_tasks`), for as long: so many
processor seconds of one core. It then draws 10,000 parameters given an observation, those outside the prior's interval
left out. The score (C2ST) is the cross-validated accuracy of a perceptron that separates these from the reference
samples; 0.5 is perfect, 1 is complete separation. The perceptron is that of the benchmark's authors, trained for 150
epochs at most.

Models here are trained three times within this time (see `MODELS`), and the density at parameters of unseen simulations
chooses one: ten thousand simulations can be learned by heart.

The peer is `NPE` of sbi with its neural spline flow and its own defaults: it stops by its own rule (20 epochs without
a better validation loss, of which it keeps the best) or when the time is over.

    python -m benchmarks posteriors
    python -m benchmarks.posteriors nsf two_moons 1        # one cell, without a table
"""

from __future__ import annotations

import json
import sys
import tempfile
import time
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

import pushforward as pf
from benchmarks.c2st import MOST_EPOCHS, c2st
from benchmarks.flow_peers import count
from benchmarks.posterior_tasks import TASKS, observed, reference
from benchmarks.stored_results import WORK, measure_in_turn, measure_once, stored
from benchmarks.timed_fits import fit_for
from benchmarks.timing import ROOT, report

SIMULATIONS, SAMPLES, BUDGET, OBSERVATIONS = 10_000, 10_000, 30.0, (1, 2, 3, 4, 5)
VALIDATED = 500
PEER = "sbi NPE"
Trials = list[tuple[str, dict[str, Any], float]]
"""Family, settings and share of the time; the validation members choose one."""
AUTOREGRESSIVE = {"conditioner": "autoregressive", "couplings": 4, "width": 64, "batch_size": 256}
COUPLINGS = {"couplings": 5, "width": 50, "batch_size": 256, "learning_rate": 1e-3}
MATCHING, CAUSAL = {"width": 128, "batch_size": 256}, {"width": 64}
MODELS: dict[str, Trials] = {
    "nsf": [("nsf", AUTOREGRESSIVE, 0.1), ("nsf", AUTOREGRESSIVE, 0.5), ("nsf", COUPLINGS, 0.4)],
    PEER: [("sbi", {"density_estimator": "nsf"}, 1.0)],
    "flow-matching": [("flow-matching", MATCHING, share) for share in (0.1, 0.3, 0.6)],
    "tarflow": [("tarflow", CAUSAL, share) for share in (0.1, 0.3, 0.6)],
}
Drawn = Callable[[NDArray[np.float64], int], NDArray[np.float32]]
"""Samples of a posterior, of an observation and a seed."""


def main(seconds: float = float("inf")) -> None:
    """Measure what is not measured yet, beginning nothing after so many seconds."""
    plan = [(name, task, number) for number in OBSERVATIONS for task in TASKS for name in MODELS]
    if measure_in_turn(plan, lambda row: measure_cell(*row), seconds):
        tabulate()


def tabulate() -> None:
    """The table of what is measured so far."""
    found = {(name, task): scores(name, task) for name in MODELS for task in TASKS}
    rows: list[dict[str, Any]] = []
    for task in TASKS:
        row: dict[str, Any] = {"task": task}
        for name in MODELS:
            cell = found[name, task]
            row[name] = f"{np.mean(list(cell.values())):.3f} ({len(cell)})" if cell else ""
        rows.append(row)
    mean: dict[str, Any] = {"task": "mean over tasks"}
    better: dict[str, Any] = {"task": f"better than {PEER}"}
    for name in MODELS:
        measured_tasks = [np.mean(list(found[name, task].values())) for task in TASKS if found[name, task]]
        mean[name] = f"{np.mean(measured_tasks):.3f}" if len(measured_tasks) == len(TASKS) else ""
        pairs = [versus(found[name, task], found[PEER, task]) for task in TASKS]
        counted = [pair for pair in pairs if pair is not None]
        better[name] = "" if name == PEER or not counted else f"{sum(counted)} of {len(counted)}"
    spent: dict[str, Any] = {"task": "processor seconds of training"}
    for name in MODELS:
        trainings = [stored("posteriors", f"{name}, {task}", setting(name)) for task in TASKS]
        seconds = [training["seconds"] for training in trainings if training is not None]
        spent[name] = f"{min(seconds):.0f} to {max(seconds):.0f}" if seconds else printed(spent["task"], name)
    notes = [
        "C2ST accuracy, mean over observations (their number, from the first on); an empty cell was not measured",
        f"{SIMULATIONS} simulations, about {BUDGET:g} processor seconds of training each, one seed",
        f"{SAMPLES} samples of each posterior; better: over the observations that both have",
        "classifier: that of the benchmark (two layers of ten times the parameters, five folds), "
        f"{MOST_EPOCHS} epochs at most",
        f"{PEER}: defaults of sbi with its neural spline flow, which stops early by its validation loss; the "
        "time ended most of its trainings before that, after 18 to 28 epochs",
        f"models of this package: three trainings in this time, of which {VALIDATED} simulations choose; {PEER}: one",
    ]
    packages = ["sbibm", "sbi", "nflows"]
    report("posteriors", "Posteriors from simulations", [*rows, mean, better, spent], notes=notes, packages=packages)


def scores(name: str, task: str) -> dict[int, float]:
    """Stored scores by observation; without any, that of the first observation in the last printed table."""
    cells = {number: stored("posteriors", f"{name}, {task}, {number}", setting(name)) for number in OBSERVATIONS}
    found = {number: cell["c2st"] for number, cell in cells.items() if cell is not None}
    score, _, count = printed(task, name).partition(" ")
    return found or ({OBSERVATIONS[0]: float(score)} if count == "(1)" else {})


def printed(task: str, name: str) -> str:
    """A cell of the last table in `benchmarks/results`."""
    history = json.loads((ROOT / "benchmarks" / "results" / "posteriors.json").read_text())
    return next((str(row.get(name, "")) for row in history[-1]["rows"] if row["task"] == task), "")


def versus(ours: dict[int, float], theirs: dict[int, float]) -> bool | None:
    """Whether the mean over the observations of both is lower; None without any."""
    common = ours.keys() & theirs.keys()
    if not common:
        return None
    return sum(ours[number] for number in common) < sum(theirs[number] for number in common)


def setting(name: str) -> dict[str, Any]:
    """Everything that the numbers of a model depend on."""
    return {"model": MODELS[name], "budget": BUDGET, "simulations": SIMULATIONS, "samples": SAMPLES}


@cache
def simulations(task: str) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Parameters from the prior, and data."""
    rng = np.random.default_rng(0)
    theta = TASKS[task].prior(SIMULATIONS, rng)
    return theta, TASKS[task].simulate(theta, rng)


def train(name: str, task: str) -> dict[str, Any]:
    """How a model was trained for a task, now or earlier; its samples given all observations are kept in a file."""

    def now() -> dict[str, Any]:
        draw, about = by_sbi(task) if name == PEER else by_fit(name, task)
        samples = np.stack([draw(observed(task, number), number) for number in OBSERVATIONS])
        path = samples_file(name, task)
        path.parent.mkdir(parents=True, exist_ok=True)
        np.save(path, samples)
        return about

    return measure_once("posteriors", f"{name}, {task}", setting(name), now)


def samples_file(name: str, task: str) -> Path:
    return WORK / "posteriors" / f"{name} {task}.npy"


def by_fit(name: str, task: str) -> tuple[Drawn, dict[str, Any]]:
    theta, data = simulations(task)
    ensemble = pf.read(theta, condition=data, space="vector")
    unseen = ensemble.validation.subset(range(VALIDATED))

    runs, seconds = [], 0.0
    for family, settings, share in MODELS[name]:
        emulator, steps, used = fit_for(share * BUDGET, ensemble, family, settings=settings)
        loss = -emulator.log_prob(unseen.tensor(), unseen.conditions).mean().item()
        runs.append((loss, len(runs), steps, emulator))
        seconds += used
    _, best, steps, emulator = min(runs)
    bound = TASKS[task].bound
    prior = None if bound is None else {f"x{place + 1}": (-bound, bound) for place in range(TASKS[task].dim)}

    def drawn(observation: NDArray[np.float64], seed: int) -> NDArray[np.float32]:
        return emulator.posterior(observation, n=SAMPLES, of="samples", prior=prior, seed=seed).samples.numpy()

    return drawn, {
        "seconds": seconds, "steps": steps, "chosen": best, "losses": [run[0] for run in runs],
        "parameters": count(emulator.model),
    }  # fmt: skip


def by_sbi(task: str) -> tuple[Drawn, dict[str, Any]]:
    from sbi.inference import NPE
    from sbi.utils import BoxUniform
    from torch.utils.tensorboard import SummaryWriter

    bound, dim = TASKS[task].bound, TASKS[task].dim
    prior = None if bound is None else BoxUniform(-bound * torch.ones(dim), bound * torch.ones(dim))
    theta, data = (torch.from_numpy(part).float() for part in simulations(task))
    start = time.process_time()

    class Timed(NPE):
        """`NPE` that also stops when the time is over, with the best weights so far, as it does by itself."""

        def _converged(self, epoch: int, stop_after_epochs: int) -> bool:
            ended = super()._converged(epoch, stop_after_epochs)
            if not ended and time.process_time() - start > BUDGET:
                self._neural_net.load_state_dict(self._best_model_state_dict)
                return True
            return ended

    torch.manual_seed(0)
    with tempfile.TemporaryDirectory() as folder:
        log = SummaryWriter(folder)
        inference = Timed(prior, show_progress_bars=False, summary_writer=log, **MODELS[PEER][0][1])
        estimator = inference.append_simulations(theta, data).train()
        log.close()
    seconds = time.process_time() - start

    def drawn(observation: NDArray[np.float64], seed: int) -> NDArray[np.float32]:
        torch.manual_seed(seed)
        given = torch.from_numpy(observation).float()
        if prior is None:
            return estimator.sample((SAMPLES,), given).detach().squeeze(1).numpy()
        return inference.build_posterior().sample((SAMPLES,), given, show_progress_bars=False).numpy()

    return drawn, {"seconds": seconds, "epochs": inference.epoch, "parameters": count(estimator)}


def measure_cell(name: str, task: str, number: int) -> dict[str, Any]:
    """The stored score of a model on one observation of a task, measured now if there is none."""
    train(name, task)

    def now() -> dict[str, Any]:
        drawn = np.load(samples_file(name, task))[OBSERVATIONS.index(number)]
        return {"c2st": c2st(reference(task, number), drawn)}

    return measure_once("posteriors", f"{name}, {task}, {number}", setting(name), now)


torch.set_num_threads(1)
if __name__ == "__main__":
    wanted, task, *numbers = sys.argv[1:]
    for number in numbers or OBSERVATIONS:
        measure_cell(wanted, task, int(number))
