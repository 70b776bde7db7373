"""Checks of the shapes of network inputs."""

from __future__ import annotations

from torch import Tensor

from pushforward.errors import UsageError

__all__ = ["check_features", "checked_condition"]


def check_features(x: Tensor, features: int, axis: int = 1) -> None:
    """Raise unless a batch has the expected number of features along an axis.

    Raises:
        UsageError: if it does not.
    """
    if x.dim() <= axis or x.shape[axis] != features:
        raise UsageError(f"expected a batch with {features} features along axis {axis}; got shape {tuple(x.shape)}")


def checked_condition(condition: Tensor | None, width: int, count: int) -> Tensor | None:
    """The condition of a batch; None for a network that uses none.

    Arguments:
        condition: one row per sample; a field has its channels along axis 1.
        width: expected numbers, or channels; 0 for none.
        count: samples of the batch.

    Raises:
        UsageError: if there is no condition where one is expected, or it has another shape.
    """
    if not width:
        return None
    if condition is None or condition.dim() < 2 or condition.shape[:2] != (count, width):
        given = "none" if condition is None else f"one of shape {tuple(condition.shape)}"
        raise UsageError(f"expected a condition of shape ({count}, {width}); got {given}")
    return condition
