"""Each planted defect is noticed by a statistic whose name says what is wrong, and real data are not."""

from dataclasses import replace

import numpy as np
import pytest
from benchmarks.perfect_samples import cosmic_web, gaussian_field, unlabelled_digits
from benchmarks.planted import DEFECTS
from noticing import assert_noticed

from pushforward.validation.verdict import AT_FLOOR, OFF

# Maps of the cosmic web take a minute to simulate: their defects are planted by the benchmark alone.
QUICK = [each for each in DEFECTS if each.source is not cosmic_web]
MEMBERS = 300


@pytest.mark.parametrize("defect", QUICK, ids=lambda defect: defect.name)
def test_is_noticed_by_name(defect):
    trial = replace(defect, count=min(defect.count, MEMBERS)).trial(0)
    assert_noticed(defect, trial.judged(0))


def test_real_data_are_at_the_floor():
    report = gaussian_field(0, 200).judged(0)
    assert sum(v.verdict != AT_FLOOR for v in report.verdicts) <= 3
    assert report.joint_p_value > 0.01
    assert {v.statistic for v in report.verdicts if v.verdict == OFF} <= {"value_support"}


def test_classes_that_samples_were_not_asked_for_are_counted_and_named():
    trial = unlabelled_digits(1, 200)
    rows = trial.test.conditions[:, 0] != 3
    missing = replace(trial, generated=trial.test.take(np.resize(np.flatnonzero(rows), 200)))
    verdict = missing.judged(0).verdict("classes")
    assert verdict.verdict != AT_FLOOR
    assert "Absent: 3" in verdict.note
    assert trial.judged(0).verdict("classes").verdict == AT_FLOOR
