"""Check the arguments of public functions by their annotations.

>>> @checked(count=1)
... def draw(count: int, seed: int = 0, scale: float | None = None) -> int:
...     return count
>>> draw(3.0)
3
>>> draw(2.5)
Traceback (most recent call last):
pushforward.errors.UsageError: count=2.5 was given; give a whole number of at least 1
"""

from __future__ import annotations

import inspect
import math
import numbers
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from difflib import get_close_matches
from functools import wraps
from typing import Any, Literal, ParamSpec, TypeVar, Union, cast, get_args, get_origin

from pushforward.errors import UsageError

__all__ = ["checked", "checked_fields"]

P = ParamSpec("P")
R = TypeVar("R")
T = TypeVar("T")

_REFUSED: Any = object()
_LARGEST = 2**63 - 1
"""Largest whole number, that of int64."""
_Check = Callable[[Any], Any]
"""The value as the function takes it, or `_REFUSED`."""


def checked(**least: float) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """Decorator: check the type and the range of each argument by its annotation.

    Numbers, strings, paths, booleans, literals, functions, classes, sequences, mappings and unions of these are
    checked, other annotations are not. A ``seed`` is at least 0. Whole floats and numpy's integers become ``int``.

    Arguments:
        least: smallest value of a parameter, by its name.

    Raises:
        UsageError: on a call with an argument of another type, a number out of range, or an unknown name.
    """

    def decorate(function: Callable[P, R]) -> Callable[P, R]:
        signature = inspect.signature(function)
        checks: dict[str, tuple[_Check, str]] = {}

        @wraps(function)
        def checking(*args: P.args, **kwargs: P.kwargs) -> R:
            if not checks:
                checks.update(_checks(function, signature, {"seed": 0, **least}))
            _reject_unknown(signature, checking.__name__, kwargs)
            bound = signature.bind(*args, **kwargs)
            for name, value in bound.arguments.items():
                if name in checks:
                    check, wanted = checks[name]
                    bound.arguments[name] = check(value)
                    if bound.arguments[name] is _REFUSED:
                        raise UsageError(f"{name}={_shown(value)} was given; give {wanted}")
            return function(*bound.args, **bound.kwargs)

        return cast(Callable[P, R], checking)

    return decorate


def checked_fields(**least: float) -> Callable[[type[T]], type[T]]:
    """Decorator of a dataclass: check its fields as `checked` does arguments."""

    def decorate(kind: type[T]) -> type[T]:
        made = checked(**least)(kind.__init__)
        made.__name__ = kind.__name__
        kind.__init__ = made  # type: ignore[method-assign]
        return kind

    return decorate


def _reject_unknown(signature: inspect.Signature, function: str, given: Iterable[str]) -> None:
    """Raise for a name that is not a parameter of the function."""
    kinds = {each.kind for each in signature.parameters.values()}
    unknown = [name for name in given if name not in signature.parameters]
    if unknown and inspect.Parameter.VAR_KEYWORD not in kinds:
        names = [name for name in signature.parameters if name != "self"]
        near = get_close_matches(unknown[0], names, n=1)
        hint = f"did you mean {near[0]}? " if near else ""
        raise UsageError(f"{function} has no argument {unknown[0]!r}; {hint}it takes {', '.join(names)}")


def _checks(
    function: Callable[..., Any], signature: inspect.Signature, least: Mapping[str, float]
) -> dict[str, tuple[_Check, str]]:
    """Check of each parameter, and its description."""
    found = {}
    names = getattr(inspect.unwrap(function), "__globals__", {})
    for name, parameter in signature.parameters.items():
        if parameter.kind in (inspect.Parameter.VAR_KEYWORD, inspect.Parameter.VAR_POSITIONAL):
            continue
        try:
            # Names imported for type checkers alone are absent: such a parameter takes any object.
            kind = eval(parameter.annotation, dict(names)) if isinstance(parameter.annotation, str) else None
        except (NameError, AttributeError, TypeError):
            continue
        options = [_check(each, least.get(name)) for each in _alternatives(kind)]
        if kind is not None and None not in options:
            found[name] = _any_of([each for each in options if each is not None])
    return found


