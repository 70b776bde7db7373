"""Names of a package that are imported on first use, so that ``import pushforward`` is fast."""

from __future__ import annotations

import sys
from collections.abc import Callable, Collection, Mapping
from importlib import import_module
from typing import Any

__all__ = ["lazy_names"]


def lazy_names(package: str, homes: Mapping[str, str], modules: Collection[str] = ()) -> Callable[[str], Any]:
    """The ``__getattr__`` of a package, which imports names on first use.

    Arguments:
        package: full name of the package.
        homes: module that holds each name, relative to the package (``pair``; ``.spaces`` is one level up).
        modules: modules below the package that are attributes themselves.
    """

    def get(name: str) -> Any:
        if name in homes:
            value = getattr(import_module(f".{homes[name]}", package), name)
            setattr(sys.modules[package], name, value)
            return value
        if name in modules:
            return import_module(f"{package}.{name}")
        raise AttributeError(f"module {package!r} has no attribute {name!r}")

    return get
