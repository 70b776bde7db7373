"""Closed-form translations between ensembles of periodic maps, which networks start from and are compared with.

Both map values to normal scores and scale each mode of these by the root of the ratio of their spectra. `SmoothedFirst`
smooths the rougher ensemble before this, so that one ensemble is a local function of the smoothed other.
"""

from __future__ import annotations

import torch
from torch import Tensor

from benchmarks.supervised_translation import SPACE
from pushforward.ensembles import Ensemble
from pushforward.ensembles.preprocessing import Preprocessing
from pushforward.models.whitened import Whitening

__all__ = ["GaussianTransport", "SmoothedFirst", "Untranslated"]


class Untranslated:
    """Maps as they are."""

    space, model = SPACE, None

    def translate(self, x: Tensor, to: str) -> Tensor:
        return x


class GaussianTransport(Untranslated):
    """Exact if the normal scores are Gaussian fields: the start of every family.

    Arguments:
        a, b: training members, shape ``(n, 1, 64, 64)``.
    """

    def __init__(self, a: Tensor, b: Tensor) -> None:
        self.scores, self.whitening = dict[str, Preprocessing](), dict[str, Whitening]()
        for side, x in (("a", a), ("b", b)):
            self.scores[side] = Preprocessing.fit(Ensemble.from_array(x.numpy(), space=SPACE), "gaussianise")
            self.whitening[side] = whitening_of(self.scores[side](x))

    def translate(self, x: Tensor, to: str) -> Tensor:
        origin = "a" if to == "b" else "b"
        white = self.whitening[origin](self.scores[origin](x))
        return self.scores[to].inverse(self.whitening[to].inverse(white))


class SmoothedFirst(Untranslated):
    """`GaussianTransport` of maps of which the rougher ones were smoothed by min(1, sqrt(P_b / P_a)) before.

    The spectra are those of the maps as they are. `ensembles.smoothing`, which families begin with, compares them in
    units of their largest scales and repeats the filter, with the rank map of values in between.
    """

    def __init__(self, a: Tensor, b: Tensor) -> None:
        power = {side: whitening_of(x - x.mean()).power for side, x in (("a", a), ("b", b))}
        finer = power["a"].shape[1] // 2
        self.rough = "a" if power["a"][:, finer:].sum() > power["b"][:, finer:].sum() else "b"
        smooth = "b" if self.rough == "a" else "a"
        self.filter = whitening_of(torch.zeros_like(a[:1]))
        # A whitening multiplies by power^(-1/2). Means of maps are left alone.
        self.filter.power = (power[self.rough] / power[smooth]).clamp(min=1.0)
        self.filter.power[:, 0] = 1.0
        self.after = GaussianTransport(
            *(self._smoothed(x) if side == self.rough else x for side, x in (("a", a), ("b", b)))
        )

    def translate(self, x: Tensor, to: str) -> Tensor:
        moved = self.after.translate(self._smoothed(x) if to != self.rough else x, to)
        return self.filter.inverse(moved) if to == self.rough else moved

    def white(self, x: Tensor, side: str) -> Tensor:
        """Whitened normal scores of maps of one ensemble, in which translations are the identity."""
        found: Tensor = self.after.whitening[side](
            self.after.scores[side](self._smoothed(x) if side == self.rough else x)
        )
        return found

    def _smoothed(self, x: Tensor) -> Tensor:
        return self.filter(x)


def whitening_of(x: Tensor) -> Whitening:
    """The whitening of maps with their spectrum."""
    found = Whitening(SPACE)
    found.update(x)
    return found