def _alternatives(kind: Any) -> tuple[Any, ...]:
    """Types of a union, or the one type."""
    return get_args(kind) if get_origin(kind) in (Union, type(int | str)) else (kind,)


def _any_of(options: list[tuple[_Check, str]]) -> tuple[_Check, str]:
    def check(value: Any) -> Any:
        results = (one(value) for one, _ in options)
        return next((each for each in results if each is not _REFUSED), _REFUSED)

    return check, " or ".join(dict.fromkeys(wanted for _, wanted in options if wanted))


def _check(kind: Any, least: float | None) -> tuple[_Check, str] | None:
    """Check of one type, and its description; None where any object may be given."""
    bound = "" if least is None else f" of at least {least:g}"
    origin, inner = get_origin(kind), get_args(kind)
    if kind is type(None) or kind is None:
        return (lambda value: None if value is None else _REFUSED), ""
    if kind is bool:
        return (lambda value: bool(value) if type(value).__name__ in ("bool", "bool_") else _REFUSED), "True or False"
    if kind is int:
        return (lambda value: _whole(value, least)), f"a whole number{bound}"
    if kind is float:
        return (lambda value: _real(value, least)), f"a finite number{bound}"
    if kind is str:
        return (lambda value: value if isinstance(value, str) else _REFUSED), "a text"
    if isinstance(kind, type) and issubclass(kind, os.PathLike):
        return (lambda value: value if isinstance(value, os.PathLike) else _REFUSED), "a path"
    if origin is Literal:
        return (lambda value: _one_of(value, inner)), " or ".join(map(repr, inner))
    if origin is Callable:
        return (lambda value: value if callable(value) else _REFUSED), "a function"
    if origin in (Sequence, list, tuple):
        parts = [_check(each, least) for each in _alternatives(inner[0])] if inner else [None]
        each = None if None in parts else _any_of([part for part in parts if part is not None])
        return (lambda value: _list(value, each, tuple if origin is tuple else None)), "a list" + (
            f" of {_plural(each[1])}" if each else ""
        )
    if origin is Mapping or kind in (Mapping, dict):
        return (lambda value: value if isinstance(value, Mapping) else _REFUSED), "a mapping of names to values"
    if origin is type:
        return (lambda value: value if isinstance(value, type) else _REFUSED), "a class"
    if isinstance(kind, type) and kind is not Any and not getattr(kind, "_is_protocol", False):
        return (lambda value: value if isinstance(value, kind) else _REFUSED), f"a {kind.__name__}"
    return None


def _whole(value: Any, least: float | None) -> Any:
    number = _real(value, least)
    return _REFUSED if number is _REFUSED or abs(number) > _LARGEST or number != int(number) else int(number)


def _real(value: Any, least: float | None) -> Any:
    known = isinstance(value, numbers.Real) and not isinstance(value, bool)
    number: Any = value if known else math.nan
    return value if abs(number) < math.inf and (least is None or number >= least) else _REFUSED


def _one_of(value: Any, allowed: tuple[Any, ...]) -> Any:
    return next((each for each in allowed if type(value) is type(each) and value == each), _REFUSED)


def _list(value: Any, each: tuple[_Check, str] | None, kind: type | None = None) -> Any:
    if isinstance(value, str | bytes | Mapping) or not isinstance(value, Iterable) or getattr(value, "ndim", 1) == 0:
        return _REFUSED
    values = list(value) if each is None else [each[0](one) for one in value]
    if any(one is _REFUSED for one in values):
        return _REFUSED
    if kind is not None:
        return kind(values)
    return value if isinstance(value, Sequence) else values


def _plural(wanted: str) -> str:
    return {"a text": "texts", "a whole number": "whole numbers", "a finite number": "numbers"}.get(wanted, wanted)


def _shown(value: Any) -> str:
    text = repr(value) if isinstance(value, str | bytes | numbers.Number | Sequence | Mapping) else type(value).__name__
    return " ".join(text.split()) if len(text) <= 40 else f"{' '.join(text.split())[:37]}..."
