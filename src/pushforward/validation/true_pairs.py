r"""Accuracy of a translation between two ensembles, by true pairs unseen in training.

A translation G of a to b should have the statistics of b and lose nothing that F: b -> a could bring back; and of a
pair (a_i, b_i) the translation G(a_i) should be b_i,

    r(k) = P_ab / sqrt(P_a P_b),     T(k) = sqrt(P_G(a) / P_b),

which no distribution determines: a translation may have the right statistics and belong to other members. The same
numbers are given for the untranslated members.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import singledispatch
from typing import TYPE_CHECKING, Literal

import numpy as np
from torch import Tensor

from pushforward import statistics
from pushforward.errors import UsageError
from pushforward.models import ends_of
from pushforward.models.pairs import direction, other_end
from pushforward.spaces import Field, Space

if TYPE_CHECKING:
    from pushforward.emulator import Emulator

__all__ = ["Figure", "Sides", "Translated", "translated", "translated_figures", "translation_figures"]

_SPLITS = 20


@dataclass(frozen=True)
class Sides:
    """Members of both ensembles in the user's units; row i of one belongs to row i of the other."""

    a: Tensor
    b: Tensor


@dataclass(frozen=True)
class Figure:
    """One statistic of one direction.

    Attributes:
        statistic, label, quantity, unit: its key, its name with the direction, what is measured and in what unit.
        value: of the translations.
        untranslated: of the members as they are.
        floor, floor_high: of real members against other real ones, median and largest; NaN where there is none.
        curve: over k, where there is one. k: of the curve.
    """

    statistic: str
    label: str
    quantity: str
    unit: str
    value: float
    untranslated: float
    floor: float = float("nan")
    floor_high: float = float("nan")
    k: np.ndarray | None = None
    curve: np.ndarray | None = None


@dataclass(frozen=True)
class Translated:
    """Members translated in one direction.

    Attributes:
        to: end of the direction, ``"a"`` or ``"b"``.
        origin: the members. moved: their translations. target: their true partners.
        back: translations of the translations; None for a translator of one way.
    """

    to: str
    origin: Tensor
    moved: Tensor
    target: Tensor
    back: Tensor | None

    @property
    def arrow(self) -> str:
        """Name of the direction."""
        return direction(self.to)


def translation_figures(emulator: Emulator, sides: Sides) -> list[Figure]:
    """All figures, of a to b and of b to a, or of the direction that the translator has.

    Arguments:
        emulator: a translator.
        sides: members that training did not see.

    Raises:
        UsageError: if a translation is not finite.
    """
    return [figure for each in translated(emulator, sides) for figure in translated_figures(emulator.space, each)]


def translated(emulator: Emulator, sides: Sides) -> list[Translated]:
    """Translations and round trips of members of both ensembles, in each direction that the translator has.

    Raises:
        UsageError: if a translation is not finite.
    """
    found = []
    ends = ends_of(emulator.model)
    for to, origin, target in (("b", sides.a, sides.b), ("a", sides.b, sides.a)):
        if to not in ends:
            continue
        moved = emulator.translate(origin, to)
        back = emulator.translate(moved, other_end(to)) if len(ends) > 1 else None
        if not bool(moved.isfinite().all()):
            raise UsageError(f"translations to {to} hold values that are not finite; train longer, or at a lower rate")
        found.append(Translated(to, origin, moved, target, back))
    return found


