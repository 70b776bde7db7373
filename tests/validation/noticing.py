"""What is asked of a report on samples with a planted defect."""

from benchmarks.planted import Defect
from benchmarks.power import says

from pushforward.validation import Report
from pushforward.validation.verdict import AT_FLOOR


def assert_noticed(defect: Defect, report: Report) -> None:
    """A statistic whose name says what is wrong is beyond its floor, and significant."""
    assert report.failures == ()
    seen = [v for v in report.verdicts if says(defect, v.statistic) and v.verdict != AT_FLOOR]
    assert seen, f"none of {defect.seen_by} noticed: {defect.name}"
    assert all(v.p_value < 0.05 for v in seen)
