"""The two ends of a translation: members of the ensembles a and b in a batch."""

from __future__ import annotations

from torch import Tensor

from pushforward.ensembles.batch import PairBatch
from pushforward.errors import UsageError
from pushforward.models.model import Batch

__all__ = ["checked_end", "direction", "members", "other_end"]


def members(batch: Batch) -> dict[str, Tensor]:
    """Members of each ensemble, by its name."""
    assert isinstance(batch, PairBatch)
    return {"a": batch.x, "b": batch.b}


def checked_end(to: str) -> str:
    """The ensemble that is translated to.

    Raises:
        UsageError: if it is neither a nor b.
    """
    if to not in ("a", "b"):
        raise UsageError(f"to must be 'a' or 'b', not {to!r}")
    return to


def other_end(to: str) -> str:
    """The ensemble that a translation to this one starts from.

    Raises:
        UsageError: if ``to`` is neither a nor b.
    """
    return "b" if checked_end(to) == "a" else "a"


def direction(to: str) -> str:
    """Name of the translation to this ensemble, ``"a to b"`` or ``"b to a"``.

    Raises:
        UsageError: if ``to`` is neither a nor b.
    """
    return f"{other_end(to)} to {to}"
