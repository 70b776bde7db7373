"""Initial value problems as the users of each library write them, for the benchmark `odes`."""

from __future__ import annotations

from benchmarks.ode_problems.case import Case

__all__ = ["Case"]
