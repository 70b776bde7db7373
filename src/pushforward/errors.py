"""User errors.

Every error that a user can cause or fix is a `UsageError`: one plain sentence that says what was given, what was
expected and what to do. The command line prints the sentence and exits with status 2; any other exception is a bug.
"""

from __future__ import annotations

__all__ = ["DataError", "TrainingError", "UsageError"]


class UsageError(ValueError):
    """A request that cannot be carried out: an unknown name, a setting out of range, a missing ability."""


class DataError(UsageError):
    """A file or an array that cannot be used: wrong shape, not finite, truncated, unreadable."""


class TrainingError(UsageError):
    """Training cannot continue: a loss that is not finite, a run directory of another run."""
