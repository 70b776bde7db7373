"""Power of the judgement: real data with one planted defect, offered as generated, over seeds.

A defect is noticed where a statistic whose name says what is wrong is beyond its floor. Where it is not, the smallest
defect that the report claims it would notice should be larger than what was planted.

    python -m benchmarks.power [SEEDS]
"""

from __future__ import annotations

import sys
from typing import Any

import numpy as np

from benchmarks.planted import DEFECTS, Defect
from benchmarks.stored_results import measure_once
from benchmarks.timing import report

SEEDS = 10


def main(seeds: int = SEEDS) -> None:
    rows, further = [], {}
    for defect in DEFECTS:
        found = [
            measure_once("power", f"{defect.name} {seed}", {}, lambda d=defect, s=seed: d.trial(s).record(s))
            for seed in range(seeds)
        ]
        noticed = [any(v["beyond"] for name, v in each["verdicts"].items() if says(defect, name)) for each in found]
        least = _by_statistic(defect, found)
        best = least[0]
        rows.append(
            {
                "defect": defect.name,
                "data": defect.source.__name__.replace("_", " "),
                "samples": found[0]["members"],
                "noticed": f"{sum(noticed)} of {seeds}",
                "by chance": f"{100 * (1 - np.prod([1 - each['level'] for each in least])):.0f} %",
                "seen best by": best["label"],
                "median size": best["size"],
                "smallest noticeable": best["noticeable"],
                "median p": best["p"],
                "joint p < 5 %": f"{sum(each['joint'] < 0.05 for each in found)} of {seeds}",
            }
        )
        further[defect.name] = _others(found)
    notes = [
        "noticed: some statistic whose name says what is wrong is beyond its floor; by chance: how often these "
        "statistics would be for perfect samples",
        "the tables of each defect list every statistic that was beyond its floor in half of the seeds or more",
    ]
    report("power", "Power of the judgement", rows, notes=notes, further=further)


def says(defect: Defect, statistic: str) -> bool:
    """Whether the name of a statistic says what is wrong."""
    return statistic.startswith(defect.seen_by)


def _summary(name: str, found: list[dict[str, Any]]) -> dict[str, Any]:
    verdicts = [each["verdicts"][name] for each in found if name in each["verdicts"]]
    p, size, noticeable = (np.median([v[key] for v in verdicts]) for key in ("p", "size", "noticeable"))
    unit = verdicts[0]["unit"] and f" {verdicts[0]['unit']}"
    return {
        "label": verdicts[0]["label"],
        "level": verdicts[0]["level"],
        "beyond": sum(v["beyond"] for v in verdicts),
        "size": f"{size:.2g}{unit}",
        "noticeable": f"{noticeable:.2g}{unit}",
        "p": f"{p:.1g}",
    }


def _by_statistic(defect: Defect, found: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The statistics whose name says what is wrong, the one that was beyond most often first."""
    names = dict.fromkeys(name for each in found for name in each["verdicts"] if says(defect, name))
    return sorted((_summary(name, found) for name in names), key=lambda each: (-each["beyond"], float(each["p"])))


def _others(found: list[dict[str, Any]]) -> list[dict[str, Any]]:
    names = dict.fromkeys(name for each in found for name in each["verdicts"])
    every = [_summary(name, found) for name in names]
    often = [each for each in every if 2 * each["beyond"] >= len(found)]
    return [
        {
            "statistic": each["label"],
            "beyond": f"{each['beyond']} of {len(found)}",
            "median size": each["size"],
            "smallest noticeable": each["noticeable"],
            "median p": each["p"],
        }
        for each in often
    ]


if __name__ == "__main__":
    main(*(int(word) for word in sys.argv[1:]))
