"""Bits per dimension of handwritten digits: 8 x 8 cells of 17 grey levels, as scikit-learn carries them.

The 1797 digits are split by the package's own rule (seed 0) into training, validation and test members. Every family is
trained without labels in as many steps as fit into each of the budgets (processor seconds of one core), the validation
members choose between these, and the test members score the choice once. `autoregressive` has exact probabilities.
Flows see grey levels spread over their cells, so that the figure is a bound from above, the mean density over 8 places
in the cell, weighted if these are drawn from a learned density ("variational"); for the VAE it is the
importance-weighted bound of 256 codes. A baseline: the entropy of each cell by itself (with one count added).

    python -m benchmarks digits_bits
    python -m benchmarks.digits_bits glow          # this alone, without a table
"""

from __future__ import annotations

import math
import sys
from typing import Any

import numpy as np
import torch

from benchmarks.flow_peers import count
from benchmarks.stored_results import measure_once, stored
from benchmarks.timed_fits import fit_for
from benchmarks.timing import report
from pushforward.ensembles import builtin

BUDGETS = (15.0, 45.0)
LEVELS, CELLS = 17, 64
FAMILIES: dict[str, dict[str, Any]] = {
    "autoregressive": {"width": 64, "depth": 3},
    "glow": {"couplings": 4, "width": 48},
    "tarflow": {"width": 64, "depth": 2, "transforms": 4},
    "nsf": {"width": 48},
    "realnvp": {"width": 48},
    "vae": {"width": 48, "prior": "flow"},
    "nsf, variational": {"width": 48, "dequantisation": "variational"},
    "glow, variational": {"couplings": 4, "width": 48, "dequantisation": "variational"},
}


def main() -> None:
    for family in FAMILIES:
        for budget in BUDGETS:
            cell(family, budget)
    tabulate()


def tabulate() -> None:
    """The table of what is measured so far."""
    rows: list[dict[str, Any]] = [{"family": "cells by themselves", "test bits per dimension": f"{independent():.3f}"}]
    for family, settings in FAMILIES.items():
        found = {budget: stored("digits_bits", name_of(family, budget), setting(family, budget)) for budget in BUDGETS}
        runs = {budget: run for budget, run in found.items() if run is not None}
        if not runs:
            continue
        budget = min(runs, key=lambda budget: runs[budget]["validation"])
        best = runs[budget]
        rows.append(
            {
                "family": family,
                "test bits per dimension": f"{best['test']:.3f} ± {best['error']:.3f}",
                "validation": f"{best['validation']:.3f}",
                "training": f"{best['train']:.3f}",
                "what it is": "exact" if family == "autoregressive" else "bound",
                "processor seconds": f"{budget:g}",
                "steps": best["steps"],
                "parameters": best["parameters"],
                "settings": ", ".join(f"{key}={value}" for key, value in settings.items()),
            }
        )
    columns = list(rows[-1])
    rows = [{column: row.get(column, "") for column in columns} for row in rows]
    parts = splits()
    notes = [
        "digits 8 x 8 with 17 grey levels, " + ", ".join(f"{len(part)} {name}" for name, part in parts.items()),
        "bits per dimension: -log2 P / 64, mean over members (400 of the training members) with its standard error",
        "one seed; the validation members choose between trainings of "
        f"{' and '.join(f'{budget:g}' for budget in BUDGETS)} processor seconds, where both were measured",
    ]
    report("digits_bits", "Handwritten digits in bits per dimension", rows, notes=notes)


def splits() -> dict[str, Any]:
    data = builtin.simulate("digits", labels=False)
    return {"training": data.train, "validation": data.validation, "test": data.test}


def independent() -> float:
    """Bits per dimension of a product of each cell's own distribution."""
    parts = splits()
    train, test = (parts[name].tensor().numpy().reshape(-1, CELLS).astype(int) for name in ("training", "test"))
    counts = np.stack([np.bincount(train[:, cell], minlength=LEVELS) for cell in range(CELLS)]) + 1.0
    logs = np.log2(counts / counts.sum(1, keepdims=True))
    return -float(logs[np.arange(CELLS), test].mean())


def setting(family: str, budget: float) -> dict[str, Any]:
    return {"settings": FAMILIES[family], "budget": budget}


def name_of(family: str, budget: float) -> str:
    return f"{family}, {budget:g} s"


def cell(family: str, budget: float) -> dict[str, Any]:
    found = setting(family, budget)
    return measure_once("digits_bits", name_of(family, budget), found, lambda: measured(family, budget))


def measured(family: str, budget: float) -> dict[str, Any]:
    data = builtin.simulate("digits", labels=False)
    emulator, steps, seconds = fit_for(budget, data, family.partition(",")[0], settings=FAMILIES[family])
    parts = splits()
    bits = {}
    for name, part in parts.items():
        x = part.tensor()[:400]
        log_prob = emulator.log_prob(x) if "density" in emulator.abilities else emulator.log_prob_bound(x, 256, seed=0)
        bits[name] = -log_prob.double().numpy() / (CELLS * math.log(2))
    test = bits["test"]
    return {
        "steps": steps,
        "seconds": seconds,
        "parameters": count(emulator.model),
        "train": float(bits["training"].mean()),
        "validation": float(bits["validation"].mean()),
        "test": float(test.mean()),
        "error": float(test.std(ddof=1) / np.sqrt(len(test))),
    }


torch.set_num_threads(1)
if __name__ == "__main__":
    for wanted in sys.argv[1:]:
        for budget in BUDGETS:
            cell(wanted, budget)
