"""Report of a translator: one report for each of its directions, and the distances of round trips."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pushforward.errors import UsageError
from pushforward.models.pairs import direction
from pushforward.validation.page import render, save_page
from pushforward.validation.printing import Printed, TextGroup
from pushforward.validation.report import Report, geometric_mean
from pushforward.validation.sections import report_sections
from pushforward.validation.verdict import Verdict
from pushforward.validation.wording import number, plain

if TYPE_CHECKING:
    from rich.console import RenderableType

__all__ = ["TranslationReport"]

_COUNTED = ("generated", "test", "training", "weights")
"""Counts of a direction's report, of which the larger is quoted."""


@dataclass(frozen=True, repr=False)
class TranslationReport(Printed):
    """The judgement of a translator.

    Attributes:
        model, data: names.
        reports: of each direction that it has, by the ensemble that is translated into: ``a``, ``b``.
        round_trips: rms distance of members from where they started, there and back again, in standard deviations; by
            the ensemble that they start from. Empty for a translator of one way.
        config: of the run.
    """

    model: str
    data: str
    reports: Mapping[str, Report]
    round_trips: Mapping[str, float]
    config: Mapping[str, Any]

    @property
    def verdicts(self) -> tuple[tuple[str, Verdict], ...]:
        """Every line of both directions under a name such as ``to_b/power_spectrum``."""
        return tuple((f"to_{to}/{v.statistic}", v) for to, report in self.reports.items() for v in report.verdicts)

    def verdict(self, statistic: str) -> Verdict:
        """The line of one statistic of one direction: ``to_b/power_spectrum``.

        Raises:
            UsageError: if it is not in this report.
        """
        known = dict(self.verdicts)
        if statistic not in known:
            raise UsageError(f"there is no statistic {statistic!r} in this report; there are {', '.join(known)}")
        return known[statistic]

    @property
    def quality(self) -> float:
        """Geometric mean of both directions' (see `Report.quality`)."""
        return geometric_mean([report.quality for report in self.reports.values()])

    @property
    def joint_p_value(self) -> float:
        """Joint p-value of both directions (Sidak 1967)."""
        return 1 - (1 - min(report.joint_p_value for report in self.reports.values())) ** len(self.reports)

    @property
    def summary(self) -> str:
        """Both judgements in a few sentences."""
        return " ".join(f"{_direction_name(to)}: {report.summary}" for to, report in self.reports.items())

    @property
    def notes(self) -> tuple[str, ...]:
        return tuple(
            f"Members of {start}, there and back again, end {number(value, 2)} standard deviations (rms) from where "
            "they started."
            for start, value in self.round_trips.items()
        )

    def to_dict(self) -> dict[str, Any]:
        """Plain values under the keys of `Report.to_dict`, statistics named by their direction."""
        lines = [verdict.to_dict() | {"statistic": name} for name, verdict in self.verdicts]
        directions = {f"to_{to}": report.to_dict() for to, report in self.reports.items()}
        for each in directions.values():
            each.pop("config")
        values = {
            "model": self.model,
            "data": self.data,
            "summary": self.summary,
            "quality": self.quality,
            "joint_p_value": self.joint_p_value,
            "round_trips": dict(self.round_trips),
            "abilities": ("translator",),
            "timing": self._timing,
            "counts": {name: max(report.counts[name] for report in self.reports.values()) for name in _COUNTED},
            "notes": self.notes,
            "config": dict(self.config),
        }
        return {**plain(values), "verdicts": lines, "directions": directions}  # type: ignore[dict-item]

    @property
    def _timing(self) -> dict[str, float | None]:
        """Milliseconds per translated member, the mean of both directions; seconds of training and of judging."""
        each = [report.timing for report in self.reports.values()]
        milliseconds = [timing["milliseconds_per_sample"] or 0.0 for timing in each]
        return {
            "milliseconds_per_sample": sum(milliseconds) / len(milliseconds),
            "validation_seconds": sum(timing["validation_seconds"] or 0.0 for timing in each),
            "training_seconds": each[0]["training_seconds"],
        }

    def table(self) -> TextGroup:
        """One table per direction, one verdict per line."""
        from rich.text import Text

        tables: list[RenderableType] = [report.table() for report in self.reports.values()]
        return TextGroup(*tables, Text("\n".join(self.notes)))

    def html(self) -> str:
        """Both judgements as one page."""
        return render(
            "translation.html.j2",
            report=self,
            directions=[
                (to, _direction_name(to), report, report.headline(), report_sections(report))
                for to, report in self.reports.items()
            ],
        )

    def save(self, path: str | Path) -> None:
        """Write ``.html`` or ``.json``.

        Raises:
            UsageError: for another ending, or a folder that cannot be written to.
        """
        save_page(path, self, "report")


def _direction_name(to: str) -> str:
    return f"From {direction(to)}"
