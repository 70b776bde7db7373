"""The report: what was found about an emulator, on the terminal, as JSON, and as one page that needs nothing else."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from pushforward.errors import UsageError
from pushforward.spaces import Field, Space, Vector, space_to_dict
from pushforward.validation.conditions import Response
from pushforward.validation.curves import Curve
from pushforward.validation.figures import overview_picture
from pushforward.validation.material import Material
from pushforward.validation.page import render, report_sections, save_page
from pushforward.validation.sets import Neighbours
from pushforward.validation.verdict import AT_FLOOR, NEAR, OFF, STYLES, UNJUDGED, Verdict
from pushforward.validation.wording import duration, listing, number, plain

if TYPE_CHECKING:
    from rich.table import Table

__all__ = ["Report"]

GROUPS = {
    "statistics": "Statistics of the data",
    "pairs": "Samples and the fields that they are given with",
    "density": "Density",
    "sets": "Fidelity, variety, copies",
    "conditions": "Over the range of the condition",
}
NAMED = 5
_REFERENCES = {"density": "exact"}


@dataclass(frozen=True)
class Report:
    """The judgement of one emulator.

    Attributes:
        model, data: what was judged by what.
        verdicts: one line a statistic.
        curves: statistics bin by bin.
        responses: how samples follow each parameter.
        matrices: correlation of ln P(k), for fields: "real", "generated", "difference", at wavenumbers "k".
        timing: ``milliseconds_per_sample``, ``validation_seconds``, ``training_seconds``.
        counts: numbers of generated samples, test members, training members, and of the model's weights.
        notes: what a reader must know about the sets that were used.
        config: configuration of the run. metrics: lines of its training curves.
        command: the line that repeats the training; judging: the one that repeats this report.
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
    material: Material = field(repr=False)
    neighbours: Neighbours | None = field(default=None, repr=False)
    metrics: tuple[dict[str, Any], ...] = field(default=(), repr=False)
    log_prob: Callable[[np.ndarray], np.ndarray] | None = field(default=None, repr=False)

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
        judged = [v for v in self.verdicts if v.verdict != UNJUDGED]
        by_word = {word: [v.label for v in judged if v.verdict == word] for word in (AT_FLOOR, NEAR, OFF)}
        counted = [f"{len(names)} {word}" for word, names in by_word.items() if names]
        text = f"Of {len(judged)} statistics, {listing(counted)}."
        if by_word[OFF]:
            named = by_word[OFF][:NAMED]
            if len(by_word[OFF]) > NAMED:
                named.append(f"{len(by_word[OFF]) - NAMED} more")
            text += f" Off: {listing(named)}."
        elif not by_word[NEAR]:
            text += " No statistic tells the samples from real data."
        return text

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
                "curves": [curve.to_dict() for curve in self.curves],
                "responses": [response.to_dict() for response in self.responses],
                "matrices": self.matrices,
                "timing": self.timing,
                "counts": self.counts,
                "abilities": self.abilities,
                "notes": self.notes,
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

    def table(self) -> Table:
        """A table for the terminal, one verdict a line."""
        from rich.table import Table
        from rich.text import Text

        table = Table(title=f"{self.model} on {self.data}", title_justify="left", caption=self.summary, box=None)
        table.caption_justify = "left"
        for name, justify in (("statistic", "left"), ("value", "right"), ("real against real", "right"), ("", "left")):
            table.add_column(name, justify=justify)  # type: ignore[arg-type]
        for group in GROUPS:
            lines = [v for v in self.verdicts if v.group == group]
            for index, v in enumerate(lines):
                word = Text(v.verdict, style=STYLES[v.verdict])
                table.add_row(v.label, v.value_text, v.floor_text, word, end_section=index == len(lines) - 1)
        speed = self.timing.get("milliseconds_per_sample")
        table.add_row("Time to sample", f"{number(speed)} ms", "–", "a sample")
        return table

    def html(self) -> str:
        """The page: one self-contained document."""
        return render(
            "report.html.j2",
            report=self,
            groups=[(title, [v for v in self.verdicts if v.group == key]) for key, title in GROUPS.items()],
            headline=self._headline(),
            overview=overview_picture(self.verdicts),
            sections=report_sections(self),
            settings=_lines_of(self.config),
        )

    def _headline(self) -> list[dict[str, str]]:
        """The few numbers that a reader sees first."""
        first = "power_spectrum" if isinstance(self.space, Field) else "wasserstein2"
        wanted = [first, "one_point_pdf" if first == "power_spectrum" else "nll", "coverage", "classifier"]
        names = {"classifier": "Classifier AUC"}
        cards = [
            {
                "label": names.get(v.statistic, v.label),
                "value": v.value_text,
                "under": f"{_REFERENCES.get(v.group, 'real data')}: {v.floor_text}"
                if math.isfinite(v.floor)
                else v.verdict,
                "verdict": v.verdict,
            }
            for name in wanted
            for v in self.verdicts
            if v.statistic == name
        ]
        speed = self.timing.get("milliseconds_per_sample")
        cards.append({"label": "Sampling", "value": f"{number(speed)} ms", "under": "a sample", "verdict": ""})
        return cards

    @property
    def facts(self) -> list[tuple[str, str]]:
        """What was judged, for the head of the page."""
        shape = " × ".join(str(n) for n in self.space.shape)
        rows = [
            ("model", f"{self.model}, {self.counts['weights']:,} weights" if self.counts["weights"] else self.model),
            ("data", f"{self.data}: {type(self.space).__name__.lower()} of shape {shape}"),
            (
                "condition",
                listing([*self.parameters, *(["a field"] if self.material.given is not None else [])]) or "none",
            ),
            ("judged by", f"{self.counts['test']:,} unseen members against {self.counts['generated']:,} samples"),
        ]
        if self.timing.get("training_seconds"):
            rows.append(("training", duration(float(self.timing["training_seconds"] or 0))))
        if isinstance(self.space, Vector) and self.space.names:
            rows.append(("coordinates", listing(list(self.space.names))))
        return rows


def geometric_mean(ratios: Sequence[float]) -> float:
    """Geometric mean of ratios to floors, none counted as less than 1; NaN if there are none."""
    known = [max(1.0, ratio) for ratio in ratios if math.isfinite(ratio)]
    return math.exp(sum(map(math.log, known)) / len(known)) if known else math.nan


def _lines_of(config: dict[str, Any]) -> str:
    import yaml

    return yaml.safe_dump(plain(config), sort_keys=False, allow_unicode=True, width=100) if config else ""
