"""Description of a family for `pushforward models NAME`: its settings, with defaults and meaning."""

from __future__ import annotations

from textwrap import fill
from typing import Any

from pydantic import BaseModel

from pushforward.models import ABILITIES, Model, find
from pushforward.models.settings import meanings
from pushforward.spaces import Field, Particles, Series, Space, Vector
from pushforward.training.settings import TrainingSettings, resolve_settings

__all__ = ["describe_family"]

_EXAMPLES: dict[str, Space] = {
    "vector": Vector(2),
    "field": Field(1, (32, 32)),
    "particles": Particles(4, 2),
    "series": Series(1, 16),
}


def describe_family(name: str) -> str:
    """Description of a family, as text.

    Raises:
        UsageError: if the name is unknown.
    """
    entry = find(name)
    kind = entry.load()
    able = ", ".join(word for word, protocol in ABILITIES.items() if issubclass(kind, protocol))
    lines = [f"{name}: {entry.summary}", entry.paper] if entry.paper else [f"{name}: {entry.summary}"]
    lines += [f"learns {_either(entry.spaces)} data from {_either(entry.sources)}; abilities: {able}"]
    kinds = [each for each in entry.spaces if each in _EXAMPLES]
    lines += _settings("model: --set NAME=VALUE, or model.NAME=VALUE", kind.Settings, {})
    lines += _settings("training: --set NAME=VALUE, or training.NAME=VALUE", TrainingSettings, _own(kind, kinds))
    lines += _settings("sampling: --set NAME=VALUE of `pushforward sample`", kind.Sampling, {})
    return "\n".join(lines)


def _settings(title: str, settings: type[BaseModel], own: dict[str, str]) -> list[str]:
    lines = ["", title] if settings.model_fields else []
    for name, meaning in meanings(settings).items():
        default = own.get(name, _as_text(settings.model_fields[name].get_default(call_default_factory=True)))
        lines.append(f"  {name} = {default}")
        if meaning:
            lines.append(fill(meaning, 100, initial_indent=" " * 6, subsequent_indent=" " * 6))
    return lines


def _own(kind: type[Model], kinds: list[str]) -> dict[str, str]:
    """Defaults of the loop, including those of the family and of the kind of sample."""
    resolved = {each: resolve_settings(kind, _EXAMPLES[each])[1] for each in kinds}
    defaults: dict[str, str] = {}
    for name in TrainingSettings.model_fields:
        values = {each: _as_text(getattr(settings, name)) for each, settings in resolved.items()}
        if len(set(values.values())) == 1:
            defaults[name] = next(iter(values.values()))
        elif values:
            defaults[name] = ", ".join(f"{value} ({each})" for each, value in values.items())
    return defaults


def _as_text(value: Any) -> str:
    if value is None:
        return "none"
    return ",".join(map(str, value)) if isinstance(value, tuple) else str(value)


def _either(words: tuple[str, ...]) -> str:
    return " or ".join(words)
