"""Every report prints its table, shows it in a notebook, and has a repr of one line."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest
from stand_ins import two_blobs

import pushforward as pf
from pushforward.validation.comparison import Comparison
from pushforward.validation.energy_report import EnergyReport
from pushforward.validation.evolution import EVOLVED, FLOOR, UNCORRECTED
from pushforward.validation.evolution import Comparison as Trajectories
from pushforward.validation.evolution_report import EvolutionReport
from pushforward.validation.model_result import ModelResult
from pushforward.validation.translation_report import TranslationReport
from pushforward.validation.true_pairs import Figure
from pushforward.validation.true_pairs_report import TruePairsReport


@cache
def judged():
    x = [two_blobs(60, np.random.default_rng(seed)) for seed in (0, 1)]
    return pf.judge(*x, progress=False)


def evolved():
    shells = np.ones((2, 1, 3))
    paths = Trajectories((1.0,), np.arange(1.0, 4.0), shells, shells, np.ones((2, 1)))
    return EvolutionReport("hybrid", "cubes", dict.fromkeys((EVOLVED, UNCORRECTED, FLOOR), paths), 1.0)


REPORTS = {
    "samples": (judged, "samples on data", "Sliced Wasserstein"),
    "translation": (
        lambda: TranslationReport("between", "maps", {"b": judged()}, {"a": 0.1}, {}), "samples on data", "standard dev"
    ),
    "energy": (lambda: EnergyReport("realnvp", "phi4", (), 9, 1.0, np.zeros(9)), "realnvp on the energy phi4", "known"),
    "trajectories": (evolved, "hybrid beside cubes", "uncorrected"),
    "true pairs": (
        lambda: TruePairsReport("between", "maps", (Figure("d", "Distance, a to b", "rms", "", 1.0, 2.0, 0.5),), 9),
        "between on maps", "Distance, a to b",
    ),
    "comparison": (
        lambda: Comparison("moons", 1.0, 0, (ModelResult("vae", {}, failure="no memory"),)), "1 model on moons",
        "vae failed: no memory",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", REPORTS)
def test_a_report_prints_its_table(name, capsys):
    make, title, content = REPORTS[name]
    report = make()
    print(report)
    print(report.table())
    printed = capsys.readouterr().out
    assert printed.count(title) == 2
    assert printed.count(content) >= 2
    assert "object at" not in printed
    assert title in repr(report)
    assert len(repr(report)) < 200
    assert "\n" not in repr(report)
    page = report._repr_html_()
    assert content in page
    assert page.lstrip().startswith("<")
