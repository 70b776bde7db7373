"""Validation of emulators: every statistic is compared with its floor, real data against real data."""

from __future__ import annotations

from pushforward.validation.compare import compare
from pushforward.validation.comparison import Comparison, Recommendation
from pushforward.validation.judge import judge
from pushforward.validation.report import Report
from pushforward.validation.statistic import Statistic
from pushforward.validation.validate import validate
from pushforward.validation.verdict import Verdict

__all__ = ["Comparison", "Recommendation", "Report", "Statistic", "Verdict", "compare", "judge", "validate"]
