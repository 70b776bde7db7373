"""Forecasts of series, in the user's units."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from pushforward.conditions import Condition
from pushforward.ensembles import Preprocessing
from pushforward.errors import UsageError
from pushforward.models.abilities import Forecaster
from pushforward.randomness import Draws

__all__ = ["Forecast", "forecast"]


TOGETHER = 8192
"""Paths computed at a time."""


@dataclass(frozen=True)
class Forecast:
    """Forecast of series, in the user's units.

    Attributes:
        times: shape (n, T).
        mean: mean over draws of the noiseless path; shape (n, T, dim).
        low, high: ends of the central band that contains a new observation with probability ``level``; shape (n,
            T, dim).
        level: probability of the band.
        paths: draws of the noiseless path, shape (draws, n, T, dim).
        observed: draws of new observations, including noise, shape (draws, n, T, dim).
    """

    times: Float[Tensor, "n T"]
    mean: Float[Tensor, "n T dim"]
    low: Float[Tensor, "n T dim"]
    high: Float[Tensor, "n T dim"]
    level: float
    paths: Float[Tensor, "draws n T dim"]
    observed: Float[Tensor, "draws n T dim"]

    @classmethod
    def of(cls, times: Tensor, paths: Tensor, observed: Tensor, level: float) -> Forecast:
        """Forecast with the mean and the band of draws."""
        ends = observed.new_tensor([0.5 - level / 2, 0.5 + level / 2])
        low, high = torch.quantile(observed, ends, dim=0)
        return cls(times, paths.mean(0), low, high, level, paths, observed)


@torch.no_grad()
def forecast(
    model: Forecaster,
    preprocessing: Preprocessing,
    x: Float[Tensor, "n rows columns"],
    times: Float[Tensor, "n T"] | Float[Tensor, " T"],
    condition: Condition | None = None,
    *,
    draws: int = 200,
    level: float = 0.9,
    seeds: Callable[[int], int],
    **options: Any,
) -> Forecast:
    """Forecast of a model in the user's units, computed in groups of series; see `Emulator.forecast`.

    Arguments:
        seeds: seed of each group of series, by its number.

    Raises:
        UsageError: if shapes are wrong, or a time is not finite or before the training data.
    """
    columns = preprocessing.space.shape[-1]
    if x.dim() != 3 or x.shape[2] != columns:
        raise UsageError(f"series have shape {tuple(x.shape)}; expected (n, rows, {columns})")
    if times.dim() == 1:
        times = times.expand(len(x), -1)
    if times.dim() != 2 or len(times) != len(x):
        raise UsageError(f"times have shape {tuple(times.shape)}; expected (T,) or ({len(x)}, T)")
    if not 0 < level < 1 or draws < 2:
        raise UsageError(
            f"level is {level} and draws {draws}; give a probability between 0 and 1, and at least 2 draws"
        )
    at = preprocessing.encode_times(times)
    if not torch.isfinite(at).all() or bool((at < 0).any()):
        first = preprocessing.decode_times(torch.zeros(1)).item()
        asked = times.nan_to_num(-math.inf).min().item()
        raise UsageError(
            f"a forecast was requested at {asked:g}; times must be finite, and not before the first of the training "
            f"data, {first:g}"
        )
    ascending, order = at.sort(dim=1)
    back = order.argsort(dim=1)
    size = max(1, TOGETHER // draws)
    paths: list[Tensor] = []
    observed: list[Tensor] = []
    for number, start in enumerate(range(0, len(x), size)):
        part = slice(start, start + size)
        given = None if condition is None else condition[part]
        random = Draws(seeds(number), len(x[part]), device=x.device)
        code = None if given is None else preprocessing.encode_condition(given)
        found = model.forecast(preprocessing(x[part], given), ascending[part], random, code, count=draws, **options)
        for values, kept in zip(found, (paths, observed), strict=True):
            index = back[part, :, None].expand_as(values[0]).expand_as(values)
            kept.append(_in_user_units(values.gather(2, index), at[part], preprocessing).cpu())
    return Forecast.of(times.cpu(), torch.cat(paths, 1), torch.cat(observed, 1), level)


def _in_user_units(values: Tensor, times: Tensor, preprocessing: Preprocessing) -> Tensor:
    """Values (draws, n, T, dim) at times (n, T), both in network units."""
    space = preprocessing.space
    if not space.timed:
        return preprocessing.inverse(values)
    column = times[None, ..., None].expand(*values.shape[:-1], 1)
    return preprocessing.inverse(torch.cat([column, values], -1))[..., 1:]
