"""Which translator keeps the truth? Five families between matter and gas without pairs, each with equal training.

Maps of `field-pairs`, 64 x 64 cells, judged by true pairs that no training saw: r(k) with the truth, P(k), and the
round trip, both ways, beside what is possible with pairs (`supervised_translation`). Training is equal in processor
time of one core, so that the machine may do other things beside. Measured cells are kept in
``runs/benchmarks/translators/``; an interrupted training is resumed:

    python -m benchmarks translators
    python -m benchmarks.translators cut "cyclegan, 5 min"      # these, and the table of what is measured so far
"""

from __future__ import annotations

import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any
from unittest.mock import patch

import numpy as np
import torch

import pushforward as pf
from benchmarks.closed_translations import GaussianTransport, SmoothedFirst, Untranslated
from benchmarks.stored_results import WORK, measure_in_turn, measure_once, stored
from benchmarks.supervised_translation import PAIRS as SUPERVISED_PAIRS
from benchmarks.supervised_translation import (
    conditional_mean_of_gas,
    correlation_within,
    supervised,
    supervised_setting,
)
from benchmarks.timing import report
from pushforward.statistics import power_spectrum
from pushforward.validation.true_pairs import Sides, translation_figures

SEED, PAIRS = 0, 36
SETTING = {"seed": SEED, "pairs": PAIRS, "grid": 64}
BOUND_MINUTES, BOUND_PAIRS = 1.5, 120
ARROWS = {"b": "matter to gas", "a": "gas to matter"}


@dataclass(frozen=True)
class Training:
    """One training and the ways of translating that it is asked for.

    Attributes:
        family: of the model.
        minutes: of processor time.
        settings: other than defaults.
        ways: sampling settings by name.
    """

    family: str
    minutes: float = 1.0
    settings: Mapping[str, Any] = field(default_factory=dict)
    ways: Mapping[str, dict[str, Any]] = field(default_factory=lambda: {"": {}})


PLAIN = {"equal_smoothness": False}
TRAININGS = {
    "cyclegan, 5 min": Training("cyclegan", 5),
    "schrodinger-bridge, 5 min": Training("schrodinger-bridge", 5),
    "cyclegan, 20 s": Training("cyclegan", 1 / 3),
    "cyclegan": Training("cyclegan"),
    "schrodinger-bridge, 20 s": Training("schrodinger-bridge", 1 / 3),
    "schrodinger-bridge": Training("schrodinger-bridge"),
    "cut": Training("cut"),
    "between": Training("between"),
    "cyclegan, Gaussian start": Training("cyclegan", settings=PLAIN),
    "cut, Gaussian start": Training("cut", settings={**PLAIN, "contrast": 1.0, "identity": 1.0}),
    "between, Gaussian start": Training("between", settings=PLAIN),
    "schrodinger-bridge, Gaussian start": Training(
        "schrodinger-bridge", settings=PLAIN, ways={"": {}, "random": {"random": True}}
    ),
    "diffusion-bridge, Gaussian start": Training(
        "diffusion-bridge",
        settings=PLAIN,
        ways={"": {}, "to pure noise": {"turn_around": 1.0}, "random": {"random": True}},
    ),
}


def main(seconds: float = float("inf")) -> None:
    """Measure what is not measured yet, beginning nothing after so many seconds."""
    if measure_in_turn([*ARROWS, *TRAININGS], part, seconds):
        tabulate()


def part(name: str) -> dict[str, Any]:
    """A bound, by its direction, or a training."""
    return supervised(name, BOUND_MINUTES, true_pairs(BOUND_PAIRS)) if name in ARROWS else cell(name)


