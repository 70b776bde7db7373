"""Responses of samples to their parameters: curves for the verdicts on conditions."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np

from pushforward.validation.conditions import bins_of, difference, judged_columns, profiles_of, with_parameter
from pushforward.validation.evaluation_data import EvaluationData
from pushforward.validation.floor import silent
from pushforward.validation.wording import plain

__all__ = ["Response", "responses_of"]

RESPONSE_BINS = 5


@dataclass(frozen=True)
class Response:
    """Summary as a function of a parameter: means in bins of it, for real test members and generated samples.

    Attributes:
        parameter: its name; ticks: names of the classes of a label.
        x: mean of the parameter in each bin, shape (B,).
        values: the parameter of each test member, shape (n,).
        lines: for each summary (a band of k, say): its name, and in each bin mean and standard error of either set.
        per_bin: the discrepancy in each of the bins in ``per_bin_names``, and the same for real against real.
    """

    parameter: str
    ticks: tuple[str, ...]
    x: np.ndarray
    lines: tuple[dict[str, Any], ...]
    per_bin_names: tuple[str, ...]
    per_bin: np.ndarray
    per_bin_floor: np.ndarray
    unit: str

    def to_dict(self) -> dict[str, Any]:
        return plain(  # type: ignore[return-value]
            {
                "parameter": self.parameter,
                "x": self.x,
                "lines": list(self.lines),
                "bins": list(self.per_bin_names),
                "discrepancy": self.per_bin,
                "floor": self.per_bin_floor,
                "unit": self.unit,
            }
        )


def responses_of(data: EvaluationData) -> list[Response]:
    """A response for each judged parameter whose range could be cut into bins."""
    return [_response(data, column) for column in judged_columns(data) if bins_of(data, column).names]


def _response(data: EvaluationData, column: int) -> Response:
    assert data.conditions is not None
    parameter, n = data.parameters[column], data.count
    compared, profile = profiles_of(data)
    bins, distance = bins_of(data, column), difference(compared)
    generated, real = with_parameter(data, column, compared)
    per_bin = bins.each(generated, real[:n], distance)
    floors = np.array([bins.each(real[a], real[b], distance) for a, b in data.floor.pairs])
    with silent():
        floor = np.nanmedian(floors, axis=0) if len(floors) else np.full(len(per_bin), np.nan)
    values = data.conditions[:n, column]
    if parameter.classes:
        members = [values == c for c in np.unique(values)]
        ticks = tuple(str(parameter.classes[int(c)]) for c in np.unique(values))
    else:
        edges = np.quantile(values, np.linspace(0, 1, RESPONSE_BINS + 1))
        members = [(values >= low) & (values <= high) for low, high in pairwise(edges)]
        ticks = ()
    members = [mask for mask in members if mask.any()]
    followed = [0, len(profile.names) // 2] if len(profile.names) > 1 else [0]
    lines = []
    for index in followed:
        name = profile.names[index]
        line: dict[str, Any] = {"name": f"{profile.label} at {name}" if profile.unit == "%" else name}
        for key, rows in (("real", profile.real[:n]), ("generated", profile.generated)):
            line[key] = np.array([rows[mask, index].mean() for mask in members])
            line[f"{key}_error"] = np.array([rows[mask, index].std() / np.sqrt(mask.sum()) for mask in members])
        lines.append(line)
    x = np.array([values[mask].mean() for mask in members])
    return Response(parameter.name, ticks, x, tuple(lines), bins.names, per_bin, floor, compared.unit)
