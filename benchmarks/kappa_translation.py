"""Translation of real lensing maps from low to high source redshift and back, judged on sky that no training saw.

Convergence of the same sky at growing source redshift (see `benchmarks.kappa` for the maps and where they are looked
for). Ensemble a holds four maps of sources at redshifts 0.39 to 0.59, ensemble b four at 0.9 to 1.18, both of crops of
64 x 64 cells. Training is without pairs; for the judgement, maps are paired in order of redshift, each crop with the
crop of the same place. Fields are not periodic, so families start from the rank map of values alone.

    python -m benchmarks kappa_translation
"""

from __future__ import annotations

import time
from functools import partial
from typing import Any
from unittest.mock import patch

import torch
from torch import Tensor

import pushforward as pf
from benchmarks.closed_translations import Untranslated
from benchmarks.kappa import FOLDER
from benchmarks.stored_results import WORK, measure_in_turn, measure_once, stored
from benchmarks.timing import report
from benchmarks.translators import shown
from pushforward.ensembles import Ensemble, EnsemblePair
from pushforward.ensembles.preprocessing import Preprocessing
from pushforward.spaces import Space
from pushforward.statistics import one_point_distance
from pushforward.validation.true_pairs import Sides, Translated, translated, translated_figures

FAMILIES = ("cyclegan", "schrodinger-bridge")
SIDES = {"a": ("039", "045", "052", "059"), "b": ("090", "099", "108", "118")}
ARROWS = {"b": "low to high redshift", "a": "high to low redshift"}
MINUTES, CROP = 1.0, 64
SETTING = {"minutes": MINUTES, "crop": CROP, "sides": SIDES, "seed": 0}


def main(seconds: float = float("inf")) -> None:
    """Measure what is not measured yet, beginning nothing after so many seconds."""
    if not (FOLDER / "source_redshift.csv").exists():
        print(f"skipped: there are no maps in {FOLDER}; set KAPPA to the folder that holds them")
        return
    if measure_in_turn(FAMILIES, cell, seconds):
        tabulate()


def cell(family: str) -> dict[str, Any]:
    """Figures of one family by direction, computed or read."""
    return measure_once("kappa_translation", family, SETTING, partial(_measured, family))


def tabulate() -> None:
    """The table of what is measured so far."""
    space, truth = _pair().space, _held_out()
    plain = {"untranslated": _figures(space, Untranslated(), truth), "rank map": _figures(space, _RankMap(), truth)}
    measured = {family: found for family in FAMILIES if (found := stored("kappa_translation", family, SETTING))}
    rows = []
    for to, arrow in ARROWS.items():
        rows.append({"direction": arrow, "family": "floor (real maps)", **_floor(space, truth, to)})
        for name, figures in plain.items():
            rows.append({"direction": arrow, "family": name, **figures[to]})
        for name, found in measured.items():
            rows.append({"direction": arrow, "family": name, **found["figures"][to], "steps": found["steps"]})
    notes = [
        f"One run each (seed 0) of default settings, {MINUTES:g} min of processor time of one core, on the first 384 "
        "of 512 columns of four maps of each ensemble, in crops that are cut anew in every step.",
        f"Judged on {len(truth.a)} pairs of crops of held-out sky, the last 128 columns of all maps, which are "
        f"{len(truth.a) // 4} places seen at four redshifts.",
        "r(k) with the truth, P(k) relative to real maps, and r(k) of the round trip: mean over k up to half the "
        "Nyquist frequency, in brackets the worst k. PDF: largest difference of the cumulative distributions of cells.",
        "The truth of a low-redshift map is the map of the same sky at a redshift higher by about 0.5, much of whose "
        "signal comes from matter that low-redshift sources do not probe: r(k) has a bound well below 1.",
        "The floor is that of one half of the held-out sky against the other.",
        *(
            [f"Not measured yet: {', '.join(absent)}."]
            if (absent := [f for f in FAMILIES if f not in measured])
            else []
        ),
    ]
    report(
        "kappa_translation", "Translation of lensing maps between source redshifts, without pairs", rows, notes=notes
    )


def _measured(family: str) -> dict[str, Any]:
    torch.set_num_threads(1)
    run = WORK / "kappa_translation" / "trainings" / family
    # The loop counts a budget by this clock.
    with patch("time.monotonic", time.process_time):
        options: dict[str, Any] = {"budget": f"{MINUTES:g}m", "seed": 0, "device": "cpu", "progress": False}
        emulator = pf.fit(_pair(), family, out=run, resume=True, **options)
    figures = _figures(emulator.space, emulator, _held_out())
    return {"steps": int(emulator.losses.index[-1]), "figures": figures}


def _ensemble(side: str) -> Ensemble:
    files = [str(FOLDER / f"convergence_z{redshift}.fits") for redshift in SIDES[side]]
    return pf.read(files, condition=False, crop=CROP)


def _pair() -> EnsemblePair:
    return pf.EnsemblePair(_ensemble("a"), _ensemble("b"))


def _held_out() -> Sides:
    """Crops of the validation and the test region of all maps, in one order on both sides."""
    both = (_ensemble(side) for side in "ab")
    return Sides(*(torch.cat([each.validation.tensor(), each.test.tensor()]).as_subclass(Tensor) for each in both))


def _figures(space: Space, translator: Any, truth: Sides) -> dict[str, dict[str, str]]:
    found = {}
    for each in translated(translator, truth):
        figures = translated_figures(space, each)
        found[each.to] = {**shown(figures, each.to), "PDF off by (%)": _pdf(each.moved, each.target)}
    return found


def _pdf(x: Tensor, y: Tensor) -> str:
    return f"{100 * float(one_point_distance(x, y).kolmogorov_smirnov[0]):.1f}"


def _floor(space: Space, truth: Sides, to: str) -> dict[str, Any]:
    """The validation sky against the test sky."""
    x = truth.b if to == "b" else truth.a
    place = torch.arange(len(x)) // (len(x) // 2) % 2
    one, two = x[place == 0], x[place == 1]
    figures = translated_figures(space, Translated(to, one, one, two, one))
    return {
        "r(k) with the truth": "",
        "P(k) off by (%)": shown(figures, to)["P(k) off by (%)"],
        "round trip r(k)": "",
        "PDF off by (%)": _pdf(one, two),
        "steps": "",
    }


class _RankMap(Untranslated):
    """Values mapped to normal scores, and to the values of the other ensemble: the start of every family."""

    def __init__(self) -> None:
        self.scores = {side: Preprocessing.fit(_ensemble(side).train, "gaussianise") for side in "ab"}

    def translate(self, x: Tensor, to: str) -> Tensor:
        return self.scores[to].inverse(self.scores["a" if to == "b" else "b"](x))


if __name__ == "__main__":
    main()
