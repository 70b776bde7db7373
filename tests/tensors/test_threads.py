"""A thread beside the one that trains keeps to itself."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest
import torch

from pushforward.tensors import start_beside


@pytest.fixture
def two_threads():
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(before)


def test_only_the_thread_that_starts_it_has_workers(two_threads):
    counts = []
    start_beside(lambda: counts.append(torch.get_num_threads()), "beside").join()
    assert counts == [1]
    assert torch.get_num_threads() == 2


def test_busy_thread_leaves_one_core_less(two_threads):
    start_beside(lambda: None, "busy", busy=True).join()
    assert torch.get_num_threads() == 1


def test_operations_beside_start_no_workers(two_threads):
    tasks = Path("/proc/self/task")
    if not tasks.is_dir():
        pytest.skip("threads of the process are listed on Linux alone")
    ones = torch.ones(2_000_000)
    (ones + ones).sum()  # this thread's workers are there from here on
    done, hold = threading.Event(), threading.Event()

    def work():
        (ones + ones).sum()
        done.set()
        hold.wait()

    before = len(list(tasks.iterdir()))
    thread = start_beside(work, "beside")
    done.wait()
    after = len(list(tasks.iterdir()))
    hold.set()
    thread.join()
    assert after == before + 1
