"""Judgement of a density by unseen members: the mean of -log p, compared with the entropy if it is known."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import torch
from scipy import stats

from pushforward.validation.evaluation_data import Material
from pushforward.validation.judgeable import Judgeable
from pushforward.validation.verdict import UNJUDGED, Verdict, ruled

__all__ = ["judge_density"]

DENSITY_MEMBERS, FEWEST_DENSITIES, DENSITY_VALUES = 2000, 8, 2**16
"""Largest and smallest number of members whose density is evaluated; between them, as many as hold so many values.

A density that is an integral over time costs much more than a sample. The members must not depend on that cost: models
are compared by the mean over the same ones.
"""
NATS_A_DIMENSION = 0.05
"""A log-density this far below the exact one, for each dimension, still counts as close."""


def judge_density(material: Material, emulator: Judgeable) -> list[Verdict]:
    """Verdict on the mean of -log p over test members, compared with the entropy if it is known.

    The gap to the exact density on the same members estimates the Kullback-Leibler divergence KL(data | model), with
    less noise than either mean. A model at the floor is within 1.96 standard errors of none.
    """
    members = min(material.count, DENSITY_MEMBERS, max(FEWEST_DENSITIES, DENSITY_VALUES // material.space.size))
    # Evenly over the test set, whose members are ordered by simulation.
    rows = np.linspace(0, material.count - 1, members).round().astype(int)
    x = material.test[rows]
    conditions = material.given_to(rows)
    with torch.no_grad():
        model = np.asarray(emulator.log_prob(torch.from_numpy(x), conditions).detach().cpu(), dtype=float)
    value, error = -float(model.mean()), float(model.std(ddof=1)) / math.sqrt(members)
    exact = _exact_log_prob(material, x)
    verdict = Verdict(
        "nll",
        "Negative log-density",
        f"mean of −log p over {members:,} test members",
        "nats",
        value,
        error,
        math.nan,
        math.nan,
        math.nan,
        UNJUDGED,
        kind="excess",
        group="density",
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
            NATS_A_DIMENSION * material.space.size,
            p_value=p,
            smallest_noticeable=3.6 * scatter,
            note=f"The exact density gives {entropy:.3f} nats on these members; its entropy is "
            f"{float(material.exact.entropy):.4f} nats.",
        )
    ]


def _exact_log_prob(material: Material, x: np.ndarray) -> np.ndarray | None:
    log_prob = getattr(material.exact, "log_prob", None)
    if log_prob is None or getattr(material.exact, "entropy", None) is None or material.conditions is not None:
        return None
    return np.asarray(log_prob(x), dtype=float)
