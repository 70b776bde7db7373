"""Progress display during training: a bar on a terminal, occasional lines elsewhere, or nothing."""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from typing import Protocol

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn

from pushforward.training.durations import say_duration

__all__ = ["Bar", "Display", "Lines", "Silent", "display"]


class Display(Protocol):
    """Interface through which the loop reports its progress."""

    def notes(self, lines: Iterable[str]) -> None:
        """Show what was recognised and decided, one line each."""
        ...

    def making(self, what: str, part: float) -> None:
        """Show what the next step waits for, and its completed fraction, in [0, 1]."""
        ...

    def show(
        self,
        step: int,
        progress: float,
        losses: dict[str, float],
        rate: float,
        left: float,
        remarks: Sequence[str] = (),
    ) -> None:
        """Show the state of the run.

        Arguments:
            step: steps completed.
            progress: completed fraction of the run, in [0, 1].
            losses: mean loss per player since the last call.
            rate: samples per second.
            left: seconds remaining.
            remarks: remarks of the model on the run (`Model.remarks`).
        """
        ...

    def close(self) -> None: ...


class Silent:
    def notes(self, lines: Iterable[str]) -> None: ...

    def making(self, what: str, part: float) -> None: ...

    def show(
        self,
        step: int,
        progress: float,
        losses: dict[str, float],
        rate: float,
        left: float,
        remarks: Sequence[str] = (),
    ) -> None: ...

    def close(self) -> None: ...


class Lines:
    """One line every ``every`` seconds, for log files."""

    def __init__(self, console: Console, every: float = 10.0) -> None:
        self.console, self.every = console, every
        self._last = time.monotonic()

    def notes(self, lines: Iterable[str]) -> None:
        _print(self.console, lines)

    def making(self, what: str, part: float) -> None:
        if time.monotonic() - self._last >= self.every:
            self._last = time.monotonic()
            self.console.print(f"making {what}: {part:.0%}", highlight=False)

    def show(
        self,
        step: int,
        progress: float,
        losses: dict[str, float],
        rate: float,
        left: float,
        remarks: Sequence[str] = (),
    ) -> None:
        if progress < 1 and time.monotonic() - self._last < self.every:
            return
        self._last = time.monotonic()
        text = f"{progress:4.0%}  step {step}  {_losses_as_text(losses, remarks)}  {rate:.0f} samples/s"
        self.console.print(text if progress >= 1 else f"{text}  {say_duration(round(left))} left", highlight=False)

    def close(self) -> None: ...


class Bar:
    """One line that is redrawn."""

    def __init__(self, console: Console) -> None:
        self.console = console
        self._progress = Progress(
            BarColumn(bar_width=28), TextColumn("{task.percentage:3.0f} %  {task.description}"), console=console
        )
        self._task = self._progress.add_task("starting", total=1.0)
        self._started = False

    def notes(self, lines: Iterable[str]) -> None:
        _print(self.console, lines)

    def making(self, what: str, part: float) -> None:
        self._start()
        self._progress.update(self._task, description=f"making {what}: {part:.0%}")

    def show(
        self,
        step: int,
        progress: float,
        losses: dict[str, float],
        rate: float,
        left: float,
        remarks: Sequence[str] = (),
    ) -> None:
        self._start()
        text = (
            f"step {step}  {_losses_as_text(losses, remarks)}  {rate:.0f} samples/s  {say_duration(round(left))} left"
        )
        self._progress.update(self._task, completed=progress, description=text)

    def close(self) -> None:
        if self._started:
            self._progress.stop()

    def _start(self) -> None:
        if not self._started:
            self._progress.start()
            self._started = True


def display(wanted: bool) -> Display:
    """The display that suits standard error: a bar on a terminal, lines elsewhere."""
    if not wanted:
        return Silent()
    console = Console(stderr=True)
    return Bar(console) if console.is_terminal else Lines(console)


def _print(console: Console, lines: Iterable[str]) -> None:
    for line in lines:
        console.print(line, highlight=False, markup=False, soft_wrap=True)


def _losses_as_text(losses: dict[str, float], remarks: Sequence[str]) -> str:
    if len(losses) == 1:
        return "  ".join([f"loss {next(iter(losses.values())):.4g}", *remarks])
    return "  ".join([*(f"{player} {loss:.4g}" for player, loss in losses.items()), *remarks])
