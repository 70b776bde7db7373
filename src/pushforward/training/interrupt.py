"""Interruption by a signal: the loop saves at the end of its current step, then stops."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
import time
from collections.abc import Callable
from types import FrameType, TracebackType
from typing import Any, Self

__all__ = ["Forwarded", "Interrupted", "StopRequests", "Stopped"]

# Ctrl-C on a terminal reaches every process of a run, and again through the parent process: that is one request.
_SAME_REQUEST_SECONDS = 1.0


class Interrupted(KeyboardInterrupt):
    """Training was interrupted by a signal. Everything is saved, and the run can be resumed.

    A `KeyboardInterrupt`, so that ``except Exception`` around a call of `fit` does not catch it and continue.
    """


class Stopped(Exception):
    """`Interrupted` on its way out of a process: PyTorch drops the message of a `KeyboardInterrupt`."""


class _Handled:
    """Context in which SIGINT and SIGTERM call a function.

    Python allows only the main thread to handle signals: in any other thread this context does nothing.
    """

    def __init__(self, handler: Callable[[int, FrameType | None], None]) -> None:
        self._handler = handler
        self._before: dict[signal.Signals, Any] = {}

    def __enter__(self) -> Self:
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGINT, signal.SIGTERM):
                self._before[number] = signal.signal(number, self._handler)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        while self._before:
            number, before = self._before.popitem()
            signal.signal(number, before if before is not None else signal.SIG_DFL)


class StopRequests(_Handled):
    """Context in which the first signal is only recorded; a later one has its usual effect.

    Attributes:
        signal: the recorded signal; None if there was none.
    """

    def __init__(self) -> None:
        super().__init__(self._asked)
        self.signal: signal.Signals | None = None
        self._when = 0.0

    def _asked(self, number: int, frame: FrameType | None) -> None:
        if self.signal is None:
            self.signal, self._when = signal.Signals(number), time.monotonic()
        elif time.monotonic() - self._when > _SAME_REQUEST_SECONDS:
            self.__exit__(None, None, None)
            signal.raise_signal(number)


class Forwarded(_Handled):
    """Context in which signals are forwarded to the child processes."""

    def __init__(self) -> None:
        super().__init__(self._forward)

    def _forward(self, number: int, frame: FrameType | None) -> None:
        for process in multiprocessing.active_children():
            if process.pid is not None:
                os.kill(process.pid, number)
