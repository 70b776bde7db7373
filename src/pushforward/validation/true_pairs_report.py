"""Report of a translator on true pairs: every number of both directions, compared with the untranslated members."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from pushforward.ensembles import Ensemble
from pushforward.validation.labels import labelled, wavenumber_unit
from pushforward.validation.page import render, save_page
from pushforward.validation.printing import Printed, TextTable
from pushforward.validation.style import FLOOR as GREY
from pushforward.validation.style import Picture, encode, styled
from pushforward.validation.true_pairs import Figure, Sides, translation_figures
from pushforward.validation.verdict import AT_FLOOR, CLOSE, NEAR, OFF, STYLES, UNJUDGED
from pushforward.validation.wording import number, plain, with_unit

if TYPE_CHECKING:
    from pushforward.emulator import Emulator

__all__ = ["TruePairsReport", "are_true_pairs", "validate_true_pairs"]

_MOST = 512


@dataclass(frozen=True, repr=False)
class TruePairsReport(Printed):
    """Comparison of translations with their true partners.

    Attributes:
        model, data: names.
        figures: of both directions.
        members: of each ensemble that were translated.
        wavenumber: unit of k.
        config: of the run.
    """

    model: str
    data: str
    figures: tuple[Figure, ...]
    members: int
    wavenumber: str = ""
    config: Mapping[str, Any] = field(default_factory=dict)

    def figure(self, statistic: str, to: str) -> Figure:
        """The figure of one statistic of the direction that ends at ``"a"`` or ``"b"``.

        Raises:
            KeyError: if there is none of that name.
        """
        arrow = "a to b" if to == "b" else "b to a"
        found = {each.statistic: each for each in self.figures if arrow in each.label}
        return found[statistic]

    @property
    def lines(self) -> list[tuple[Figure, tuple[str, ...], str]]:
        """Each figure, its texts (value, untranslated, floor), and a verdict."""
        return [
            (
                each,
                tuple(with_unit(number(x, 3), each.unit) for x in (each.value, each.untranslated, each.floor)),
                _verdict(each),
            )
            for each in self.figures
        ]

    def table(self) -> TextTable:
        """The figures as a table for a terminal."""
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
            "verdicts": verdicts, "config": dict(self.config),
        }  # fmt: skip
        return plain(values)  # type: ignore[return-value]

    def html(self) -> str:
        """The report as one page."""
        picture = self.picture()
        return render("true_pairs.html.j2", report=self, pictures=[picture] if picture else [])

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
        titles = {"power_spectrum": "P(k) / P_real(k)", "round_trip": "r(k) of the round trip",
                  "correlation_with_truth": "r(k) with the truth", "transfer_function": "T(k)"}  # fmt: skip
        with styled():
            columns = min(2, len(names))
            rows = -(-len(names) // columns)
            canvas = Canvas(figsize=(4.3 * columns, 2.6 * rows))
            for axes, name in zip(canvas.subplots(rows, columns, squeeze=False).flat, names, strict=False):
                axes.axhline(1, color=GREY, linewidth=3)
                for each in curves:
                    if each.statistic == name and each.k is not None and each.curve is not None:
                        axes.plot(each.k, each.curve, label="a to b" if "a to b" in each.label else "b to a")
                axes.set(xlabel=labelled("k", self.wavenumber), title=titles[name])
                if name == names[0]:
                    axes.legend()
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

    Arguments:
        emulator: a translator.
        pairs: members of a and of b side by side: fields with the channels of both, vectors of both lengths.
        samples: pairs at most; None for 512.

    Raises:
        UsageError: if a translation is not finite.
    """
    x = torch.from_numpy(pairs.take(np.arange(min(len(pairs), samples or _MOST))))
    axis = emulator.space.shape[0]
    figures = translation_figures(emulator, Sides(x[:, :axis], x[:, axis:]))
    unit = wavenumber_unit(pairs.space, pairs.length_unit)
    return TruePairsReport(emulator.name, pairs.name, tuple(figures), len(x), unit, emulator.config)


def _verdict(each: Figure) -> str:
    if not np.isfinite(each.floor):
        return UNJUDGED
    return AT_FLOOR if each.value <= each.floor_high else NEAR if each.value <= CLOSE * each.floor else OFF
