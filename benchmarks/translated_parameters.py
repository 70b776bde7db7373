"""Parameters of simulations that translations preserve: posteriors from translated and from true maps.

Maps of `field-pairs` with a cosmology of their own in each simulation, which no translator is given. Posteriors of
Omega_m and sigma_8, learnt from true maps of the target, are applied to translations and to true maps of simulations
that were not used in learning them.

    python -m benchmarks translated_parameters
"""

from __future__ import annotations

import time
from functools import partial
from typing import Any
from unittest.mock import patch

import numpy as np
import torch
from torch import Tensor

import pushforward as pf
from benchmarks.closed_translations import GaussianTransport, SmoothedFirst, Untranslated
from benchmarks.stored_results import WORK, measure_in_turn, measure_once, stored
from benchmarks.supervised_translation import SPACE
from benchmarks.timing import report
from pushforward.ensembles import Ensemble
from pushforward.validation.recovered_parameters import parameters_of_pairs, recovered
from pushforward.validation.true_pairs import Sides, translated

MINUTES, PAIRS, JUDGED, MAPS = 1.0, 1200, 240, 1200
CLOSED = ("untranslated", "Gaussian transport", "smoothed first")
FAMILIES = ("cyclegan",)
ARROWS = {"a to b": "matter to gas", "b to a": "gas to matter"}


def main(seconds: float = float("inf")) -> None:
    """Measure what is not measured yet, beginning nothing after so many seconds."""
    if measure_in_turn((*CLOSED, *FAMILIES), cell, seconds):
        tabulate()


def cell(name: str) -> dict[str, Any]:
    """Rows of one translator, computed or read."""
    return measure_once("translated_parameters", name, _setting(name), partial(_measured, name))


def tabulate() -> None:
    """The table of what is measured so far."""
    measured = {
        name: found for name in (*CLOSED, *FAMILIES) if (found := stored("translated_parameters", name, _setting(name)))
    }
    rows = []
    for arrow, direction in ARROWS.items():
        for parameter in ("Omega_m", "sigma_8"):
            key = f"{parameter}, {arrow}"
            first = next(iter(measured.values()))["rows"][key]
            head = {"direction": direction, "parameter": parameter}
            floor = {
                "error": first["error true"],
                "shift": "",
                "apart": "",
                "width": "",
                "inside 68 %": first["inside true"],
            }
            rows.append({**head, "translator": "floor (true maps)", **floor})
            for name, found in measured.items():
                own = {each: value for each, value in found["rows"][key].items() if not each.endswith(" true")}
                rows.append({**head, "translator": name, **own})
    absent = [name for name in (*CLOSED, *FAMILIES) if name not in measured]
    notes = [
        f"Trained families: one run (seed 0) of {MINUTES:g} min of processor time of one core. Translators learn from "
        f"{MAPS} maps of each ensemble, posteriors from {PAIRS} true maps of the target; {JUDGED} pairs are judged, "
        "each by posteriors that were learnt without its simulation.",
        "Error: rms of the posterior mean, relative to the scatter of the parameter. Shift and apart: mean and rms "
        "difference of the posterior means of translation and true partner, in widths of the latter. Width: relative "
        "to that of true partners. Inside: share of parameters within central 68 % intervals.",
        *([f"Not measured yet: {', '.join(absent)}."] if absent else []),
    ]
    report("translated_parameters", "Parameters recovered from translated maps", rows, notes=notes)


def _setting(name: str) -> dict[str, Any]:
    own = {"minutes": MINUTES} if name in FAMILIES else {}
    return {"pairs": PAIRS, "judged": JUDGED, "maps": MAPS, "seed": 0, **own}


def _measured(name: str) -> dict[str, Any]:
    torch.set_num_threads(1)
    pairs = pf.read("field-pairs", members=PAIRS, varied=True)
    x = pairs.tensor().as_subclass(Tensor)
    known = parameters_of_pairs(pairs)
    assert not isinstance(known, str)
    # The first members are of few simulations: those that are judged are taken from all of them.
    judged = np.arange(0, PAIRS, PAIRS // JUDGED)
    order = np.concatenate([judged, np.setdiff1d(np.arange(PAIRS), judged)])
    ordered = Ensemble.from_array(x[order].numpy(), space=pairs.space, groups=pairs.groups[order])
    x, values = x[order], known[1][order]
    found = {}
    for each in translated(_translator(name), Sides(x[:JUDGED, :1], x[:JUDGED, 1:])):
        side = x[:, 1:] if each.to == "b" else x[:, :1]
        for row in recovered(SPACE, each, side, known[0], values, ordered):
            found[f"{row.parameter}, {row.direction}"] = {
                "error": round(row.error, 3),
                "error true": round(row.error_true, 3),
                "shift": round(row.shift, 2),
                "apart": round(row.apart, 2),
                "width": round(row.width, 2),
                "inside 68 %": round(100 * row.coverage),
                "inside true": round(100 * row.coverage_true),
            }
    return {"rows": found}


def _translator(name: str) -> Any:
    a, b = (pf.read(f"field-pairs-{side}", condition=False, members=MAPS, varied=True) for side in "ab")
    if name in FAMILIES:
        run = WORK / "translated_parameters" / "trainings" / name
        # The loop counts a budget by this clock.
        with patch("time.monotonic", time.process_time):
            options: dict[str, Any] = {"budget": f"{MINUTES:g}m", "seed": 0, "device": "cpu", "progress": False}
            return pf.fit(pf.EnsemblePair(a, b), name, out=run, resume=True, **options)
    if name == "untranslated":
        return Untranslated()
    kind = GaussianTransport if name == "Gaussian transport" else SmoothedFirst
    return kind(a.train.tensor().as_subclass(Tensor), b.train.tensor().as_subclass(Tensor))


if __name__ == "__main__":
    main()
