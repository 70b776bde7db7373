"""Grids of times for samplers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor

from pushforward.errors import UsageError
from pushforward.transport.path import Path

__all__ = ["Spacing", "equal_times", "time_grid"]

Spacing = Literal["uniform", "angle", "log-snr", "karras"]


_RHO = 7


def time_grid(
    path: Path, steps: int, spacing: Spacing = "uniform", *, start: float = 1.0, stop: float = 0.0, reach: float = 6.0
) -> list[float]:
    """``steps + 1`` times of the path, from exactly ``start`` to exactly ``stop``.

    Arguments:
        path: gives the schedule.
        steps: number of intervals, at least 1.
        spacing: the equally spaced quantity: ``uniform`` time; ``angle`` arctan(sigma / alpha), denser at both ends
            than the straight line's uniform grid; ``log-snr`` lambda, densest near the ends; ``karras`` the seventh
            root of sigma / alpha, between these two.
        start, stop: first and last time; noise to data by default, the reverse if start < stop.
        reach: largest |log(alpha / sigma)| of an inner time for ``log-snr`` and ``karras``, since the ends may
            be infinite.

    Raises:
        UsageError: if ``steps`` is below 1 or ``spacing`` is unknown.

    References:
        Karras et al. 2022, https://arxiv.org/abs/2206.00364, eq. 5
    """
    if steps < 1:
        raise UsageError(f"a sampler needs at least 1 step, but steps={steps} was given")
    ends = torch.tensor([start, stop], dtype=torch.float64)
    part = torch.linspace(0, 1, steps + 1, dtype=torch.float64)
    if spacing == "uniform":
        times = start + (stop - start) * part
    elif spacing == "angle":
        angles = torch.atan(torch.exp(-path.log_snr(ends) / 2))
        times = path.time(-2 * torch.log(torch.tan(angles[0] + (angles[1] - angles[0]) * part)))
    elif spacing == "log-snr":
        ratios = path.log_snr(ends).clamp(-2 * reach, 2 * reach)
        times = path.time(ratios[0] + (ratios[1] - ratios[0]) * part)
    elif spacing == "karras":
        times = _karras(path, ends, steps, reach)
    else:
        raise UsageError(
            f"there is no spacing of times called {spacing!r}; known ones are uniform, angle, log-snr, karras"
        )
    return [start, *times[1:-1].tolist(), stop]


def _karras(path: Path, ends: Tensor, steps: int, reach: float) -> Tensor:
    if ends[0] < ends[1]:
        return _karras(path, ends.flip(0), steps, reach).flip(0)
    log_snr = path.log_snr(ends)
    # A last step beyond the reach, such as to no noise at all, follows the grid.
    moves = steps - 1 if log_snr[1] > 2 * reach else steps
    first, last = torch.exp(-log_snr.clamp(-2 * reach, 2 * reach) / (2 * _RHO)).tolist()
    ratios = torch.linspace(first, last, moves + 1, dtype=torch.float64) ** _RHO
    return torch.cat([path.time(-2 * torch.log(ratios)), ends[1:]])[: steps + 1]


def equal_times(times: Sequence[float], source: Path, target: Path) -> list[float]:
    """Times at which the path ``target`` has the signal-to-noise ratios of ``source`` at ``times``."""
    return target.time(source.log_snr(torch.tensor(times, dtype=torch.float64))).tolist()
