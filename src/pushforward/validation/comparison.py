"""Comparison of models: a leaderboard, a recommendation per purpose, and one page with all models."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from pushforward.validation import overlays
from pushforward.validation.model_result import ModelResult
from pushforward.validation.page import render, save_page
from pushforward.validation.printing import Printed, TextGroup
from pushforward.validation.style import MODELS
from pushforward.validation.verdict import OFF, STYLES
from pushforward.validation.wording import duration, listing, number, plain, with_error, with_unit

__all__ = ["Comparison", "Recommendation"]

ALIKE = 1.1
"""Largest ratio of the qualities of two models that count as equal."""
SYMBOLS = {
    "power_spectrum": "P(k)",
    "one_point_pdf": "PDF",
    "bispectrum": "B(k)",
    "wasserstein2": "W₂",
    "marginals": "W₁",
    "nll": "−log p",
    "classifier": "AUC",
}
DIRECTIONS = {"to_b": "b", "to_a": "a"}
"""Directions of a translator, and the ensemble that each translates into."""
SHOWN = ("power_spectrum", "one_point_pdf", "bispectrum", "wasserstein2", "marginals", "nll", "coverage", "classifier")
SHOWN_BY_DIRECTION = ("power_spectrum", "one_point_pdf", "wasserstein2", "classifier")


@dataclass(frozen=True)
class Recommendation:
    """Recommended model for a purpose, and the numbers behind it; ``model`` is empty if none is suitable."""

    purpose: str
    model: str
    sentence: str


@dataclass(frozen=True, repr=False)
class Comparison(Printed):
    """Models on the same data.

    Attributes:
        data: name of the ensemble. budget: training time of each, seconds.
        results: of the models, in the requested order.
        out: directory that holds a folder for each.
    """

    data: str
    budget: float
    seed: int
    results: tuple[ModelResult, ...]
    out: Path | None = None

    @cached_property
    def ranking(self) -> list[ModelResult]:
        """Results with a report, the best quality first."""
        return sorted((result for result in self.results if result.report), key=lambda result: result.quality)

    @property
    def failures(self) -> list[ModelResult]:
        return [result for result in self.results if not result.report]

    @cached_property
    def recommendations(self) -> list[Recommendation]:
        """Recommended model for each purpose."""
        ranking = self.ranking
        if not ranking:
            return []
        best = ranking[0]
        alike = [e.model for e in ranking[1:] if e.quality <= ALIKE * best.quality]
        also = f"; {listing(alike)} {'are' if len(alike) > 1 else 'is'} within {100 * (ALIKE - 1):.0f} % of it" * bool(
            alike
        )
        recommended = [Recommendation("Best quality", best.model, f"{_quality(best)}, {_speed(best)}{also}.")]
        fastest = min(ranking, key=lambda result: result.milliseconds)
        factor = best.milliseconds / fastest.milliseconds
        against = (
            "; it is also the best" if fastest is best else f", {number(factor, 2)} times faster than {best.model}"
        )
        recommended.append(
            Recommendation("Fastest sampling", fastest.model, f"{_speed(fastest)}{against}; {_quality(fastest)}.")
        )
        for ability, purpose in (("density", "Density needed"), ("latent", "Latent code needed")):
            name = _with_density if ability == "density" else _name
            able = [result for result in ranking if ability in result.report.get("abilities", ())]
            if not able:
                recommended.append(Recommendation(purpose, "", "none of these models has one."))
                continue
            chosen = able[0]
            sentence = _quality(chosen)
            if ability == "density":
                # With a density the models can be told apart by it, more sharply than by any distance.
                densities = [(line["value"], result) for result in able if (line := result.verdict("nll"))]
                chosen = min(densities, key=lambda pair: pair[0])[1] if densities else chosen
                line = chosen.verdict("nll")
                sentence = f"mean −log p of {_value(line)}; {_quality(chosen)}" if line else _quality(chosen)
            others = [name(result) for result in able if result is not chosen]
            also = f"; {listing(others)} {'have' if len(others) > 1 else 'has'} one too" if others else ""
            recommended.append(Recommendation(purpose, chosen.model, f"{sentence}{also}."))
        return recommended

    @property
    def count(self) -> str:
        """Number of compared models, in words."""
        return f"{len(self.results)} model{'s' * (len(self.results) != 1)}"

    @property
    def summary(self) -> str:
        """Summary of the comparison and its best model, in one or two sentences."""
        trained = f"{self.count}, {duration(self.budget)} of training each."
        if not self.ranking:
            return f"{trained} None could be judged."
        best = self.ranking[0]
        return f"{trained} Best: {best.model}, {_quality(best)}."

    def to_dict(self) -> dict[str, Any]:
        """Every number under stable keys, as plain values; what is not finite is None."""
        ranks = {result.model: rank for rank, result in enumerate(self.ranking, start=1)}
        return plain(  # type: ignore[return-value]
            {
                "data": self.data,
                "budget_seconds": self.budget,
                "seed": self.seed,
                "summary": self.summary,
                "recommendations": [asdict(recommendation) for recommendation in self.recommendations],
                "models": [
                    {
                        "model": result.model,
                        "status": "judged" if result.report else "failed",
                        "failure": result.failure or None,
                        "rank": ranks.get(result.model),
                        "quality": result.quality,
                        "milliseconds_per_sample": result.milliseconds,
                        "training_seconds": result.report.get("timing", {}).get("training_seconds"),
                        "weights": result.report.get("counts", {}).get("weights"),
                        "abilities": result.report.get("abilities", []),
                        "verdicts": result.report.get("verdicts", []),
                    }
                    for result in self.results
                ],
            }
        )

    def save(self, path: str | Path) -> None:
        """Write the page (``.html``) or the numbers (``.json``), all or nothing.

        Raises:
            UsageError: for another ending, or a folder that cannot be written to.
        """
        save_page(path, self, "comparison")

    def table(self) -> TextGroup:
        """Leaderboard for the terminal, with the recommendations."""
        from rich.table import Table
        from rich.text import Text

        table = Table(title=f"{self.count} on {self.data}", title_justify="left", box=None, padding=(0, 1, 0, 0))
        heads, lines = self._leaderboard(short=True)
        for index, name in enumerate(heads):
            last = index == len(heads) - 1
            table.add_column(
                name, justify="left" if last or not index else "right", no_wrap=not last, min_width=8 * last
            )
        for line in lines:
            table.add_row(*(Text(cell["text"], style=STYLES.get(cell["verdict"], "")) for cell in line))
        for result in self.failures:
            table.add_row(result.model, "failed", *[""] * (len(heads) - 2))
        words = [f"{r.purpose}: {r.model}{', ' if r.model else ''}{r.sentence}" for r in self.recommendations]
        words += [f"{result.model} failed: {result.failure}" for result in self.failures]
        return TextGroup(table, Text(), *map(Text, words))

    def html(self) -> str:
        """Page of the comparison: one self-contained document with links to the reports of the models."""
        heads, lines = self._leaderboard()
        ranking = self.ranking
        colours = {result.model: MODELS[index % len(MODELS)] for index, result in enumerate(ranking)}
        return render(
            "compare.html.j2",
            comparison=self,
            heads=heads,
            lines=lines,
            ranking=ranking,
            inks=colours,
            strips=overlays.strips(ranking),
            panels=overlays.scatter_panels(ranking, colours),
            overview=overlays.overview_picture(ranking, colours),
            scores=overlays.scores_picture(ranking, colours),
            curves=overlays.curve_pictures(ranking, colours),
        )

    def _leaderboard(self, short: bool = False) -> tuple[list[str], list[list[dict[str, str]]]]:
        """Column heads, and for each judged model its cells: a text and the verdict that colours it.

        Arguments:
            short: symbols for heads and values without errors, as fit on a terminal.
        """
        value = _short_value if short else _value
        ranking = self.ranking
        symbols = SYMBOLS | {
            f"{direction}/{key}": f"{SYMBOLS[key]}→{to}"
            for direction, to in DIRECTIONS.items()
            for key in SHOWN_BY_DIRECTION
        }
        keys = (*SHOWN, *(f"{direction}/{key}" for direction in DIRECTIONS for key in SHOWN_BY_DIRECTION))
        present = [key for key in keys if any(result.verdict(key) for result in ranking)]
        labels = {key: next(v["label"] for e in ranking if (v := e.verdict(key))) for key in present}
        if short:
            labels |= {key: symbol for key, symbol in symbols.items() if key in present}
        heads = ["Model", "Quality", *labels.values(), "ms" if short else "ms per sample", "Weights", "Has"]
        lines = []
        for result in ranking:
            cells = [{"text": result.model, "verdict": ""}, {"text": f"{number(result.quality, 2)} ×", "verdict": ""}]
            for key in present:
                verdict = result.verdict(key)
                cells.append(
                    {"text": value(verdict), "verdict": verdict["verdict"]} if verdict else {"text": "–", "verdict": ""}
                )
            abilities = [ability for ability in result.report["abilities"] if ability]
            for text in (
                number(result.milliseconds),
                f"{result.report['counts']['weights']:,}",
                ", ".join(abilities) or "–",
            ):
                cells.append({"text": text, "verdict": ""})
            lines.append(cells)
        floors = [{"text": "real data" if short else "real against real", "verdict": ""}, {"text": "1", "verdict": ""}]
        for key in present:
            verdict = next(v for e in ranking if (v := e.verdict(key)))
            floors.append({"text": value(verdict | {"value": verdict["floor"], "error": None}), "verdict": ""})
        if ranking:
            lines.append(floors + [{"text": "", "verdict": ""}] * 3)
        return heads, lines


def _value(verdict: dict[str, Any] | None) -> str:
    if verdict is None or verdict["value"] is None:
        return "–"
    if verdict["error"] is None:
        return _short_value(verdict)
    return with_unit(with_error(verdict["value"], verdict["error"]), verdict["unit"])


def _short_value(verdict: dict[str, Any]) -> str:
    unit = "" if verdict["unit"] == "nats" else verdict["unit"]
    return with_unit(number(verdict["value"], 4 if verdict["statistic"] == "nll" else 2), unit)


def _quality(result: ModelResult) -> str:
    if not math.isfinite(result.quality):
        return "no statistic that could be set against a floor"
    text = f"on average {number(result.quality, 2)} times as far from the data as other real data are"
    copied = result.verdict("memorisation")
    if copied and copied["verdict"] == OFF:
        text += f", but {_value(copied)} of its samples are nearer to training members than unseen data are"
    return text


def _name(result: ModelResult) -> str:
    return result.model


def _with_density(result: ModelResult) -> str:
    """The model, and its mean negative log-density where it was judged."""
    line = result.verdict("nll")
    return f"{result.model} ({with_unit(number(line['value'], 4), line['unit'])})" if line else result.model


def _speed(result: ModelResult) -> str:
    return f"{number(result.milliseconds)} ms per sample"
