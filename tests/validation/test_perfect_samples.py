"""Real data offered as generated samples, of every set that the calibration is measured by."""

import pytest
from benchmarks.perfect_samples import SETS, cosmic_web

from pushforward.validation.verdict import OFF

# Maps of the cosmic web take a minute to simulate; conditional maps of a formula are judged in `test_verdicts`.
QUICK = [name for name, source in SETS.items() if source is not cosmic_web]


@pytest.mark.parametrize("name", QUICK)
def test_perfect_samples_are_not_told_from_data(name):
    report = SETS[name](0).judged(0)
    # With a calibrated joint p-value, one perfect set in a thousand lies below.
    assert report.joint_p_value > 1e-3
    off = {v.statistic for v in report.verdicts if v.verdict == OFF}
    assert off <= {"value_support"}, "support has no tolerance: what is beyond its floor is off"
    assert report.failures == ()
