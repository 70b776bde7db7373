"""Report of a model of evolution: every statistic with the uncorrected run and the floor."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import torch

from pushforward.ensembles import Trajectories
from pushforward.errors import UsageError
from pushforward.spaces import Trajectory
from pushforward.validation.evolution import EVOLVED, FLOOR, UNCORRECTED, Comparison, judge_evolution
from pushforward.validation.gather import home_ensemble
from pushforward.validation.page import render, save_page
from pushforward.validation.printing import Printed, TextTable
from pushforward.validation.style import FLOOR as GREY
from pushforward.validation.style import GENERATED, Picture, encode, styled
from pushforward.validation.verdict import STYLES, verdict_beside
from pushforward.validation.wording import number, plain, with_error, with_unit

if TYPE_CHECKING:
    from pushforward.emulator import Emulator
    from pushforward.ensembles import Ensemble

__all__ = ["EvolutionReport", "Line", "validate_evolution"]

_MOST = 8
_STATISTICS = {
    "evolved_power": ("Power spectrum", "mean of |P / P_ref - 1| over k", "%", "power_error", 100.0),
    "evolved_correlation": ("Correlation", "mean of 1 - r(k) over k", "%", "decorrelation", 100.0),
    "evolved_positions": ("Positions", "rms distance, in mean distances of particles", "", "distance", 1.0),
}


@dataclass(frozen=True)
class Line:
    """One statistic at the last time.

    Attributes:
        statistic, label, quantity, unit: its key, name, what is measured and in what unit.
        value, error: mean over simulations and its standard error (NaN for a single one).
        uncorrected: value of the same physics without the learned part; NaN if that cannot be run.
        floor, floor_low, floor_high: values of the same physics at much higher resolution, without the learned part:
            mean, smallest and largest.
        verdict: at the floor, if the value is no larger than the largest of the floor; close, within three times its
            mean; else off.
    """

    statistic: str
    label: str
    quantity: str
    unit: str
    value: float
    error: float
    uncorrected: float
    floor: float
    floor_low: float
    floor_high: float
    verdict: str

    @property
    def texts(self) -> tuple[str, str, str, str]:
        """Value, uncorrected value, floor and verdict, for a table."""
        return (
            with_unit(with_error(self.value, self.error), self.unit),
            with_unit(number(self.uncorrected, 2), self.unit),
            with_unit(number(self.floor, 2), self.unit),
            self.verdict,
        )


@dataclass(frozen=True, repr=False)
class EvolutionReport(Printed):
    """Comparison of a model's trajectories with a reference.

    Attributes:
        model, data: names.
        comparisons: by the names of `judge_evolution`.
        seconds: that a simulation took.
        config: of the run.
        notes: one line each.
    """

    model: str
    data: str
    comparisons: Mapping[str, Comparison]
    seconds: float
    config: Mapping[str, Any] = field(default_factory=dict)
    notes: tuple[str, ...] = ()

    @cached_property
    def lines(self) -> tuple[Line, ...]:
        """The verdicts, one per statistic."""
        return tuple(self._line(key) for key in _STATISTICS)

    def verdict(self, statistic: str) -> Line:
        """The line of one statistic.

        Raises:
            KeyError: if there is none of that name.
        """
        return {line.statistic: line for line in self.lines}[statistic]

    @property
    def simulations(self) -> int:
        return len(self.comparisons[EVOLVED].distance)

    def table(self) -> TextTable:
        """The verdicts as a table for a terminal."""
        table = TextTable(title=f"{self.model} beside {self.data}", title_justify="left")
        for number_, name in enumerate(("statistic", "value", "uncorrected", "floor", "verdict")):
            table.add_column(name, justify="right" if 0 < number_ < 4 else "left")
        for line in self.lines:
            *cells, verdict = line.texts
            table.add_row(f"{line.label}: {line.quantity}", *cells, f"[{STYLES[verdict]}]{verdict}[/]")
        return table

    def to_dict(self) -> dict[str, Any]:
        """Plain values under stable keys; a number that is not finite is None."""
        curves = {name: asdict(comparison) for name, comparison in self.comparisons.items()}
        values = {
            "model": self.model,
            "data": self.data,
            "simulations": self.simulations,
            "verdicts": [asdict(line) for line in self.lines],
            "curves": curves,
            "timing": {"seconds_per_simulation": self.seconds},
            "notes": list(self.notes),
            "config": dict(self.config),
        }
        return plain(values)  # type: ignore[return-value]

    def html(self) -> str:
        """The report as one page."""
        comparison = self.comparisons[EVOLVED]
        return render("evolution.html.j2", report=self, time=comparison.times[-1], pictures=[self.picture()])

    def save(self, path: str | Path) -> None:
        """Write ``.html`` or ``.json``.

        Raises:
            UsageError: for another ending, or a folder that cannot be written to.
        """
        save_page(path, self, "report")

    def picture(self) -> Picture:
        """P / P_ref and r(k) at the last time, mean over simulations."""
        from matplotlib.figure import Figure

        looks: dict[str, dict[str, Any]] = {
            FLOOR: {"color": GREY, "linewidth": 4, "label": "finer mesh"},
            UNCORRECTED: {"color": "#555555", "linestyle": "--", "label": "uncorrected"},
            EVOLVED: {"color": GENERATED, "label": self.model},
        }
        with styled():
            figure = Figure(figsize=(8, 3))
            ratio, correlation = figure.subplots(1, 2)
            for name, look in looks.items():
                if name in self.comparisons:
                    each = self.comparisons[name]
                    ratio.plot(each.k, each.ratio[:, -1].mean(0), **look)
                    correlation.plot(each.k, each.correlation[:, -1].mean(0), **look)
            ratio.axhline(1, color="#222222", linewidth=0.7)
            ratio.set(xlabel="k (radians per unit of length)", title="P(k) / P_ref(k)")
            correlation.set(xlabel="k (radians per unit of length)", title="r(k)")
            ratio.legend()
            source = encode(figure)
        return Picture(
            "Power and correlation at the last time",
            source,
            "Up to the Nyquist wavenumber of the initial lattice. One is agreement with the reference simulation.",
            "Two panels of curves over the wavenumber",
            wide=True,
        )

    def _line(self, key: str) -> Line:
        label, quantity, unit, name, scale = _STATISTICS[key]

        def last(run: str) -> np.ndarray:
            found = self.comparisons.get(run)
            return np.array([np.nan]) if found is None else scale * getattr(found, name)[:, -1]

        values, floor = last(EVOLVED), last(FLOOR)
        error = values.std(ddof=1) / np.sqrt(len(values)) if len(values) > 1 else np.nan
        value, middle = float(values.mean()), float(floor.mean())
        return Line(
            key, label, quantity, unit, value, float(error), float(last(UNCORRECTED).mean()), middle,
            float(floor.min()), float(floor.max()), verdict_beside(value, middle, float(floor.max())),
        )  # fmt: skip


def validate_evolution(
    emulator: Emulator, ensemble: Ensemble | None = None, *, samples: int | None = None
) -> EvolutionReport:
    """Evolve the initial states of unseen simulations, and compare with their later ones.

    Arguments:
        emulator: an evolver.
        ensemble: trajectories to judge by: the test split if the emulator was trained on them, all if they are others;
            None reads the emulator's own data again.
        samples: simulations at most; None for 8.

    Raises:
        UsageError: if there is nothing unseen to judge by, or it is not what the emulator moves.
    """
    test, held_out = _unseen(emulator, ensemble)
    if test.space != emulator.space:
        raise UsageError(f"{emulator.name} was trained on {emulator.space}, but {test.name} holds {test.space}")
    rows = np.arange(min(len(test), samples or _MOST))
    condition = test.condition_rows(rows) if emulator.parameters else None
    reference = torch.from_numpy(test.take(rows))
    begun = time.perf_counter()
    emulator.evolve(reference[:1, 0], cast(Trajectory, test.space).times, None if condition is None else condition[:1])
    seconds = time.perf_counter() - begun
    notes = () if held_out else ("The reference is another data set than that of training.",)
    return EvolutionReport(
        model=emulator.name,
        data=test.name,
        comparisons=judge_evolution(emulator, reference, condition),
        seconds=seconds,
        config=emulator.config,
        notes=(*notes, *test.notes),
    )


def _unseen(emulator: Emulator, ensemble: Ensemble | None) -> tuple[Ensemble, bool]:
    """Simulations that training did not see, and whether they were held out of its own data."""
    ensemble = ensemble if ensemble is not None else home_ensemble(emulator)
    if ensemble is None:
        raise UsageError("this emulator was trained on an array in memory; give simulations to judge it by")
    if ensemble.fingerprint != (emulator.config.get("data") or {}).get("fingerprint"):
        return ensemble, False
    test = Trajectories(ensemble).test
    if test is None:
        raise UsageError(
            f"all {len(ensemble)} simulations of {ensemble.name} were used in training; give others after the run"
        )
    return test, True