def tabulate() -> None:
    """The table of what is measured so far."""
    cells = {name: result for name in TRAININGS if (result := stored("translators", name, setting_of(name)))}
    truth = sides()
    members = [pf.read(f"field-pairs-{side}").train.tensor().as_subclass(torch.Tensor) for side in "ab"]
    closed_forms = {
        "untranslated": translation_figures(Untranslated(), truth),  # type: ignore[arg-type]
        "Gaussian transport": translation_figures(GaussianTransport(*members), truth),  # type: ignore[arg-type]
        "smoothed first": translation_figures(SmoothedFirst(*members), truth),  # type: ignore[arg-type]
    }
    rows = []
    for to, arrow in ARROWS.items():
        rows += [_floor(truth, to, arrow), *_bounds(truth, to, arrow)]
        for name, figures in closed_forms.items():
            rows.append({"direction": arrow, "family": name, **shown(figures, to)})
        for name, measured in cells.items():
            for way, figures in measured["ways"].items():
                family = f"{name}, {way}" if way else name
                rows.append({"direction": arrow, "family": family, **figures[to], "steps": measured["steps"]})
    notes = [
        f"One run each (seed {SEED}) of default settings, 1 min of processor time of one core unless the name says "
        f"otherwise; judged on {PAIRS} true pairs of other simulations.",
        "r(k) with the truth, P(k) relative to real maps, and r(k) of the round trip: mean over k up to half the "
        "Nyquist frequency, in brackets the worst k. Targets: r(k) at least 0.9 and P(k) within 5 % at every such k, "
        "round trip at least 0.98.",
        "Gaussian transport: a rank map of the values to normal scores, and the filter sqrt(P_b / P_a) between these, "
        "without training. Smoothed first: the same after the rougher ensemble was smoothed by min(1, sqrt(P_b / P_a)) "
        "of the values as they are; one ensemble is then a local function of the other, smoothed. All families start "
        "so, those named Gaussian start without the smoothing (`equal_smoothness=false`; `cut` with weights of 1).",
        "The bound of r(k) is that of the conditional mean, which no deterministic translation exceeds: of gas, its "
        "rendering without scatter, exactly; in both directions, approached from below by a network trained on "
        f"{SUPERVISED_PAIRS} true pairs for {BOUND_MINUTES:g} min (judged on {BOUND_PAIRS}). A linear filter leaves "
        "r(k) as it is, so the best linear translation of maps has the r(k) of untranslated ones.",
        "The floor of P(k) is that of real maps against as many others.",
    ]
    if "diffusion-bridge" in cells:
        notes.append(
            f"The diffusion bridge turns at t* = {cells['diffusion-bridge']['turn_around']:.2f} of the straight line "
            "(0: data, 1: noise), where the noised spectra agree within a factor of two."
        )
    if absent := [name for name in TRAININGS if name not in cells]:
        notes.append(f"Not measured yet: {', '.join(absent)}.")
    report("translators", "Translation of matter to gas and back, without pairs", rows, notes=notes)


def setting_of(name: str) -> dict[str, Any]:
    one = TRAININGS[name]
    own = {"settings": dict(one.settings)} if one.settings else {}
    return {**SETTING, "minutes": one.minutes, "ways": dict(one.ways), **own}


def cell(name: str) -> dict[str, Any]:
    """Figures of one training by way and direction, computed or read."""
    return measure_once("translators", name, setting_of(name), partial(_measured, name))


def true_pairs(count: int) -> torch.Tensor:
    """Matter and gas of simulations that no training saw, shape ``(count, 2, 64, 64)``."""
    return pf.read("field-pairs", members=count).tensor().as_subclass(torch.Tensor)


def sides() -> Sides:
    x = true_pairs(PAIRS)
    return Sides(x[:, :1], x[:, 1:])


