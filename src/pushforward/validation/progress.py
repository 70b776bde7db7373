"""Progress bar of a judgement, on standard error."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

__all__ = ["progress_bar"]


@contextmanager
def progress_bar(shown: bool) -> Iterator[Callable[[str, float], None]]:
    """Function called with the name of the current task and its completed fraction."""
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

    bar = Progress(
        TextColumn("{task.description:<22}"),
        BarColumn(bar_width=30),
        TextColumn("{task.percentage:>3.0f} %"),
        TimeElapsedColumn(),
        console=Console(stderr=True),
        disable=not shown,
    )
    tasks: dict[str, int] = {}

    def watch(what: str, part: float) -> None:
        if what not in tasks:
            for task in tasks.values():
                bar.update(task, completed=1.0)  # type: ignore[arg-type]
            tasks[what] = int(bar.add_task(what, total=1.0))
        bar.update(tasks[what], completed=part)  # type: ignore[arg-type]

    with bar:
        yield watch
        for task in tasks.values():
            bar.update(task, completed=1.0)  # type: ignore[arg-type]
