"""Which translator keeps the truth? Five families between matter and gas without pairs, each with equal training.

Maps of `field-pairs`, 64 x 64 cells, judged by true pairs that no training saw: r(k) with the truth, P(k), and the
round trip, both ways. Training is equal in processor time of one core, so that the machine may do other things beside.
Measured cells are kept in ``runs/benchmarks/translators/``:

    python -m benchmarks translators
    python -m benchmarks.translators cut between      # these families, and the table of what is measured so far
"""

from __future__ import annotations

import sys
import tempfile
import time
from functools import partial
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
import torch

import pushforward as pf
from benchmarks.stored_results import measure_in_turn, measure_once, stored
from benchmarks.timing import report
from pushforward.ensembles.preprocessing import Preprocessing
from pushforward.models.whitened import Whitening
from pushforward.spaces import Field
from pushforward.statistics import power_spectrum
from pushforward.validation.true_pairs import Sides, translation_figures

MINUTES, SEED, PAIRS = 1.0, 0, 36
SETTING = {"minutes": MINUTES, "seed": SEED, "pairs": PAIRS, "grid": 64}
# Families with the ways of translating that one trained run is asked for: sampling settings by name.
FAMILIES: dict[str, dict[str, dict[str, Any]]] = {
    "cyclegan": {"": {}},
    "cut": {"": {}},
    "between": {"": {}},
    "schrodinger-bridge": {"": {}, "random": {"random": True}},
    "diffusion-bridge": {"": {}, "to pure noise": {"turn_around": 1.0}, "random": {"random": True}},
}
ARROWS = {"b": "matter to gas", "a": "gas to matter"}


def main(seconds: float = float("inf")) -> None:
    """Measure what is not measured yet, beginning nothing after so many seconds."""
    if measure_in_turn(FAMILIES, cell, seconds):
        tabulate()


def tabulate() -> None:
    """The table of what is measured so far."""
    cells = {name: result for name in FAMILIES if (result := stored("translators", name, setting_of(name)))}
    truth = true_pairs()
    reference = translation_figures(_Untranslated(), truth)  # type: ignore[arg-type]
    gaussian = translation_figures(_GaussianTransport(), truth)  # type: ignore[arg-type]
    rows = []
    for to, arrow in ARROWS.items():
        rows += [_floor(truth, to, arrow), {"direction": arrow, "family": "untranslated", **_shown(reference, to)}]
        rows.append({"direction": arrow, "family": "Gaussian transport", **_shown(gaussian, to)})
        for name, measured in cells.items():
            for way, figures in measured["ways"].items():
                family = f"{name}, {way}" if way else name
                rows.append({"direction": arrow, "family": family, **figures[to], "steps": measured["steps"]})
    notes = [
        f"One run each (seed {SEED}) of default settings, {MINUTES:g} min of processor time of one core; judged on "
        f"{PAIRS} true pairs of other simulations.",
        "r(k) with the truth, P(k) relative to real maps, and r(k) of the round trip: mean over k up to half the "
        "Nyquist frequency, in brackets the worst k. Targets: r(k) at least 0.9 and P(k) within 5 % at every such k, "
        "round trip at least 0.98.",
        "Gaussian transport is the start of every family: a rank map of the values to normal scores, and the filter "
        "sqrt(P_b / P_a) between these, without training.",
        "The floor of P(k) is that of real maps against as many others; that of r(k) is 1, less the scatter of gas "
        "that is independent of matter.",
    ]
    if "diffusion-bridge" in cells:
        notes.append(
            f"The diffusion bridge turns at t* = {cells['diffusion-bridge']['turn_around']:.2f} of the straight line "
            "(0: data, 1: noise), where the noised spectra agree within a factor of two."
        )
    if absent := [name for name in FAMILIES if name not in cells]:
        notes.append(f"Not measured yet: {', '.join(absent)}.")
    report("translators", "Translation of matter to gas and back, without pairs", rows, notes=notes)


def setting_of(name: str) -> dict[str, Any]:
    return {**SETTING, "ways": FAMILIES[name]}


def cell(name: str) -> dict[str, Any]:
    """Figures of one family by way and direction, computed or read."""
    return measure_once("translators", name, setting_of(name), partial(_measured, name))


def true_pairs() -> Sides:
    x = pf.read("field-pairs", members=PAIRS).tensor()
    return Sides(x[:, :1], x[:, 1:])


def _measured(name: str) -> dict[str, Any]:
    torch.set_num_threads(1)
    pair = pf.EnsemblePair(pf.read("field-pairs-a"), pf.read("field-pairs-b"))
    # The loop counts a budget by this clock.
    with tempfile.TemporaryDirectory() as folder, patch("time.monotonic", time.process_time):
        options: dict[str, Any] = {"budget": f"{MINUTES:g}m", "seed": SEED, "device": "cpu", "progress": False}
        emulator = pf.fit(pair, name, out=Path(folder, "run"), **options)
        steps = int(emulator.losses.index[-1])
        ways = {way: _judged(emulator, options) for way, options in FAMILIES[name].items()}
    turn = getattr(emulator.model, "turn_around", lambda: None)()
    return {"steps": steps, "ways": ways, "turn_around": turn}


def _judged(emulator: pf.Emulator, options: dict[str, Any]) -> dict[str, dict[str, str]]:
    figures = translation_figures(_Chosen(emulator, options), true_pairs())  # type: ignore[arg-type]
    return {to: _shown(figures, to) for to in ARROWS}


class _Chosen:
    """A translator with sampling settings."""

    def __init__(self, emulator: pf.Emulator, options: dict[str, Any]) -> None:
        self.emulator, self.options = emulator, options
        self.space, self.model = emulator.space, emulator.model

    def translate(self, x: torch.Tensor, to: str) -> torch.Tensor:
        return self.emulator.translate(x, to, **self.options)


class _Untranslated:
    space, model = Field(1, (64, 64), periodic=True, box=100.0), None

    def translate(self, x: torch.Tensor, to: str) -> torch.Tensor:
        return x


class _GaussianTransport:
    """The closed-form transport of fields whose values are mapped to normal scores: no network, no training.

    It is exact if these scores are Gaussian fields: each mode is scaled by the root of the ratio of the spectra.
    """

    space, model = _Untranslated.space, None

    def __init__(self) -> None:
        self.scores, self.whitening = dict[str, Preprocessing](), dict[str, Whitening]()
        for side in "ab":
            members = pf.read(f"field-pairs-{side}").train
            self.scores[side] = Preprocessing.fit(members, "gaussianise")
            self.whitening[side] = Whitening(self.space)
            self.whitening[side].update(self.scores[side](members.tensor()))

    def translate(self, x: torch.Tensor, to: str) -> torch.Tensor:
        origin = "a" if to == "b" else "b"
        white = self.whitening[origin](self.scores[origin](x))
        return self.scores[to].inverse(self.whitening[to].inverse(white))


def _shown(figures: list[Any], to: str) -> dict[str, str]:
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
    for family in sys.argv[1:]:
        cell(family)
    tabulate()
