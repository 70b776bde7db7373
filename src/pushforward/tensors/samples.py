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
            result = func(*args, **(kwargs or {}))
        space = next((each.space for each in _samples_in(args) if "space" in each.__dict__), None)
        return _with_space(result, space)


def box_of(samples: Any, box: Any) -> Any:
    """The box that is given, or else that of the samples; None where neither says."""
    return getattr(samples, "box", None) if box is None and isinstance(samples, Samples) else box


def _samples_in(values: Any) -> Iterator[Samples]:
    for each in values:
        if isinstance(each, Samples):
            yield each
        elif isinstance(each, list | tuple):
            yield from _samples_in(each)


def _with_space(result: Any, space: Space | None) -> Any:
    """Attach the space to results that have the shape of samples; others are plain tensors."""
    if isinstance(result, Tensor):
        if space is not None and result.dim() > 0 and result.shape[1:] == space.shape and result.is_floating_point():
            return Samples.of(result, space) if not isinstance(result, Samples) else _set_space(result, space)
        return result.as_subclass(Tensor) if isinstance(result, Samples) else result
    if isinstance(result, list | tuple) and type(result) in (list, tuple):
        return type(result)(_with_space(each, space) for each in result)
    return result


def _set_space(samples: Samples, space: Space) -> Samples:
    samples.space = space
    return samples
