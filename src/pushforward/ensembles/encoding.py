"""Conditions in network units: numbers standardised, labels one-hot."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Self

import numpy as np
import torch
from jaxtyping import Float
from numpy.typing import NDArray
from torch import Tensor, nn

from pushforward.ensembles.ensemble import Parameter
from pushforward.ensembles.pointwise import known
from pushforward.ensembles.pointwise_selection import skewness
from pushforward.ensembles.precision import loses_differences
from pushforward.errors import UsageError

__all__ = ["Encoding"]

KINDS = ("standardise", "log", "asinh", "constant", "label")
_WIDE = 8.0
"""Smallest ratio of the largest to the smallest value for which a logarithm is considered."""
_FAR = 12.0
"""Standard deviations from the mean beyond which a value counts as an outlier that a network should not be given."""


class Encoding(nn.Module):
    """Map of conditions ``(batch, parameters)`` in the user's units to ``(batch, dim)`` in network units.

    Arguments:
        conditions: parameters, in order.
        kinds: encoding of each: ``"standardise"``, ``"log"``, ``"asinh"``, ``"constant"`` or ``"label"``.
        origin: offset subtracted from each in float64, because its differences need it (see `precision`) or as the
            median of a parameter encoded by its asinh; empty for none.
        widths: unit of a parameter in its asinh, the distance between its quartiles, and 1 for others; empty for none.
    """

    constants: Tensor

    def __init__(
        self,
        conditions: Sequence[Parameter],
        kinds: Sequence[str],
        origin: Sequence[float] = (),
        widths: Sequence[float] = (),
    ) -> None:
        super().__init__()
        self.widths = tuple(widths) or (1.0,) * len(kinds)
        self.origin = tuple(origin) or (0.0,) * len(kinds)
        self.conditions = tuple(conditions)
        self.kinds = tuple(known(kind, KINDS) for kind in kinds)
        # Rows: mean and standard deviation of the parameter, of its logarithm or of its asinh.
        self.register_buffer("constants", torch.tensor([[0.0], [1.0]]).repeat(1, len(self.kinds)))

    @classmethod
    def fit(cls, conditions: Sequence[Parameter], rows: Float[np.ndarray, "members parameters"] | None) -> Self:
        """Fit the encoding to the conditions of an ensemble.

        A positive parameter with a wide range whose logarithm is more symmetric is encoded by its logarithm; of others,
        one with outliers beyond twelve standard deviations by the asinh of its distance from the median.
        """
        if rows is None or not conditions:
            return cls((), ())
        kinds: list[str] = []
        constants: list[tuple[float, float]] = []
        origin: list[float] = []
        widths: list[float] = []
        for number, parameter in enumerate(conditions):
            column = rows[:, number].astype(np.float64)
            far = not parameter.classes and loses_differences(column)
            origin.append(float(np.round(column.mean())) if far else 0.0)
            column = column - origin[-1]
            kind = "label" if parameter.classes else _kind(column)
            widths.append(1.0)
            if kind == "log":
                column = np.log(column)
            elif kind == "asinh":
                low, median, high = np.quantile(column, [0.25, 0.5, 0.75])
                origin[-1], widths[-1] = origin[-1] + float(median), float(high - low)
                column = np.arcsinh((column - median) / widths[-1])
            kinds.append(kind)
            constants.append(
                (0.0, 1.0) if kind == "label" else (column.mean(), 1.0 if kind == "constant" else column.std())
            )
        made = cls(conditions, kinds, origin, widths)
        made.constants.copy_(torch.tensor(constants, dtype=torch.float64).T)
        return made

    @property
    def dim(self) -> int:
        """Length of an encoded condition."""
        return sum(max(1, len(parameter.classes)) for parameter in self.conditions)

    def forward(self, condition: Float[Tensor, "batch parameters"]) -> Float[Tensor, "batch dim"]:
        """Encoded conditions.

        Raises:
            UsageError: if there are not as many columns as parameters; and, for tensors on the CPU, if a value is not
                finite, a class does not exist, or a parameter encoded by its logarithm is not positive.
        """
        if condition.ndim != 2 or condition.shape[1] != len(self.conditions):
            names = ", ".join(parameter.name for parameter in self.conditions) or "none"
            raise UsageError(
                f"conditions have shape {tuple(condition.shape)}, but need one column for each of: {names}"
            )
        if condition.device.type == "cpu":
            self._check(condition)
        columns: list[Tensor] = []
        for number, (parameter, kind) in enumerate(zip(self.conditions, self.kinds, strict=True)):
            if kind == "label":
                columns.append(nn.functional.one_hot(condition[:, number].long(), len(parameter.classes)).float())
                continue
            values = condition[:, number]
            values = (values.double() - self.origin[number]).float() if self.origin[number] else values.float()
            mean, deviation = self.constants[:, number].to(values)
            if kind == "log":
                values = values.log()
            elif kind == "asinh":
                values = torch.asinh(values / self.widths[number])
            columns.append(((values - mean) / deviation)[:, None])
        return torch.cat(columns, dim=1)

    def describe(self) -> list[str]:
        """One line per parameter."""
        lines: list[str] = []
        for number, (parameter, kind) in enumerate(zip(self.conditions, self.kinds, strict=True)):
            mean, deviation = self.constants[:, number].tolist()
            mean += 0.0 if kind == "asinh" else self.origin[number]
            asinh = f"asinh(({parameter.name} - {self.origin[number]:.4g}) / {self.widths[number]:.4g})"
            sign = "-" if mean >= 0 else "+"
            how = {
                "label": f"label, one of {len(parameter.classes)}: {_listed(parameter.classes)}",
                "log": f"(ln {parameter.name} {sign} {abs(mean):.4g}) / {deviation:.4g}",
                "asinh": f"({asinh} {sign} {abs(mean):.4g}) / {deviation:.4g}, because of far outliers",
                "constant": f"always {mean:.4g}, so without effect",
                "standardise": f"({parameter.name} {sign} {abs(mean):.4g}) / {deviation:.4g}",
            }
            lines.append(f"condition {parameter.name}: {how[kind]}")
        return lines

    def to_dict(self) -> list[dict[str, Any]]:
        """Plain values for `from_dict`."""
        return [
            {"name": parameter.name, "classes": list(parameter.classes), "kind": kind, "origin": origin, "width": width}
            for parameter, kind, origin, width in zip(
                self.conditions, self.kinds, self.origin, self.widths, strict=True
            )
        ]

    @classmethod
    def from_dict(cls, values: list[dict[str, Any]]) -> Self:
        """Module described by `to_dict`, without its tensors."""
        conditions = [Parameter(each["name"], tuple(each["classes"])) for each in values]
        origin, widths = ([each.get(name, none) for each in values] for name, none in (("origin", 0.0), ("width", 1.0)))
        return cls(conditions, [each["kind"] for each in values], origin, widths)

    def _check(self, condition: Tensor) -> None:
        for number, (parameter, kind) in enumerate(zip(self.conditions, self.kinds, strict=True)):
            values = condition[:, number]
            if not torch.isfinite(values).all():
                raise UsageError(f"the condition {parameter.name} is not finite")
            if kind == "log" and (values <= 0).any():
                raise UsageError(f"the condition {parameter.name} is {values.min():g}, but must be positive")
            if kind == "label" and ((values < 0) | (values >= len(parameter.classes))).any():
                raise UsageError(f"the label {parameter.name} has the classes {_listed(parameter.classes)}")


def _kind(column: NDArray[np.float64]) -> str:
    low, high = column.min(), column.max()
    if low == high:
        return "constant"
    if low > 0 and high / low >= _WIDE and abs(skewness(np.log(column))) < abs(skewness(column)):
        return "log"
    first, last = np.quantile(column, [0.25, 0.75])
    far = max(high - column.mean(), column.mean() - low) > _FAR * column.std()
    return "asinh" if far and last > first else "standardise"


def _listed(names: Sequence[str], most: int = 12) -> str:
    return ", ".join(names[:most]) + (", ..." if len(names) > most else "")
