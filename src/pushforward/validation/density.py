"""Judgement of a density by unseen members: the mean of -log p, compared with the entropy if it is known."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import torch
from scipy import stats

from pushforward.validation.evaluation_data import EvaluationData
from pushforward.validation.judgeable import Judgeable
from pushforward.validation.verdict import UNJUDGED, Verdict, ruled

__all__ = ["judge_density"]

DENSITY_MEMBERS, FEWEST_DENSITIES, DENSITY_VALUES = 2000, 8, 2**16
"""Largest and smallest number of members whose density is evaluated; between them, as many as hold so many values.

With these, the standard error of the mean is about a twentieth of `NATS_PER_DIMENSION` times the dimension, since the
scatter of log p among members grows as the root of the dimension.
"""
FIRST_DENSITIES, DENSITY_SECONDS = 16, 45.0
"""Members of the first batch, and the time after which fewer than the number above must do.

A density that is an integral of a divergence over time can take a second per member. Batches double, so that the number
of members hardly depends on the machine, and the members of a slower model are among those of a faster one.
"""
NATS_PER_DIMENSION = 0.05
"""Largest gap to the exact log-density, per dimension, that counts as close."""


def judge_density(
    data: EvaluationData,
    emulator: Judgeable,
    watch: Callable[[float], None] = lambda part: None,
    seconds: float = DENSITY_SECONDS,
) -> list[Verdict]:
    """Verdict on the mean of -log p over test members, compared with the entropy if it is known.

    The gap to the exact density on the same members estimates the Kullback-Leibler divergence KL(data | model), with
    less noise than either mean. A model at the floor is within 1.96 standard errors of none.

    Arguments:
        watch: function called with the completed fraction.
        seconds: time that the densities may take, beyond that of the first batch.
    """
    most = min(data.count, DENSITY_MEMBERS, max(FEWEST_DENSITIES, DENSITY_VALUES // data.space.size))
    # Evenly over the test set, whose members are ordered by simulation, and the first few at random among them.
    rows = np.random.default_rng(0).permutation(np.linspace(0, data.count - 1, most).round().astype(int))
    model, taken = _log_prob_within(seconds, data, emulator, rows, watch)
    members, x = len(model), data.test[rows[: len(model)]]
    exact = _exact_log_prob(data, x)
    possible = ~np.isneginf(model)
    # Against a known density, a member that the model excludes is an infinite gap.
    counted = model[possible] if exact is None and possible.sum() > 1 else model
    value, error = -float(counted.mean()), float(counted.std(ddof=1)) / math.sqrt(len(counted))
    limits = []
    if members < most:
        limits.append(
            f"A density took {taken / members:.2g} s, so that {members} members, not {most:,}, were evaluated."
        )
    if not possible.all():
        mean = "; the mean is that of the others" if len(counted) < members else ""
        limits.append(
            f"{members - possible.sum():,} of {members:,} members hold values that no sample can take, and have no "
            f"density{mean}."
        )
    limited = " ".join(limits)
    verdict = Verdict(
        "nll",
        "Negative log-density",
        f"mean of −log p over {len(counted):,} test members",
        "nats",
        value,
        error,
        math.nan,
        math.nan,
        math.nan,
        UNJUDGED,
        kind="excess",
        group="density",
        note=limited,
    )
    if exact is None:
        return [verdict]
    gap, entropy = exact - model, -float(exact.mean())
    scatter = float(gap.std(ddof=1)) / math.sqrt(members)
    # Two densities that agree everywhere leave no scatter, and no p-value but 0 or 1.
    p = float(stats.norm.sf(gap.mean() / scatter)) if scatter > 0 else float(gap.mean() <= 1e-9)
    return [
        ruled(
            replace(verdict, floor=entropy, floor_low=entropy - 1.96 * scatter, floor_high=entropy + 1.96 * scatter),
            NATS_PER_DIMENSION * data.space.size,
            p_value=p,
            smallest_noticeable=3.6 * scatter,
            note=f"The exact density gives {entropy:.3f} nats on these members; its entropy is "
            f"{float(data.exact.entropy):.4f} nats. {limited}".strip(),
        )
    ]


def _log_prob_within(
    seconds: float, data: EvaluationData, emulator: Judgeable, rows: np.ndarray, watch: Callable[[float], None]
) -> tuple[np.ndarray, float]:
    """Log-densities of the first of some test members, as many as the time suffices for, and the time taken."""
    parts, begun, start, size, last = list[np.ndarray](), time.perf_counter(), 0, FIRST_DENSITIES, 0.0
    # A batch twice as large takes up to twice as long.
    while start < len(rows) and ((taken := time.perf_counter() - begun) + 2 * last <= seconds or not parts):
        part = rows[start : start + size]
        with torch.no_grad():
            logs = emulator.log_prob(torch.from_numpy(data.test[part]), data.given_to(part))
        parts.append(np.asarray(logs.detach().cpu(), dtype=float))
        last = time.perf_counter() - begun - taken
        start, size = start + len(part), 2 * size
        watch(start / len(rows))
    return np.concatenate(parts), time.perf_counter() - begun


def _exact_log_prob(data: EvaluationData, x: np.ndarray) -> np.ndarray | None:
    log_prob = getattr(data.exact, "log_prob", None)
    if log_prob is None or getattr(data.exact, "entropy", None) is None or data.conditions is not None:
        return None
    return np.asarray(log_prob(x), dtype=float)
