"""Background threads next to the training thread."""

from __future__ import annotations

import threading
from collections.abc import Callable

import torch

__all__ = ["start_beside"]


def start_beside(work: Callable[[], None], name: str, *, busy: bool = False) -> threading.Thread:
    """Start a thread whose tensor operations use one core, so that this thread keeps the others for itself.

    Otherwise each of the two threads has its own pool of workers. With more workers than cores, OpenMP puts idle ones
    to sleep at once, and each operation waits for them to wake up: on two cores a small U-Net then trains more slowly
    than on one.

    Arguments:
        work: function that the thread runs.
        name: of the thread.
        busy: whether it occupies a core all the time; then this thread continues with one core fewer.

    References:
        Manual of libgomp, GOMP_SPINCOUNT, https://gcc.gnu.org/onlinedocs/libgomp/GOMP_005fSPINCOUNT.html
    """
    count = torch.get_num_threads()
    ready = threading.Event()

    def run() -> None:
        # A thread copies the global number at its first query, and keeps its own number if it is set after that.
        torch.get_num_threads()
        torch.set_num_threads(1)
        ready.set()
        work()

    thread = threading.Thread(target=run, name=name, daemon=True)
    thread.start()
    ready.wait()
    torch.set_num_threads(max(1, count - busy))  # The call in the thread also set the global number and that of MKL.
    return thread
