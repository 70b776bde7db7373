"""Defects planted into conditional maps of a formula are noticed by a statistic whose name says what is wrong."""

from dataclasses import replace

import numpy as np
import pytest
from benchmarks.perfect_samples import Trial, cosmic_web
from benchmarks.planted import DEFECTS
from noticing import assert_noticed
from stand_ins import conditional_maps, maps

# Samples of the cosmic web with another sigma_8 need simulations: that one is planted by the benchmark alone.
QUICK = [each for each in DEFECTS if each.source is cosmic_web and not each.name.startswith("sigma_8")]


def formula(seed: int, count: int) -> Trial:
    """Maps of given amplitude and slope; each sample is at the condition of a test member."""
    whole = conditional_maps(5 * count, seed)
    test = whole.subset(np.arange(count))
    samples = maps(test.conditions, np.random.default_rng([seed, 5]))
    return Trial(samples, test, whole.subset(np.arange(count, len(whole))))


@pytest.mark.parametrize("defect", QUICK, ids=lambda defect: defect.name)
def test_is_noticed_by_name(defect):
    assert_noticed(defect, replace(defect, source=formula).trial(0).judged(0))


def test_perfect_samples_are_not_told_from_data():
    report = formula(0, 240).judged(0)
    assert report.joint_p_value > 1e-3
    assert not [v.sentence for v in report.verdicts if v.verdict == "off"]
