"""Report on an emulator: a table for the terminal, JSON, and a self-contained page."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from pushforward.errors import UsageError
from pushforward.spaces import Space, space_to_dict
from pushforward.validation.common_statistics import Neighbours
from pushforward.validation.curves import Curve
from pushforward.validation.evaluation_data import EvaluationData
from pushforward.validation.figures import overview_picture
from pushforward.validation.kinds import kind_of
from pushforward.validation.labels import column_labels
from pushforward.validation.page import render, save_page
from pushforward.validation.printing import Printed, TextTable
from pushforward.validation.report_figure import report_figure
from pushforward.validation.responses import Response
from pushforward.validation.sections import report_sections
from pushforward.validation.verdict import AT_FLOOR, NEAR, OFF, STYLES, UNJUDGED, Verdict
from pushforward.validation.wording import duration, listing, number, plain

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["Report"]

GROUPS = {
    "statistics": "Statistics of the data",
    "pairs": "Samples and the fields that they are given with",
    "density": "Density",
    "calibration": "Calibration at each condition",
    "forecasts": "Forecasts",
    "sets": "Fidelity, variety, copies",
    "conditions": "Over the range of the condition",
}
NAMED, MOST_CARDS = 5, 4
"""Statistics that the summary names; those on cards at the head of the page, in the order of their kind."""
MOST_NAMES = 12
"""Coordinates that the head of the page lists."""


@dataclass(frozen=True, repr=False)
class Report(Printed):
    """The judgement of one emulator.

    Attributes:
        model, data: names of the model and of the data.
        verdicts: one per statistic.
        curves: statistics bin by bin.
        responses: how samples follow each parameter.
        matrices: correlation of ln P(k), for fields: "real", "generated", "difference", at wavenumbers "k".
        timing: ``milliseconds_per_sample``, ``validation_seconds``, ``training_seconds``.
        counts: numbers of generated samples, test members, training members, and of the model's weights.
        notes: notes for the reader on the sets that were used.
        config: configuration of the run. metrics: lines of its training curves.
        command: command that repeats the training. judging: command that repeats this report.
        joint_p_value: probability that the most extreme statistic of a perfect emulator is as extreme as here.
        expected_beyond: mean number of statistics beyond the floor for a perfect emulator.
        failures: statistics that could not be computed, and the reasons. unseen: properties that are not tested.
    """

    model: str
    data: str
    space: Space
    parameters: tuple[str, ...]
    verdicts: tuple[Verdict, ...]
    curves: tuple[Curve, ...]
    responses: tuple[Response, ...]
    matrices: dict[str, np.ndarray]
    timing: dict[str, float | None]
    counts: dict[str, int]
    abilities: tuple[str, ...]
    notes: tuple[str, ...]
    config: dict[str, Any]
    command: str
    judging: str
    seed: int
    evaluation: EvaluationData
    neighbours: Neighbours | None = None
    metrics: tuple[dict[str, Any], ...] = ()
    log_prob: Callable[[np.ndarray], np.ndarray] | None = None
    joint_p_value: float = math.nan
    expected_beyond: float = math.nan
    failures: tuple[str, ...] = ()
    unseen: tuple[str, ...] = ()

    def verdict(self, statistic: str) -> Verdict:
        """The line of one statistic.

        Raises:
            UsageError: if it is not in this report.
        """
        for verdict in self.verdicts:
            if verdict.statistic == statistic:
                return verdict
        known = ", ".join(v.statistic for v in self.verdicts)
        raise UsageError(f"this report has no statistic called {statistic!r}; it has {known}")

    @cached_property
    def quality(self) -> float:
        """Geometric mean of the headline statistics' ratios (`Verdict.ratio`), none counted as less than 1.

        1 is real data's own quality: no statistic tells the samples from real ones.
        """
        return geometric_mean([v.ratio for v in self.verdicts if v.headline])

    @property
    def summary(self) -> str:
        """The judgement in a few sentences."""
        tested = [v for v in self.verdicts if v.verdict != UNJUDGED]
        by_word = {word: [v.label for v in tested if v.verdict == word] for word in (AT_FLOOR, NEAR, OFF)}
        counted = [f"{len(names)} {word}" for word, names in by_word.items() if names]
        text = f"Of {len(tested)} statistics, {listing(counted)}."
        if by_word[OFF]:
            named = by_word[OFF][:NAMED]
            if len(by_word[OFF]) > NAMED:
                named.append(f"{len(by_word[OFF]) - NAMED} more")
            text += f" Off: {listing(named)}."
        elif not by_word[NEAR]:
            text += " No statistic tells the samples from real data."
        return text

    @property
    def multiplicity(self) -> str:
        """Expected result of a perfect emulator, and the joint p-value."""
        tested = [v for v in self.verdicts if v.verdict != UNJUDGED]
        if not tested or not math.isfinite(self.joint_p_value):
            return ""
        beyond = sum(v.verdict != AT_FLOOR for v in tested)
        p = "< 1e-6" if self.joint_p_value < 1e-6 else f"= {number(self.joint_p_value, 2)}"
        return (
            f"A perfect emulator would have about {number(self.expected_beyond, 1)} of {len(tested)} beyond the floor; "
            f"here {'it is' if beyond == 1 else 'there are'} {beyond}. Joint p-value: p {p}."
        )

    def to_dict(self) -> dict[str, Any]:
        """Every number of the report under stable keys, as plain values; what is not finite is None."""
        return plain(  # type: ignore[return-value]
            {
                "model": self.model,
                "data": self.data,
                "space": space_to_dict(self.space),
                "parameters": self.parameters,
                "summary": self.summary,
                "quality": self.quality,
                "verdicts": [verdict.to_dict() for verdict in self.verdicts],
                "joint_p_value": self.joint_p_value,
                "expected_beyond": self.expected_beyond,
                "failures": self.failures,
                "unseen": self.unseen,
                "curves": [curve.to_dict() for curve in self.curves],
                "responses": [response.to_dict() for response in self.responses],
                "matrices": self.matrices,
                "timing": self.timing,
                "counts": self.counts,
                "abilities": self.abilities,
                "notes": self.notes,
                "units": self.evaluation.units,
                "box_unit": self.evaluation.unit,
                "seed": self.seed,
                "command": self.command,
                "judging": self.judging,
                "config": self.config,
            }
        )

    def save(self, path: str | Path) -> None:
        """Write the page (``.html``) or the numbers (``.json``), all or nothing.

        Raises:
            UsageError: for another ending, or a folder that cannot be written to.
        """
        save_page(path, self, "report")

    def table(self) -> TextTable:
        """Table for the terminal, one verdict per line."""
        from rich.text import Text

        summary = " ".join(text for text in (self.summary, self.multiplicity) if text)
        caption = "\n".join([summary, *(f"Not measured: {text}." for text in self.failures)])
        table = TextTable(title=f"{self.model} on {self.data}", title_justify="left", caption=caption, box=None)
        table.caption_justify = "left"
        for name, justify in (
            ("statistic", "left"),
            ("value", "right"),
            ("real against real", "right"),
            ("p", "right"),
            ("", "left"),
        ):
            table.add_column(name, justify=justify)  # type: ignore[arg-type]
        for _, lines in self.groups:
            for index, v in enumerate(lines):
                word = Text(v.verdict, style=STYLES[v.verdict])
                table.add_row(v.label, v.value_text, v.floor_text, v.p_text, word, end_section=index == len(lines) - 1)
        if self._speed:
            table.add_row("Time to sample", self._speed, "–", "–", "per sample")
        return table

    def _repr_html_(self) -> str:
        """The table, as a notebook shows it."""
        return render("table.html.j2", report=self)

    def plot(self) -> Figure:
        """A figure with all discrepancies in units of their floors, and the first curves beside it."""
        return report_figure(self.verdicts, self.curves, f"{self.model} on {self.data}")

    @property
    def groups(self) -> list[tuple[str, list[Verdict]]]:
        """Headings of the table, and the verdicts under each."""
        known = {**GROUPS, **{v.group: v.group.capitalize() for v in self.verdicts if v.group not in GROUPS}}
        found = [(title, [v for v in self.verdicts if v.group == key]) for key, title in known.items()]
        return [(title, lines) for title, lines in found if lines]

    @property
    def _speed(self) -> str:
        speed = self.timing.get("milliseconds_per_sample")
        return f"{number(speed)} ms" if speed is not None and math.isfinite(speed) else ""

    def html(self) -> str:
        """The page: one self-contained document."""
        return render(
            "report.html.j2",
            report=self,
            headline=self.headline(),
            overview=overview_picture(self.verdicts),
            sections=report_sections(self),
            settings=_lines_of(self.config),
        )

    def headline(self) -> list[dict[str, str]]:
        """Headline numbers of the page."""
        wanted = kind_of(self.space).headline
        judged = [v for name in wanted for v in self.verdicts if v.statistic == name]
        names = {"classifier": "Classifier AUC"}
        names |= kind_of(self.space).card_names(self.evaluation)
        cards = [
            {
                "label": names.get(v.statistic, v.label),
                "value": v.value_text,
                "under": f"{'known' if v.group == 'density' else 'real data'}: {v.floor_text}"
                if math.isfinite(v.floor)
                else v.verdict,
                "verdict": v.verdict,
            }
            for v in judged[:MOST_CARDS]
        ]
        if self._speed:
            cards.append({"label": "Sampling", "value": self._speed, "under": "per sample", "verdict": ""})
        return cards

    @property
    def facts(self) -> list[tuple[str, str]]:
        """Facts on the judgement, for the head of the page."""
        shape = " × ".join(str(n) for n in self.space.shape)
        rows = [
            ("model", f"{self.model}, {self.counts['weights']:,} weights" if self.counts["weights"] else self.model),
            ("data", f"{self.data}: {type(self.space).__name__.lower()} of shape {shape}"),
            (
                "condition",
                listing([*self.parameters, *(["a field"] if self.evaluation.given is not None else [])]) or "none",
            ),
            ("judged by", f"{self.counts['test']:,} unseen members against {self.counts['generated']:,} samples"),
        ]
        if self.timing.get("training_seconds"):
            rows.append(("training", duration(float(self.timing["training_seconds"] or 0))))
        if getattr(self.space, "names", ()):
            named = list(column_labels(self.evaluation))
            more = [f"{len(named) - MOST_NAMES} more"] if len(named) > MOST_NAMES else []
            rows.append(("coordinates", listing([*named[:MOST_NAMES], *more])))
        rows += kind_of(self.space).facts(self.evaluation)
        return rows


def geometric_mean(ratios: Sequence[float]) -> float:
    """Geometric mean of ratios to floors, none counted as less than 1; NaN if there are none."""
    known = [max(1.0, ratio) for ratio in ratios if math.isfinite(ratio)]
    return math.exp(sum(map(math.log, known)) / len(known)) if known else math.nan


def _lines_of(config: dict[str, Any]) -> str:
    import yaml

    return yaml.safe_dump(plain(config), sort_keys=False, allow_unicode=True, width=100) if config else ""
