"""Arguments of `read` as a run records them, so that the same data can be read again from any folder."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pushforward.spaces import Space, space_to_dict

__all__ = ["absolute", "plain_arguments", "spec_of"]


def plain_arguments(given: Mapping[str, Any]) -> dict[str, Any]:
    """Arguments as plain values, without those that are not given or are empty. Arrays are left as they are."""
    plain = {name: _plain(value) for name, value in given.items()}
    return {name: value for name, value in plain.items() if value is not None and not _is_empty(value)}


def spec_of(data: Any, arguments: Mapping[str, Any]) -> dict[str, Any] | None:
    """Arguments that read the same files again; None if conditions or a mask are arrays in memory.

    Arguments:
        data: a path, or a list of paths.
        arguments: the others, from `plain_arguments`.
    """
    condition = arguments.get("condition")
    each = condition if isinstance(condition, list) else [condition]
    if not isinstance(arguments.get("mask", ""), str):
        return None
    if any(part is not None and part is not False and not isinstance(part, str | Path) for part in each):
        return None
    paths = [absolute(part) if isinstance(part, str | Path) and _is_of_files(part) else part for part in each]
    return {
        "data": absolute(data) if isinstance(data, str | Path) else [absolute(path) for path in data],
        **arguments,
        **({} if condition is None else {"condition": paths if isinstance(condition, list) else paths[0]}),
    }


def absolute(path: str | Path) -> str:
    """An absolute path, as text."""
    return str(Path(path).expanduser().absolute())


def _plain(value: Any) -> Any:
    if isinstance(value, Space):
        return space_to_dict(value)
    return list(value) if isinstance(value, tuple) else value


def _is_empty(value: Any) -> bool:
    return isinstance(value, list) and not value


def _is_of_files(condition: str | Path) -> bool:
    """Whether a condition means files, not a name inside the data files."""
    return Path(condition).expanduser().exists() or any(letter in str(condition) for letter in "*?[")
