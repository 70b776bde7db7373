"""Stopping on request: a signal asks, the loop saves at the end of the step that it is in, and then stops."""

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

# Ctrl-C on a terminal reaches every process of a run, and again through the one that started them: that is one request.
_SAME_REQUEST_SECONDS = 1.0


class Interrupted(KeyboardInterrupt):
    """Training was asked to stop. Everything up to now is saved, and the run can be resumed.

    A `KeyboardInterrupt`, so that ``except Exception`` around a call of `fit` does not take it for a fault and go on.
    """


class Stopped(Exception):
    """`Interrupted` on its way out of a process: PyTorch ends one without a word on a `KeyboardInterrupt`."""


class _Handled:
    """Within this context SIGINT and SIGTERM call a function.

    Python only allows the main thread to handle signals: in any other thread this context does nothing.
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
    """Within this context a signal is noted and does nothing else; one that comes later again takes its usual course.

    Attributes:
        signal: that asked to stop; None if none did.
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
    """Within this context the processes that this one has started get the signals that it gets."""

    def __init__(self) -> None:
        super().__init__(self._forward)

    def _forward(self, number: int, frame: FrameType | None) -> None:
        for process in multiprocessing.active_children():
            if process.pid is not None:
                os.kill(process.pid, number)
