"""Modules that hand attributes on from one of their parts."""

from __future__ import annotations

from typing import Any, ClassVar

from torch import nn

__all__ = ["Delegating"]


class Delegating(nn.Module):
    """A module whose attributes, where it has none of its own, are those of one of its parts.

    Attributes:
        delegate: name of this part.
    """

    delegate: ClassVar[str]

    def __getattr__(self, name: str) -> Any:
        try:
            return super().__getattr__(name)
        except AttributeError:
            # The part itself is missing while a module is made or unpickled.
            if name == self.delegate:
                raise
            return getattr(getattr(self, self.delegate), name)
