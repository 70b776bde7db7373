r"""Judgement of a model trained on an energy, without members, by the weights of its own samples.

With weights :math:`w = \exp(-U) / q`, the effective fraction of the samples measures the distance of the model from the
Boltzmann distribution where it has samples, and weighted means are compared with known properties of the energy: ln Z,
the mean energy and the virial :math:`\langle x \cdot \nabla U \rangle`, which is the number of degrees of freedom. A
region that no sample has reached does not affect these numbers.
"""

from __future__ import annotations

import math
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from scipy import stats

from pushforward.energies import Energy, Reweighted
from pushforward.errors import UsageError
from pushforward.validation.energies import weight_verdicts
from pushforward.validation.page import render, save_page
from pushforward.validation.printing import Printed, TextTable
from pushforward.validation.style import GENERATED, Picture, encode, styled
from pushforward.validation.verdict import STYLES, UNJUDGED, Verdict, ruled
from pushforward.validation.wording import plain

if TYPE_CHECKING:
    from pushforward.emulator import Emulator

__all__ = ["EnergyReport", "learnt_energy", "validate_energy"]

SAMPLES = 4096
"""Default number of weighted samples."""
CLOSE = 0.02
"""Negligible relative error of a known mean."""


@dataclass(frozen=True, repr=False)
class EnergyReport(Printed):
    """A model of an energy, judged by its own samples.

    Attributes:
        model, energy: names.
        verdicts: one line per statistic.
        samples: that were weighted. milliseconds: to draw one, with its density.
        log_weights: of the samples, in nats.
        config: of the run.
    """

    model: str
    energy: str
    verdicts: tuple[Verdict, ...]
    samples: int
    milliseconds: float
    log_weights: np.ndarray
    config: Mapping[str, Any] = field(default_factory=dict)

    def verdict(self, statistic: str) -> Verdict:
        """The line of one statistic.

        Raises:
            KeyError: if there is none of that name.
        """
        return {each.statistic: each for each in self.verdicts}[statistic]

    @property
    def groups(self) -> list[tuple[str, list[Verdict]]]:
        return [("By the weights of its own samples", list(self.verdicts))]

    @property
    def notes(self) -> tuple[str, ...]:
        return (
            "There are no members and no test split: the model was trained on the energy only.",
            "A region that no sample has reached appears in none of these numbers.",
        )

    def table(self) -> TextTable:
        """The verdicts as a table for a terminal."""
        table = TextTable(title=f"{self.model} on the energy {self.energy}", title_justify="left", box=None)
        table.caption, table.caption_justify = "\n".join(self.notes), "left"
        for number_, name in enumerate(("statistic", "value", "known", "p", "")):
            table.add_column(name, justify="right" if 0 < number_ < 4 else "left")
        for v in self.verdicts:
            table.add_row(v.label, v.value_text, v.floor_text, v.p_text, f"[{STYLES[v.verdict]}]{v.verdict}[/]")
        return table

    def to_dict(self) -> dict[str, Any]:
        """Plain values under stable keys; a number that is not finite is None."""
        values = {
            "model": self.model,
            "data": self.energy,
            "samples": self.samples,
            "timing": {"milliseconds_per_sample": self.milliseconds},
            "notes": self.notes,
            "config": dict(self.config),
        }
        return {**plain(values), "verdicts": [each.to_dict() for each in self.verdicts]}  # type: ignore[dict-item]

    def html(self) -> str:
        """The report as one page."""
        return render("energy.html.j2", report=self, pictures=[self.picture()])

    def save(self, path: str | Path) -> None:
        """Write ``.html`` or ``.json``.

        Raises:
            UsageError: for another ending, or a folder that cannot be written to.
        """
        save_page(path, self, "report")

    def picture(self) -> Picture:
        """Histogram of the log-weights about their mean."""
        from matplotlib.figure import Figure

        finite = self.log_weights[np.isfinite(self.log_weights)]
        with styled():
            figure = Figure(figsize=(6, 3))
            axes = figure.add_subplot()
            axes.hist(finite - finite.mean(), bins=60, color=GENERATED)
            axes.set(xlabel="ln w less its mean (nats)", ylabel="samples")
            source = encode(figure)
        return Picture(
            "Statistical weights",
            source,
            "All alike if the model is the Boltzmann distribution; a tail to the right is what it has too little of.",
            "Histogram of the logarithms of the weights",
        )


def learnt_energy(emulator: Emulator) -> Energy | None:
    """Energy of a model trained on an energy only; None for one that was trained on members.

    Raises:
        UsageError: if it is a user's own energy, which a run directory cannot store.
    """
    if (emulator.config.get("data") or {}).get("kind") != "energy":
        return None
    if emulator.energy is None:
        raise UsageError(
            "this run was trained on an energy that is not built in; judge the emulator returned by fit, or give data"
        )
    return emulator.energy


def validate_energy(emulator: Emulator, energy: Energy, *, samples: int | None = None, seed: int = 0) -> EnergyReport:
    """Weight samples by the energy of the training, and compare weighted means with their known values.

    Arguments:
        emulator: a model of samples with their densities.
        samples: number of samples; None for 4096.
    """
    count, begun = samples or SAMPLES, time.perf_counter()
    with torch.no_grad():
        weighted = emulator.reweight(count, energy=energy, seed=seed)
    milliseconds = 1000 * (time.perf_counter() - begun) / count
    return EnergyReport(
        model=emulator.name,
        energy=energy.name,
        verdicts=(*weight_verdicts(weighted, energy), *_means(weighted, energy)),
        samples=count,
        milliseconds=milliseconds,
        log_weights=weighted.log_weights.numpy(),
        config=emulator.config,
    )


def _means(weighted: Reweighted, energy: Energy) -> list[Verdict]:
    """Verdicts on weighted means with known values."""
    x, facts = weighted.samples.double(), energy.facts
    found = []
    if facts.mean_energy is not None:
        known = (facts.mean_energy, facts.mean_energy_error)
        found.append(_mean("mean_energy", "Mean energy", "⟨U⟩ by the weights", "kT", weighted, energy(x), known))
    if facts.virial is not None:
        values = (x * energy.gradient(x)).flatten(1).sum(1)
        found.append(_mean("virial", "Virial", "⟨x · ∇U⟩ by the weights", "kT", weighted, values, (facts.virial, 0.0)))
    return found


def _mean(
    statistic: str,
    label: str,
    quantity: str,
    unit: str,
    weighted: Reweighted,
    values: torch.Tensor,
    known: tuple[float, float],
) -> Verdict:
    value, own = weighted.expectation(values)
    middle, error = known[0], math.hypot(own, known[1])
    bare = Verdict(
        statistic, label, quantity, unit, value, own, middle, middle - 1.96 * error, middle + 1.96 * error, UNJUDGED,
        kind="score", group="density", floor_error=known[1],
    )  # fmt: skip
    p = 2 * float(stats.norm.sf(abs(value - middle) / error)) if error > 0 else math.nan
    return ruled(bare, CLOSE * abs(middle), p_value=p, smallest_noticeable=3.6 * error)
