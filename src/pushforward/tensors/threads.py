"""Threads beside the one that trains."""

from __future__ import annotations

import threading
from collections.abc import Callable

import torch

__all__ = ["start_beside"]


def start_beside(work: Callable[[], None], name: str, *, busy: bool = False) -> threading.Thread:
    """Start a thread whose operations on tensors are not spread over the cores, which this thread has for its own.

    Otherwise each of the two threads has workers of its own. OpenMP, when it sees more workers than cores, lets those
    that have nothing to do sleep at once, and each operation waits for them to wake up: on two cores a small U-Net then
    trains more slowly than on one.

    Arguments:
        work: what the thread does.
        name: of the thread.
        busy: whether it keeps a core at work all the time; then this thread goes on with one core less.

    References:
        Manual of libgomp, GOMP_SPINCOUNT, https://gcc.gnu.org/onlinedocs/libgomp/GOMP_005fSPINCOUNT.html
    """
    count = torch.get_num_threads()
    ready = threading.Event()

    def run() -> None:
        # A thread takes over the number for all at its first question, and keeps its own if it is told one after that.
        torch.get_num_threads()
        torch.set_num_threads(1)
        ready.set()
        work()

    thread = threading.Thread(target=run, name=name, daemon=True)
    thread.start()
    ready.wait()
    torch.set_num_threads(max(1, count - busy))  # The number for all, and that of MKL, were set as well.
    return thread