@singledispatch
def translated_figures(space: Space, each: Translated) -> list[Figure]:
    """All figures of one direction; of samples that are no fields, distances in the user's units."""
    scale = float(each.origin.flatten(1).var(0).sum().sqrt())

    def apart(x: Tensor, y: Tensor) -> float:
        return float((x - y).flatten(1).square().sum(1).mean().sqrt())

    def far(x: Tensor, y: Tensor) -> float:
        return float(statistics.wasserstein2(x.flatten(1)[:2000], y.flatten(1)[:2000]).distance)

    floors = [far(*halves) for halves in _halves(each.target, 5)]
    found = [
        Figure(
            "wasserstein2",
            f"Wasserstein distance, {each.arrow}",
            "exact, of translations from real members",
            "",
            value=far(each.moved, each.target),
            untranslated=far(each.origin, each.target),
            floor=float(np.median(floors)),
            floor_high=max(floors),
        )
    ]
    if each.back is not None:
        found.append(
            Figure(
                "round_trip",
                f"Round trip, {each.arrow} and back",
                "rms distance over the rms scatter of members",
                "",
                value=apart(each.back, each.origin) / scale,
                untranslated=0.0,
            )
        )
    found.append(
        Figure(
            "truth",
            f"Truth, {each.arrow}",
            "rms distance from the true partner over the scatter",
            "",
            value=apart(each.moved, each.target) / scale,
            untranslated=apart(each.origin, each.target) / scale,
        )
    )
    return found


@translated_figures.register
def _(space: Field, each: Translated) -> list[Figure]:
    window: Literal["hann"] | None = None if space.periodic else "hann"

    def power(x: Tensor) -> np.ndarray:
        return spectrum(x).power.mean((0, 1)).numpy()

    def spectrum(x: Tensor) -> statistics.PowerSpectrum:
        return statistics.power_spectrum(x, space.box, window=window)

    def correlation(x: Tensor, y: Tensor) -> np.ndarray:
        found = statistics.cross_power_spectrum(x, y, space.box, window=window)
        return found.correlation.mean((0, 1)).numpy()

    def error(ratio: np.ndarray) -> float:
        return 100 * float(np.abs(ratio - 1)[within].mean())

    target = spectrum(each.target)
    k, real = target.k.numpy(), target.power.mean((0, 1)).numpy()
    within, half = k <= k[-1] / 2, "up to half the Nyquist frequency"
    moved, plain = power(each.moved) / real, power(each.origin) / real
    # Halves of n members differ by twice as much in variance as two sets of n.
    halves = _halves(target.power.mean(1).numpy(), _SPLITS)
    floors = [error(one.mean(0) / two.mean(0)) / np.sqrt(2) for one, two in halves]
    found = [
        Figure(
            "power_spectrum",
            f"Power spectrum, {each.arrow}",
            f"mean of |P / P_real - 1|, {half}",
            "%",
            value=error(moved),
            untranslated=error(plain),
            floor=float(np.median(floors)),
            floor_high=max(floors),
            k=k,
            curve=moved,
        )
    ]
    if each.back is not None:
        returned, again = correlation(each.back, each.origin), power(each.back) / power(each.origin)
        found += [
            Figure(
                "round_trip",
                f"Round trip, {each.arrow} and back",
                f"mean r(k) with the member itself, {half}",
                "",
                value=float(returned[within].mean()),
                untranslated=1.0,
                k=k,
                curve=returned,
            ),
            Figure(
                "round_trip_power",
                f"Power spectrum of the round trip, {each.arrow} and back",
                f"mean of |P / P_member - 1|, {half}",
                "%",
                value=error(again),
                untranslated=0.0,
                k=k,
                curve=again,
            ),
        ]
    r, untranslated = correlation(each.moved, each.target), correlation(each.origin, each.target)
    return [
        *found,
        Figure(
            "correlation_with_truth",
            f"Correlation with the truth, {each.arrow}",
            f"mean r(k), {half}",
            "",
            value=float(r[within].mean()),
            untranslated=float(untranslated[within].mean()),
            k=k,
            curve=r,
        ),
        Figure(
            "transfer_function",
            f"Transfer function, {each.arrow}",
            f"mean of |T(k) - 1|, {half}",
            "%",
            value=error(np.sqrt(moved)),
            untranslated=error(np.sqrt(plain)),
            k=k,
            curve=np.sqrt(moved),
        ),
    ]


def _halves(x: Tensor | np.ndarray, count: int) -> list[tuple]:
    """Random halves of the rows, several times."""
    rng, half = np.random.default_rng(0), len(x) // 2
    orders = [rng.permutation(len(x)) for _ in range(count)]
    return [(x[order[:half]], x[order[half : 2 * half]]) for order in orders]
