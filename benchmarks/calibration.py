"""Calibration of the judgement: real data offered as generated, over seeds.

A statistic that is calibrated is beyond its floor as often as its level says (2.5 % where one direction is worse,
5 % where both are), the joint p-value is uniform, and a quoted error is the scatter of the value over seeds.

    python -m benchmarks.calibration [SEEDS]
"""

from __future__ import annotations

import sys
from collections import defaultdict
from typing import Any

import numpy as np
from scipy import stats

from benchmarks.perfect_samples import SETS, WITHOUT_TRAINING
from benchmarks.stored_results import measure_once
from benchmarks.timing import report

SEEDS = 200


def main(seeds: int = SEEDS) -> None:
    rows, further = [], {}
    for name, drawn in (SETS | WITHOUT_TRAINING).items():
        found = [
            measure_once("calibration", f"{name} {seed}", {}, lambda d=drawn, s=seed: d(s).record(s))
            for seed in range(seeds)
        ]
        joint = np.array([each["joint"] for each in found])
        test = stats.ks_1samp(joint, stats.uniform.cdf)
        beyond = np.array([sum(v["beyond"] for v in each["verdicts"].values()) for each in found])
        levels = np.array([sum(v["level"] for v in each["verdicts"].values()) for each in found])
        rows.append(
            {
                "real data as generated": name,
                "test members": found[0]["members"],
                "statistics": len(found[0]["verdicts"]),
                "beyond per report": f"{beyond.mean():.2f}",
                "expected": f"{levels.mean():.2f}",
                "joint p < 5 %": f"{100 * np.mean(joint < 0.05):.0f} %",
                "uniformity of joint p (KS)": f"{test.pvalue:.3f}",
                "seconds per report": f"{np.median([each['seconds'] for each in found]):.1f}",
            }
        )
        further[name] = _statistics(found)
    notes = [
        f"{seeds} seeds each: the beyond rate of one statistic is known to {100 * (0.05 * 0.95 / seeds) ** 0.5:.1f} "
        "percentage points",
        "error / scatter: mean quoted error over the standard deviation over seeds of the value, or of a score's "
        "distance to that of real data",
        "alone: without training members; half of the members compared are the reference, half give the floor",
        "conditional cosmic-web: 20 simulations of 12 maps are the test, each sample is of a simulation of its own",
    ]
    report("calibration", "Calibration of the judgement", rows, notes=notes, further=further)


def _statistics(found: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """A row for each statistic."""
    by_name: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for each in found:
        for name, verdict in each["verdicts"].items():
            by_name[name].append(verdict)
    rows = []
    for verdicts in by_name.values():
        values = np.array([v["value"] for v in verdicts])
        errors = np.array([v["error"] for v in verdicts])
        scatter = values.std(ddof=1)
        rows.append(
            {
                "statistic": verdicts[0]["label"],
                "beyond": f"{100 * np.mean([v['beyond'] for v in verdicts]):.1f} %",
                "nominal": f"{100 * verdicts[0]['level']:.1f} %",
                "median p": f"{np.median([v['p'] for v in verdicts]):.2f}",
                "error / scatter": f"{np.nanmean(errors) / scatter:.2f}" if scatter > 0 else "–",
            }
        )
    return rows


if __name__ == "__main__":
    main(*(int(word) for word in sys.argv[1:]))
