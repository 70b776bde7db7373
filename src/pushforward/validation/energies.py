"""Judgement by an energy that the data are known to follow: energies of samples, statistical weights, free energy.

Weights exp(-U) / q correct the samples of a model with density q to the Boltzmann distribution. The effective number of
samples, and the ln Z of the weights, judge the density at the model's samples; the mean of -log q over members judges
it at the data.
"""

from __future__ import annotations

import math
import time

import numpy as np
import torch
from scipy import stats

from pushforward.energies import Energy, Reweighted
from pushforward.energies.weights import ess
from pushforward.validation.evaluation_data import EvaluationData
from pushforward.validation.judgeable import Judgeable
from pushforward.validation.statistic import Rows, Statistic
from pushforward.validation.verdict import UNJUDGED, Verdict, ruled

__all__ = ["energy_statistics", "judge_weights", "weight_verdicts"]

MOST_WEIGHTED, FEWEST_WEIGHTED, WEIGHTED_VALUES = 1000, 64, 2**13
"""Largest and smallest number of weighted samples; between them, as many as hold so many values."""
FIRST_WEIGHTED, WEIGHT_SECONDS = 16, 20.0
"""Samples of a trial that measures their cost, and seconds for weights; at least twice the trial are weighted."""
REPETITIONS = 200
NATS = 0.1
"""Negligible error of ln Z."""


def energy_statistics(data: EvaluationData) -> list[Statistic]:
    """The distribution of the energy, if there is one that all data follow."""
    if _energy(data) is None:
        return []
    return [
        Statistic(
            "energies",
            "Energies",
            "Wasserstein-1 distance of the energies, in per cent of their standard deviation",
            rows=_energies,
            distance=_distance,
            unit="%",
            headline=True,
            note="The 200 quantiles from 0.25 to 99.75 %; rarer energies, such as those of particles that overlap, do "
            "not count.",
        )
    ]


def judge_weights(data: EvaluationData, emulator: Judgeable, seconds: float = WEIGHT_SECONDS) -> list[Verdict]:
    """Effective sample size and ln Z by weights, for models that give samples with their densities.

    Arguments:
        seconds: time that the weights may take, if a few samples cost more.
    """
    energy = _energy(data)
    # Densities of fields may be estimates, whose noise the weights would be judged by.
    if energy is None or "joint" not in emulator.abilities or data.space.grid:
        return []
    count = min(MOST_WEIGHTED, max(FEWEST_WEIGHTED, WEIGHTED_VALUES // data.space.size))
    reweight = getattr(emulator, "reweight")  # noqa: B009
    with torch.no_grad():
        begun = time.perf_counter()
        reweight(FIRST_WEIGHTED, energy=energy, seed=data.count)
        affordable = int(seconds * FIRST_WEIGHTED / (time.perf_counter() - begun))
        count = min(count, max(2 * FIRST_WEIGHTED, affordable))
        weighted = reweight(count, energy=energy, seed=data.count)
    return weight_verdicts(weighted, energy)


def weight_verdicts(weighted: Reweighted, energy: Energy) -> list[Verdict]:
    """Effective sample size, and ln Z where it is known, of weighted samples."""
    logs, count = weighted.log_weights, len(weighted.log_weights)
    drawn = torch.randint(count, (REPETITIONS, count), generator=torch.Generator().manual_seed(0))
    scatter = np.std([ess(logs[rows]) for rows in drawn], ddof=1)
    effective = Verdict(
        "ess",
        "Effective sample size",
        f"effective fraction of {count:,} samples with weights exp(−U)/q",
        "%",
        100 * weighted.ess / count,
        100 * float(scatter) / count,
        math.nan,
        math.nan,
        math.nan,
        UNJUDGED,
        kind="score",
        group="density",
        note="100 %: the model is the Boltzmann distribution. Regions that no sample has reached are not counted.",
    )
    return [effective, *_free_energy(weighted, energy)]


def _free_energy(weighted: Reweighted, energy: Energy) -> list[Verdict]:
    known = energy.facts.log_z
    error = math.hypot(weighted.log_z_error, energy.facts.log_z_error)
    # Equal weights have an error of rounding, by which nothing can be judged.
    if known is None or not 1e-12 < error < math.inf:
        return []
    verdict = Verdict(
        "log_z",
        "Free energy",
        "ln Z by the weights",
        "nats",
        weighted.log_z,
        weighted.log_z_error,
        known,
        known - 1.96 * error,
        known + 1.96 * error,
        UNJUDGED,
        kind="score",
        group="density",
        floor_error=energy.facts.log_z_error,
    )
    p = 2 * float(stats.norm.sf(abs(weighted.log_z - known) / error))
    return [ruled(verdict, NATS, p_value=p, smallest_noticeable=3.6 * error)]


def _energy(data: EvaluationData) -> Energy | None:
    found = getattr(data.exact, "energy", None)
    return found if isinstance(found, Energy) and data.conditions is None else None


def _energies(data: EvaluationData) -> Rows:
    energy = _energy(data)
    assert energy is not None
    highest = np.finfo(np.float32).max

    def of(x: np.ndarray) -> np.ndarray:
        values = np.asarray(energy(torch.from_numpy(x).double()), dtype=float)
        return np.where(np.isfinite(values), values, highest)[:, None]

    with torch.no_grad():
        return of(data.generated), of(data.real)


def _distance(a: np.ndarray, b: np.ndarray) -> float:
    quantiles = (np.arange(200) + 0.5) / 200
    difference = np.abs(np.quantile(a, quantiles) - np.quantile(b, quantiles)).mean()
    return 100 * float(difference / max(float(b.std()), 1e-300))
