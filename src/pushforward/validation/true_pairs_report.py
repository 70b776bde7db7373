"""Report of a translator on true pairs: every number of both directions, compared with the untranslated members."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from pushforward.ensembles import Ensemble
from pushforward.models.pairs import direction
from pushforward.validation.labels import labelled, wavenumber_unit
from pushforward.validation.page import render, save_page
from pushforward.validation.printing import Printed, TextGroup, TextTable
from pushforward.validation.recovered_figure import RECOVERED, RECOVERED_MEANING, recovered_picture
from pushforward.validation.recovered_parameters import Recovered, parameters_of_pairs, recovered
from pushforward.validation.style import FLOOR as GREY
from pushforward.validation.style import Picture, encode, styled
from pushforward.validation.true_pairs import Figure, Sides, translated, translated_figures
from pushforward.validation.verdict import STYLES, verdict_beside
from pushforward.validation.wording import number, plain, with_unit

if TYPE_CHECKING:
    from rich.console import RenderableType

    from pushforward.emulator import Emulator

__all__ = ["TruePairsReport", "are_true_pairs", "validate_true_pairs"]

_MOST = 512
_DIRECTIONS = tuple(direction(to) for to in "ba")


@dataclass(frozen=True, repr=False)
class TruePairsReport(Printed):
    """Comparison of translations with their true partners.

    Attributes:
        model, data: names.
        figures: of both directions.
        members: of each ensemble that were translated.
        recovered: parameters in each direction, where the pairs have some.
        notes: what could not be judged, and why.
        wavenumber: unit of k.
        config: of the run.
    """

    model: str
    data: str
    figures: tuple[Figure, ...]
    members: int
    recovered: tuple[Recovered, ...] = ()
    notes: tuple[str, ...] = ()
    wavenumber: str = ""
    config: Mapping[str, Any] = field(default_factory=dict)

    def figure(self, statistic: str, to: str) -> Figure:
        """The figure of one statistic of the direction that ends at ``"a"`` or ``"b"``.

        Raises:
            KeyError: if there is none of that name.
        """
        found = {each.statistic: each for each in self.figures if direction(to) in each.label}
        return found[statistic]

    @property
    def lines(self) -> list[tuple[Figure, tuple[str, ...], str]]:
        """Each figure, its texts (value, untranslated, floor), and a verdict."""
        return [
            (
                each,
                tuple(with_unit(number(x, 3), each.unit) for x in (each.value, each.untranslated, each.floor)),
                verdict_beside(each.value, each.floor, each.floor_high),
            )
            for each in self.figures
        ]

    @property
    def recovered_lines(self) -> list[tuple[str, ...]]:
        """Texts of the parameters, one tuple per line, in the order of `RECOVERED`."""
        return [
            (
                f"{each.parameter}, {each.direction}",
                *(number(x, 2) for x in (each.error, each.error_true, each.error_untranslated)),
                *(number(x, 2) for x in (each.shift, each.apart, each.width)),
                *(with_unit(number(100 * x, 2), "%") for x in (each.coverage, each.coverage_true)),
            )
            for each in self.recovered
        ]

    def table(self) -> TextGroup:
        """The figures as tables for a terminal."""
        from rich.text import Text

        parts: list[RenderableType] = [self._figures_table()]
        if self.recovered:
            table = TextTable(title="Parameters recovered from translations", title_justify="left")
            for place, name in enumerate(RECOVERED):
                table.add_column(name, justify="right" if place else "left", no_wrap=not place)
            for line in self.recovered_lines:
                table.add_row(*line)
            parts += [table, Text(RECOVERED_MEANING)]
        return TextGroup(*parts, Text("\n".join(self.notes)))

    def _figures_table(self) -> TextTable:
        table = TextTable(title=f"{self.model} on {self.data}", title_justify="left")
        for place, name in enumerate(("statistic", "value", "untranslated", "floor", "verdict")):
            table.add_column(name, justify="right" if 0 < place < 4 else "left")
        for each, texts, verdict in self.lines:
            table.add_row(f"{each.label}: {each.quantity}", *texts, f"[{STYLES[verdict]}]{verdict}[/]")
        return table

    def to_dict(self) -> dict[str, Any]:
        """Plain values under stable keys; a number that is not finite is None."""
        verdicts = [{**asdict(each), "verdict": verdict} for each, _, verdict in self.lines]
        values = {
            "model": self.model, "data": self.data, "members": self.members,
            "verdicts": verdicts, "parameters": [each.to_dict() for each in self.recovered],
            "notes": self.notes, "config": dict(self.config),
        }  # fmt: skip
        return plain(values)  # type: ignore[return-value]

    def html(self) -> str:
        """The report as one page."""
        return render(
            "true_pairs.html.j2",
            report=self,
            pictures=[each for each in (self.picture(),) if each],
            columns=RECOVERED,
            meaning=RECOVERED_MEANING,
            parameters=[recovered_picture(self.recovered)] if self.recovered else [],
        )

    def save(self, path: str | Path) -> None:
        """Write ``.html`` or ``.json``.

        Raises:
            UsageError: for another ending, or a folder that cannot be written to.
        """
        save_page(path, self, "report")

    def picture(self) -> Picture | None:
        """All curves over k, a panel per statistic."""
        from matplotlib.figure import Figure as Canvas

        curves = [each for each in self.figures if each.curve is not None]
        names = list(dict.fromkeys(each.statistic for each in curves))
        if not names:
            return None
        titles = {
            "power_spectrum": "P(k) / P_real(k)",
            "round_trip": "r(k) of the round trip",
            "round_trip_power": "P(k) of the round trip / P(k)",
            "correlation_with_truth": "r(k) with the truth",
            "transfer_function": "T(k)",
        }
        with styled():
            columns = min(2, len(names))
            rows = -(-len(names) // columns)
            canvas = Canvas(figsize=(4.3 * columns, 2.6 * rows))
            for axes, name in zip(canvas.subplots(rows, columns, squeeze=False).flat, names, strict=False):
                axes.axhline(1, color=GREY, linewidth=3)
                for each in curves:
                    if each.statistic == name and each.k is not None and each.curve is not None:
                        axes.plot(each.k, each.curve, label=next(d for d in _DIRECTIONS if d in each.label))
                axes.set(xlabel=labelled("k", self.wavenumber), title=titles[name])
                if name == names[0]:
                    axes.legend()
            for axes in canvas.axes[len(names) :]:
                axes.remove()
            source = encode(canvas)
        return Picture(
            "Translations over the wavenumber", source, "One is a translation that cannot be told from the truth.",
            "Curves over the wavenumber, both directions", wide=True,
        )  # fmt: skip


def are_true_pairs(emulator: Emulator, ensemble: Any) -> bool:
    """Whether members of an ensemble are inputs of the emulator joined with their partners."""
    if not isinstance(ensemble, Ensemble):
        return False
    one, *rest = emulator.space.shape
    return tuple(ensemble.space.shape) == (2 * one, *rest)


def validate_true_pairs(emulator: Emulator, pairs: Ensemble, *, samples: int | None = None) -> TruePairsReport:
    """Translate the members of true pairs both ways, and there and back, and compare each with its partner.

    Where the pairs have parameters that vary, these are recovered from translations and from true members.

    Arguments:
        emulator: a translator.
        pairs: members of a and of b side by side: fields with the channels of both, vectors of both lengths.
        samples: pairs at most; None for 512.

    Raises:
        UsageError: if a translation is not finite.
    """
    x = torch.from_numpy(pairs.take(np.arange(min(len(pairs), samples or _MOST))))
    axis = emulator.space.shape[0]
    moved = translated(emulator, Sides(x[:, :axis], x[:, axis:]))
    figures = [figure for each in moved for figure in translated_figures(emulator.space, each)]
    parameters = parameters_of_pairs(pairs)
    found, notes = list[Recovered](), list[str]()
    if isinstance(parameters, str):
        notes.append(f"Recovery of parameters was not judged: {parameters}.")
    else:
        names, values = parameters
        known = torch.from_numpy(pairs.take(np.arange(len(values))))
        for each in moved:
            side = known[:, axis:] if each.to == "b" else known[:, :axis]
            found += recovered(emulator.space, each, side, names, values, pairs)
    unit = wavenumber_unit(pairs.space, pairs.length_unit)
    return TruePairsReport(
        emulator.name, pairs.name, tuple(figures), len(x), tuple(found), tuple(notes), unit, emulator.config
    )
