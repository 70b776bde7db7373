"""Measured rates of the libraries for products and for convolutions."""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import cache

import torch

__all__ = ["products_are_faster"]

_CHANNELS, _GRID, _MAPS, _ROUNDS = 64, 16, 8, 8
_MARGIN = 1.35


@cache
def products_are_faster() -> bool:
    """Whether a matrix product takes much less time than a convolution of as many multiplications.

    Measured once per process, in single precision, as the least processor time of several calls on one thread. The
    ratio is about 1 where both libraries use vectors of one length, and 1.8 where those of products are twice as long.
    The answer decides how sums are rounded, so it lies in between: all processes on a machine find the same.
    """
    x = torch.ones(_MAPS, _CHANNELS, _GRID + 2, _GRID + 2).contiguous(memory_format=torch.channels_last)
    weight = torch.ones(_CHANNELS, _CHANNELS, 3, 3).contiguous(memory_format=torch.channels_last)
    rows, matrix = torch.ones(_MAPS * _GRID**2, 9 * _CHANNELS), torch.ones(9 * _CHANNELS, _CHANNELS)
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        with torch.inference_mode(), torch.autocast("cpu", enabled=False):
            pairs = [
                (_seconds(lambda: torch.conv2d(x, weight)), _seconds(lambda: rows @ matrix)) for _ in range(_ROUNDS)
            ]
    finally:
        torch.set_num_threads(threads)
    convolution, product = (min(times) for times in zip(*pairs, strict=True))
    return convolution > _MARGIN * product


def _seconds(work: Callable[[], object]) -> float:
    start = time.thread_time()
    work()
    return time.thread_time() - start
