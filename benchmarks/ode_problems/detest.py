"""The DETEST problems: Hull, Enright, Fellen & Sedgwick, SIAM J. Numer. Anal. 9, 603 (1972).

Three or more problems of each class: A (one equation), B (small systems), C (moderate), D (orbits), E (of higher
order). The reference is scipy's DOP853 at a tolerance of 1e-13.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np
import torch
from scipy.integrate import solve_ivp
from torch import Tensor

Field = Callable[[Tensor, Tensor], Tensor]

END = 20.0


def stack(*columns: Tensor) -> Tensor:
    return torch.stack(columns, 1)


def radioactive_chain(t: Tensor, y: Tensor) -> Tensor:
    passed = torch.cat([y[:, :9], torch.zeros_like(y[:, :1])], 1)
    return torch.nn.functional.pad(y[:, :9], (1, 0)) - passed


def heat(t: Tensor, y: Tensor) -> Tensor:
    padded = torch.nn.functional.pad(y, (1, 1))
    return padded[:, :-2] - 2 * y + padded[:, 2:]


def kepler(t: Tensor, y: Tensor) -> Tensor:
    return torch.cat([y[:, 2:], -y[:, :2] / y[:, :2].norm(dim=1, keepdim=True) ** 3], 1)


def torus(t: Tensor, y: Tensor) -> Tensor:
    a, b, c = y.unbind(1)
    radius = (a * a + b * b).sqrt()
    return stack(-b - a * c / radius, a - b * c / radius, a / radius)


def orbit(eccentricity: float) -> list[float]:
    return [1 - eccentricity, 0.0, 0.0, math.sqrt((1 + eccentricity) / (1 - eccentricity))]


PROBLEMS: dict[str, tuple[Field, list[float]]] = {
    "A1": (lambda t, y: -y, [1.0]),
    "A2": (lambda t, y: -(y**3) / 2, [1.0]),
    "A3": (lambda t, y: y * t.cos()[:, None], [1.0]),
    "A4": (lambda t, y: y / 4 * (1 - y / 20), [1.0]),
    "A5": (lambda t, y: (y - t[:, None]) / (y + t[:, None]), [4.0]),
    "B1": (lambda t, y: 2 * stack(y[:, 0] * (1 - y[:, 1]), -y[:, 1] * (1 - y[:, 0])), [1.0, 3.0]),
    "B2": (lambda t, y: stack(y[:, 1] - y[:, 0], y[:, 0] - 2 * y[:, 1] + y[:, 2], y[:, 1] - y[:, 2]), [2.0, 0.0, 1.0]),
    "B3": (lambda t, y: stack(-y[:, 0], y[:, 0] - y[:, 1] ** 2, y[:, 1] ** 2), [1.0, 0.0, 0.0]),
    "B4": (torus, [3.0, 0.0, 0.0]),
    "B5": (lambda t, y: stack(y[:, 1] * y[:, 2], -y[:, 0] * y[:, 2], -0.51 * y[:, 0] * y[:, 1]), [0.0, 1.0, 1.0]),
    "C1": (radioactive_chain, [1.0, *[0.0] * 9]),
    "C3": (heat, [1.0, *[0.0] * 9]),
    "C4": (heat, [1.0, *[0.0] * 50]),
    "D1": (kepler, orbit(0.1)),
    "D3": (kepler, orbit(0.5)),
    "D5": (kepler, orbit(0.9)),
    "E1": (lambda t, y: stack(y[:, 1], -y[:, 1] / (t + 1) - (1 - 0.25 / (t + 1) ** 2) * y[:, 0]), [0.6713967, 0.0954]),
    "E2": (lambda t, y: stack(y[:, 1], (1 - y[:, 0] ** 2) * y[:, 1] - y[:, 0]), [2.0, 0.0]),
    "E3": (lambda t, y: stack(y[:, 1], y[:, 0] ** 3 / 6 - y[:, 0] + 2 * (2.78535 * t).sin()), [0.0, 0.0]),
    "E4": (lambda t, y: stack(y[:, 1], 0.032 - 0.4 * y[:, 1] ** 2), [30.0, 0.0]),
    "E5": (lambda t, y: stack(y[:, 1], (1 + y[:, 1] ** 2).sqrt() / (25 - t)), [0.0, 0.0]),
}


def reference(field: Field, start: Sequence[float], end: float) -> np.ndarray:
    def single(t: float, y: np.ndarray) -> np.ndarray:
        return field(torch.tensor([t], dtype=torch.float64), torch.from_numpy(y)[None])[0].numpy()

    return solve_ivp(single, (0.0, end), np.asarray(start), method="DOP853", rtol=1e-13, atol=1e-13).y[:, -1]
