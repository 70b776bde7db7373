"""Hyperparameters as closed, typed settings, and values of them spelled as text."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import pydantic
from pydantic import BaseModel, ConfigDict

from pushforward.errors import UsageError

__all__ = ["Settings", "parse_settings"]


class Settings(BaseModel):
    """Hyperparameters: typed, with defaults, closed (an unknown name is an error)."""

    model_config = ConfigDict(extra="forbid", frozen=True)


def parse_settings(kind: type[BaseModel], values: Mapping[str, Any]) -> Any:
    """An instance of a settings class from values, any of which may be a string that spells one.

    Raises:
        UsageError: naming the setting, the value, and what is wrong with it.
    """
    unknown = [name for name in values if name not in kind.model_fields]
    if unknown:
        known = ", ".join(sorted(kind.model_fields)) or "none"
        raise UsageError(f"there is no setting called {unknown[0]!r} here; known ones are {known}")
    given, values = values, dict(values)
    for spelled in (True, False):
        try:
            return kind(**values)
        except pydantic.ValidationError as problem:
            errors = problem.errors()
            texts = {str(e["loc"][0]) for e in errors if e["loc"] and isinstance(values.get(str(e["loc"][0])), str)}
            if spelled and texts:
                values.update({name: _spelled(values[name]) for name in texts})
                continue
            name = str(errors[0]["loc"][0]) if errors[0]["loc"] else "settings"
            what = errors[0]["msg"].removeprefix("Value error, ")
            raise UsageError(f"{name}={given.get(name)!r} cannot be used: {what[:1].lower()}{what[1:]}") from None
    raise AssertionError("unreachable")


def _spelled(text: str) -> Any:
    """The value that a text spells: JSON, ``none``, or parts between commas; else the text itself."""
    if text.strip().lower() in ("none", "null"):
        return None
    try:
        return json.loads(text)
    except json.JSONDecodeError:
        return [part.strip() for part in text.strip("()[] ").split(",")] if "," in text else text
