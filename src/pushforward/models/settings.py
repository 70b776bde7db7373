"""Typed settings of models, and their values as text."""

from __future__ import annotations

import inspect
import json
import re
from collections.abc import Collection, Mapping
from difflib import get_close_matches
from typing import Any

import pydantic
from pydantic import BaseModel, ConfigDict

from pushforward.errors import UsageError

__all__ = ["Settings", "divide_settings", "meanings", "parse_settings"]


class Settings(BaseModel):
    """Hyperparameters: typed, with defaults; an unknown name is an error."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


_OPTIONS = ("steps", "budget", "seed", "device", "devices", "precision", "tracker", "out")
"""Options of `fit` that are sometimes taken for settings."""


_LARGEST = 2**31 - 1


def parse_settings(kind: type[BaseModel], values: Mapping[str, Any]) -> Any:
    """An instance of a settings class from values, any of which may be a string.

    Raises:
        UsageError: naming the setting, the value, and the problem.
    """
    unknown = [name for name in values if name not in kind.model_fields]
    if unknown:
        known = ", ".join(sorted(kind.model_fields)) or "none"
        raise UsageError(f"there is no setting called {unknown[0]!r} here; known ones are {known}")
    given, values = values, dict(values)
    for spelled in (True, False):
        try:
            return _within_reach(kind(**values))
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


def _within_reach(settings: BaseModel) -> BaseModel:
    """The settings, after a check that no whole number exceeds int32."""
    for name, value in settings:
        if isinstance(value, int) and abs(value) > _LARGEST:
            raise UsageError(f"{name}={value} cannot be used: it is beyond {_LARGEST:,}")
    return settings


def _spelled(text: str) -> Any:
    """Value of a text: JSON, ``none``, or a comma-separated list; else the text itself."""
    if text.strip().lower() in ("none", "null"):
        return None
    try:
        return json.loads(text)
    except json.JSONDecodeError:
        return [part.strip() for part in text.strip("()[] ").split(",")] if "," in text else text


def divide_settings(given: Mapping[str, Any], known: Mapping[str, Collection[str]]) -> dict[str, dict[str, Any]]:
    """Settings by part: ``part.name`` names it, and a name that only one part has needs no prefix.

    >>> divide_settings({"noise": "channel", "data.noise": 0.1}, {"data": ["noise"], "model": ["width"]})
    Traceback (most recent call last):
    ...
    pushforward.errors.UsageError: data.noise is set twice, as 'noise' and as 'data.noise'; leave one of them out

    Arguments:
        given: values by name, with or without the prefix of a part.
        known: names of each part.

    Raises:
        UsageError: for a name that no part or several parts have, or that is set twice.
    """
    divided: dict[str, dict[str, Any]] = {part: {} for part in known}
    written: dict[tuple[str, str], str] = {}
    for text, value in given.items():
        part, name = _owner(text, known)
        if (part, name) in written:
            first = written[part, name]
            raise UsageError(f"{part}.{name} is set twice, as {first!r} and as {text!r}; leave one of them out")
        written[part, name] = text
        divided[part][name] = value
    return divided


def _owner(text: str, known: Mapping[str, Collection[str]]) -> tuple[str, str]:
    part, dot, name = text.partition(".")
    if dot and part in known:
        if name not in known[part]:
            raise UsageError(_unknown(name, f"of the {part}", known[part]))
        return part, name
    owners = [part for part, names in known.items() if text in names]
    if len(owners) > 1:
        ways = " or ".join(f"{part}.{text}" for part in owners)
        raise UsageError(f"{text!r} is a setting of the {' and of the '.join(owners)}; write {ways}")
    if not owners:
        raise UsageError(_unknown(text, "", sorted({name for names in known.values() for name in names})))
    return owners[0], text


def _unknown(name: str, whose: str, known: Collection[str]) -> str:
    near = get_close_matches(name, known, n=1)
    hint = f"did you mean {near[0]!r}? " if near else ""
    listed = ", ".join(sorted(known)) or "none"
    if name in _OPTIONS:
        hint = f"it is an option, --{name} (or {name}=); "
    return f"there is no setting {f'{whose} ' if whose else ''}called {name!r}; {hint}known settings are {listed}"


def meanings(kind: type[BaseModel]) -> dict[str, str]:
    """Meaning of each setting of a class, from the ``Attributes:`` in its docstring and those of its bases."""
    texts: dict[str, str] = {}
    for each in reversed(kind.__mro__):
        # one line may describe several names: "rtol, atol: ..."
        for names, text in _attributes(inspect.cleandoc(each.__doc__ or "")):
            texts |= dict.fromkeys(names, text)
    return {name: texts.get(name, "") for name in kind.model_fields}


def _attributes(docstring: str) -> list[tuple[list[str], str]]:
    section = re.search(r"^Attributes:\n((?:[ ]+.*\n?|\n)+)", docstring, re.MULTILINE)
    if section is None:
        return []
    entries = re.split(r"^    (?=\S)", section.group(1), flags=re.MULTILINE)[1:]
    parts = [entry.partition(":") for entry in entries]
    return [([name.strip() for name in names.split(",")], " ".join(text.split())) for names, _, text in parts]
