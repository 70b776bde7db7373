"""Samples that know their Space, and with it the box that lengths are measured in.

A slice of samples, or a function of them that keeps their shape, knows it too; anything else is a plain tensor.
Statistics of samples measure lengths in their box unless they are told another.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from pushforward.spaces import Space

__all__ = ["Samples", "box_of"]


class Samples(Tensor):
    """A tensor of samples, shape ``(n, *space.shape)``.

    >>> from pushforward.spaces import Field
    >>> x = Samples.of(torch.zeros(5, 1, 8, 8), Field(1, (8, 8), box=25.0))
    >>> x[:2].box, x.exp().box, type(x.mean())
    (25.0, 25.0, <class 'torch.Tensor'>)

    Attributes:
        space: what one sample is.
    """

    space: Space

    @classmethod
    def of(cls, x: Tensor, space: Space) -> Samples:
        """The same tensor, which knows its Space."""
        samples = x.as_subclass(cls)
        samples.space = space
        return samples

    @property
    def box(self) -> float | None:
        """Side length of a sample along its first axis, in the user's unit; None where lengths are in cells."""
        return getattr(self.space, "box", None)

    def __deepcopy__(self, memo: dict[int, Any]) -> Samples:
        return Samples.of(self.as_subclass(Tensor).clone(), self.space)

    def __reduce_ex__(self, protocol: Any) -> Any:
        """Stored as a plain tensor, which ``torch.load`` reads without being told of this class."""
        with torch._C.DisableTorchFunctionSubclass():
            return self.as_subclass(Tensor).__reduce_ex__(protocol)

    @classmethod
    def __torch_function__(
        cls, func: Any, types: Any, args: Sequence[Any] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        with torch._C.DisableTorchFunctionSubclass():
            found = func(*args, **(kwargs or {}))
        space = next((each.space for each in _samples_in(args) if "space" in each.__dict__), None)
        return _told(found, space)


def box_of(samples: Any, box: Any) -> Any:
    """The box that is given, or else that of the samples; None where neither says."""
    return getattr(samples, "box", None) if box is None and isinstance(samples, Samples) else box


def _samples_in(values: Any) -> Iterator[Samples]:
    for each in values:
        if isinstance(each, Samples):
            yield each
        elif isinstance(each, list | tuple):
            yield from _samples_in(each)


def _told(found: Any, space: Space | None) -> Any:
    """Results that have the shape of samples know their Space; others are plain tensors."""
    if isinstance(found, Tensor):
        if space is not None and found.dim() > 0 and found.shape[1:] == space.shape and found.is_floating_point():
            return Samples.of(found, space) if not isinstance(found, Samples) else _with(found, space)
        return found.as_subclass(Tensor) if isinstance(found, Samples) else found
    if isinstance(found, list | tuple) and type(found) in (list, tuple):
        return type(found)(_told(each, space) for each in found)
    return found


def _with(samples: Samples, space: Space) -> Samples:
    samples.space = space
    return samples
