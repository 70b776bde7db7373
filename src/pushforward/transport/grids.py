"""Times at which a sampler stops on its way from noise to data."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import torch

from pushforward.errors import UsageError
from pushforward.transport.path import Path

__all__ = ["Spacing", "equal_times", "time_grid"]

Spacing = Literal["uniform", "angle", "log-snr"]


def time_grid(
    path: Path, steps: int, spacing: Spacing = "uniform", *, start: float = 1.0, stop: float = 0.0, reach: float = 6.0
) -> list[float]:
    """``steps + 1`` times of the path, from ``start`` to ``stop`` exactly.

    Arguments:
        path: whose times they are.
        steps: moves from one time to the next; at least 1.
        spacing: what is equally spaced: ``uniform`` the time itself; ``angle`` arctan(sigma / alpha), which lays more
            times at both ends than the straight line's uniform grid; ``log-snr`` lambda, which lays most times near
            the ends.
        start, stop: first and last time; noise to data by default, the reverse if start < stop.
        reach: the largest |log(alpha / sigma)| of an inner time with spacing ``log-snr``, as the ends may be infinite.

    Raises:
        UsageError: if ``steps`` is below 1 or ``spacing`` is unknown.
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
    else:
        raise UsageError(f"the spacing {spacing!r} of times is unknown; known are uniform, angle, log-snr")
    return [start, *times[1:-1].tolist(), stop]


def equal_times(times: Sequence[float], source: Path, target: Path) -> list[float]:
    """The times of the path ``target`` at which it has the signal-to-noise ratios of ``source`` at ``times``."""
    return target.time(source.log_snr(torch.tensor(times, dtype=torch.float64))).tolist()
