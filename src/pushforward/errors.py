"""What a user is told when something cannot be done.

Every error that a user can cause or mend is a `UsageError`: one plain sentence that says what was given, what was
expected and what to do. The command line prints the sentence and exits with status 2; anything else is a bug.
"""

from __future__ import annotations

__all__ = ["DataError", "TrainingError", "UsageError"]


class UsageError(ValueError):
    """A request that cannot be carried out: an unknown name, a setting out of range, an ability that a model lacks."""


class DataError(UsageError):
    """A file or an array that cannot be used as it is: wrong shape, not finite, truncated, unreadable."""


class TrainingError(UsageError):
    """Training cannot go on: a loss that is not finite, a run directory that belongs to something else."""