def _measured(name: str) -> dict[str, Any]:
    torch.set_num_threads(1)
    training = TRAININGS[name]
    pair = pf.EnsemblePair(pf.read("field-pairs-a"), pf.read("field-pairs-b"))
    # A long training may be stopped, and resumed by the next call.
    run = WORK / "translators" / "trainings" / name.replace(", ", "-").replace(" ", "-")
    # The loop counts a budget by this clock.
    with patch("time.monotonic", time.process_time):
        options: dict[str, Any] = {"budget": f"{training.minutes:g}m", "seed": SEED, "device": "cpu", "progress": False}
        emulator = pf.fit(pair, training.family, out=run, resume=True, settings=dict(training.settings), **options)
        ways = {way: _judged(emulator, sampling) for way, sampling in training.ways.items()}
    turn = getattr(emulator.model, "turn_around", lambda: None)()
    return {"steps": int(emulator.losses.index[-1]), "ways": ways, "turn_around": turn}


def _judged(emulator: pf.Emulator, options: dict[str, Any]) -> dict[str, dict[str, str]]:
    figures = translation_figures(_Chosen(emulator, options), sides())  # type: ignore[arg-type]
    return {to: shown(figures, to) for to in ARROWS}


def _bounds(truth: Sides, to: str, arrow: str) -> list[dict[str, Any]]:
    """r(k) of conditional means: exact where it is known, and of a network trained on true pairs."""
    rows = []
    if to == "b":
        r = correlation_within(conditional_mean_of_gas(truth.a), truth.b)
        rows.append({"family": "bound: gas without scatter", "r(k) with the truth": f"{r.mean():.3f} ({r.min():.3f})"})
    setting = supervised_setting(BOUND_MINUTES, BOUND_PAIRS)
    if found := stored("translators", f"supervised to {to}", setting):
        text = f"{found['mean']:.3f} ({found['worst']:.3f})"
        rows.append({"family": "bound: trained on pairs", "r(k) with the truth": text, "steps": found["steps"]})
    return [{"direction": arrow, **row} for row in rows]


class _Chosen:
    """A translator with sampling settings."""

    def __init__(self, emulator: pf.Emulator, options: dict[str, Any]) -> None:
        self.emulator, self.options = emulator, options
        self.space, self.model = emulator.space, emulator.model

    def translate(self, x: torch.Tensor, to: str) -> torch.Tensor:
        return self.emulator.translate(x, to, **self.options)


def shown(figures: list[Any], to: str) -> dict[str, str]:
    """Mean and worst wavenumber of each figure of one direction."""
    arrow = "a to b" if to == "b" else "b to a"
    found = {each.statistic: each for each in figures if arrow in each.label}
    r, power, trip = (found[key] for key in ("correlation_with_truth", "power_spectrum", "round_trip"))
    within = r.k <= r.k[-1] / 2
    worst = 100 * np.abs(power.curve - 1)[within].max()
    return {
        "r(k) with the truth": f"{r.value:.3f} ({r.curve[within].min():.3f})",
        "P(k) off by (%)": f"{power.value:.1f} ({worst:.1f})",
        "round trip r(k)": f"{trip.value:.3f} ({trip.curve[within].min():.3f})",
    }


def _floor(truth: Sides, to: str, arrow: str) -> dict[str, Any]:
    """P(k) of halves of the real maps against each other, scaled to as many maps as are judged."""
    spectrum = power_spectrum(truth.b if to == "b" else truth.a, 100.0)
    rows, k = spectrum.power.mean(1).numpy(), spectrum.k.numpy()
    rng, within, errors = np.random.default_rng(0), k <= k[-1] / 2, []
    for _ in range(20):
        order = rng.permutation(len(rows))
        one, two = rows[order[: len(rows) // 2]].mean(0), rows[order[len(rows) // 2 :]].mean(0)
        apart = 100 * np.abs(one / two - 1)[within] / np.sqrt(2)
        errors.append((apart.mean(), apart.max()))
    mean, worst = np.median(errors, axis=0)
    return {
        "direction": arrow,
        "family": "floor (real maps)",
        "r(k) with the truth": "1",
        "P(k) off by (%)": f"{mean:.1f} ({worst:.1f})",
        "round trip r(k)": "1",
        "steps": "",
    }


if __name__ == "__main__":
    for name in sys.argv[1:]:
        part(name)
    tabulate()
