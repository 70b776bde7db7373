"""Plug-ins from other installed packages, found by their entry points.

A package declares its plug-ins in its ``pyproject.toml``, with one group per kind:

    [project.entry-points."pushforward.models"]
    my-flow = "my_package.flow:MyFlow"              # a Model, or a Family of the registry

    [project.entry-points."pushforward.simulators"]
    my-maps = "my_package.maps:SIMULATOR"               # a Simulator of `pushforward.simulate`

    [project.entry-points."pushforward.formats"]
    ".mine" = "my_package.files:open_mine"          # a reader: (path, field) -> Contents

    [project.entry-points."pushforward.statistics"]
    my-statistic = "my_package.statistics:STATISTIC"

A plug-in is loaded only when used by name or listed. One that fails is named when it is used; it breaks nothing else.
"""

from __future__ import annotations

import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from typing import Any

from pushforward.errors import UsageError

__all__ = ["blamed_on", "first_line", "load_plugin", "package_of", "plugins"]


@cache
def plugins(group: str) -> dict[str, EntryPoint]:
    """Entry points of the group ``pushforward.<group>`` by name."""
    return {point.name: point for point in entry_points(group=f"pushforward.{group}")}


def package_of(point: EntryPoint) -> str:
    """Name of the package that declares an entry point."""
    return point.dist.name if point.dist is not None else point.value


def load_plugin(group: str, name: str) -> Any:
    """Load the object of an entry point.

    Raises:
        UsageError: if its package cannot be imported, or several packages declare this name.
    """
    points = list(entry_points(group=f"pushforward.{group}", name=name))
    packages = " and ".join(sorted(map(package_of, points)))
    if len(points) > 1:
        raise UsageError(f"{name!r} is declared by several installed packages, {packages}; uninstall all but one")
    try:
        return points[0].load()
    except Exception as problem:
        raise UsageError(
            f"{name} of the installed package {packages} cannot be loaded: {first_line(problem)}"
        ) from problem


def first_line(problem: BaseException) -> str:
    """First line of an exception, after its type unless it is an `ImportError` or `UsageError`."""
    first = next(iter(str(problem).strip().splitlines()), "")
    kind = type(problem).__name__
    if not first:
        return kind
    return first if isinstance(problem, ImportError | UsageError) else f"{kind}: {first}"


@contextmanager
def blamed_on(owner: type, doing: str) -> Iterator[None]:
    """Turn an exception from the code of a class outside this package into one sentence with its line.

    Other exceptions pass unchanged, among them those of the training data that a model asks for.

    Arguments:
        owner: the class; all classes that it derives from may be at fault.
        doing: where it failed, such as ``in turns``.

    Raises:
        UsageError: with the exception as its cause.
    """
    try:
        yield
    except UsageError:
        raise
    except Exception as problem:
        place = _place(problem, owner)
        if place is None:
            raise
        raise UsageError(f"{owner.__name__} failed {doing}: {first_line(problem)} ({place})") from problem


_HERE = Path(__file__).parent


def _place(problem: BaseException, owner: type) -> str | None:
    """File and line of the last frame in the code of a class and its bases; None where training failed beyond it."""
    bases = [each for each in owner.__mro__ if each.__module__.partition(".")[0] not in ("pushforward", "torch")]
    modules = [sys.modules.get(each.__module__) for each in bases]
    files = {getattr(each, "__file__", None) for each in modules}
    frames = traceback.extract_tb(problem.__traceback__)
    own = [number for number, frame in enumerate(frames) if frame.filename in files]
    if not own or any(_HERE / "training" in Path(frame.filename).parents for frame in frames[own[-1] + 1 :]):
        return None
    return f"{Path(frames[own[-1]].filename).name}, line {frames[own[-1]].lineno}"
