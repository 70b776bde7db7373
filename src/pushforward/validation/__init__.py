"""Judging emulators: every number beside what real data give against real data."""

from __future__ import annotations

from pushforward.validation.compare import compare
from pushforward.validation.comparison import Comparison, Recommendation
from pushforward.validation.report import Report
from pushforward.validation.validate import validate
from pushforward.validation.verdict import Verdict

__all__ = ["Comparison", "Recommendation", "Report", "Verdict", "compare", "validate"]
