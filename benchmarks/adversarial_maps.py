"""Generators of one network call beside flow matching, on maps with conditions, at equal training time.

`digits` (8 x 8, with their labels) and maps of the `cosmic-web` (64 x 64, with Omega_m and sigma_8). Every family has
the same processor time of one core and its defaults, and makes one sample at the condition of each unseen member. These
are judged by `judge`; digits also class by class: precision, recall and coverage of the samples of one label among the
members of that label, by the distance of pixels, the mean over labels, beside the same of training members.

    python -m benchmarks adversarial_maps
    python -m benchmarks.adversarial_maps cosmic-web 60 wgan-gp r3gan  # these rows alone, without a table
    python -m benchmarks.adversarial_maps table                        # a table of what has been measured
"""

from __future__ import annotations

import json
import sys
import time
from typing import Any

import numpy as np
import torch

import pushforward as pf
from benchmarks.stored_results import measure_once, stored
from benchmarks.timed_fits import fit_for
from benchmarks.timing import ROOT, report
from pushforward.ensembles import builtin
from pushforward.statistics import precision_recall_density_coverage
from pushforward.validation import judge

FAMILIES = ("wgan-gp", "r3gan", "drifting", "flow-matching")
BUDGETS = (
    ("digits", 20, FAMILIES),
    ("cosmic-web", 60, FAMILIES),
    ("cosmic-web", 900, ("wgan-gp", "r3gan", "flow-matching")),
)
"""Sets, processor seconds of training, families."""
JUDGED = ("power_spectrum", "one_point_pdf", "precision", "recall", "coverage", "classifier")
CLASSES = "Within the labels of digits"
IN_CLASS, NEIGHBOURS = ("precision", "recall", "coverage"), 3


def main() -> None:
    for row in plan():
        cell(*row)
    tabulate()


def tabulate() -> None:
    """The tables of what is measured so far; rows that are not measured anew are kept from the last one."""
    found = {row: stored("adversarial_maps", " ".join(map(str, row)), setting(row[1])) for row in plan()}
    shown = {row: row_of(*row, figures) for row, figures in found.items() if figures is not None}
    classes = {
        row[2]: class_row_of(row[2], figures) for row, figures in found.items() if figures and row[0] == "digits"
    }
    last = json.loads((ROOT / "benchmarks" / "results" / "adversarial_maps.json").read_text())[-1]
    earlier = {(row["set"], row["processor seconds"], row["family"]): row for row in last["rows"]}
    earlier_classes = {row["family"]: row for row in last["further"][CLASSES]}
    report(
        "adversarial_maps",
        "Adversarial models of maps beside flow matching",
        [row for row in (shown.get(each) or earlier.get(each) for each in plan()) if row is not None],
        further={CLASSES: [classes.get(family) or earlier_classes[family] for family in FAMILIES]},
        notes=[
            "One run each (seed 0), default settings, the same processor time of training on one core. In brackets, "
            "the same statistic of real data against other real data.",
            "Rows that are not measured anew are kept: those of `wgan-gp`, `drifting` and digits, which nothing has "
            "changed since. Samples of `flow-matching` on the cosmic web are matched to P(k) and values of members, "
            "before changes that are not significant were left out.",
            "Samples per second: of processor time, one core, all unseen members at once.",
        ],
    )


def plan() -> list[tuple[str, int, str]]:
    """Set, processor seconds and family of every row."""
    return [(name, budget, family) for name, budget, families in BUDGETS for family in families]


def row_of(name: str, budget: int, family: str, found: dict[str, Any]) -> dict[str, Any]:
    shown = {label: f"{value:.3g} ({floor:.3g})" for label, value, floor in found["judged"]}
    each = {"set": name, "family": family, "processor seconds": budget, "steps": found["steps"]}
    return {**each, **shown, "samples per second": f"{found['rate']:.3g}"}


def class_row_of(family: str, found: dict[str, Any]) -> dict[str, str]:
    both = zip(IN_CLASS, found["in class"], found["in class, floor"], strict=True)
    return {"family": family, **{word: f"{value:.2f} ({floor:.2f})" for word, value, floor in both}}


def setting(budget: int) -> dict[str, Any]:
    return {"budget": budget}


def cell(name: str, budget: int, family: str) -> dict[str, Any]:
    row = f"{name} {budget} {family}"
    return measure_once("adversarial_maps", row, setting(budget), lambda: measured(name, budget, family))


def measured(name: str, budget: int, family: str) -> dict[str, Any]:
    torch.set_num_threads(1)
    data = builtin.simulate(name)
    emulator, steps, _ = fit_for(budget, data, family)
    begun = time.process_time()
    samples = emulator.sample_at(data.test.conditions, seed=0)
    rate = len(samples) / (time.process_time() - begun)
    verdicts = {each.statistic: each for each in judge(samples, data.test, train=data.train, progress=False).verdicts}
    judged = [verdicts[each] for each in JUDGED if each in verdicts]
    found: dict[str, Any] = {
        "steps": steps,
        "rate": rate,
        "judged": [(v.label + (f", {v.unit}" if v.unit else ""), v.value, v.floor) for v in judged],
        "in class": [],
    }
    if name == "digits":
        found["in class"] = in_class(samples, data.test.conditions[:, 0], data.test)
        found["in class, floor"] = in_class(data.train.tensor(), data.train.conditions[:, 0], data.test)
    return found


def in_class(x: torch.Tensor, labels: np.ndarray, real: pf.Ensemble) -> list[float]:
    """Precision, recall and coverage within each label, as many samples as members, the mean over labels."""
    members, told = real.tensor(), real.conditions[:, 0]
    figures = []
    for label in np.unique(told):
        ours = members[told == label]
        found = precision_recall_density_coverage(x[labels == label][: len(ours)], ours, k=NEIGHBOURS)
        figures.append([float(getattr(found, word)) for word in IN_CLASS])
    return [float(value) for value in np.mean(figures, axis=0)]


if __name__ == "__main__":
    if sys.argv[1:] == ["table"]:
        tabulate()
    else:
        for wanted in sys.argv[3:] or FAMILIES:
            cell(sys.argv[1], int(sys.argv[2]), wanted)
