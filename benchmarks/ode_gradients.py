"""Gradients of the solvers beside finite differences and beside one another, in float64."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

from benchmarks.timing import report
from pushforward.dynamics import odeint

Row = dict[str, str | int | float]


def gradients() -> list[Row]:
    """Relative difference of gradients along a random direction to central differences and to the direct gradient."""
    rows: list[Row] = []
    for method in ("dopri5", "tsit5", "dopri8", "rk4"):
        for gradient in ("direct", "checkpointed", "adjoint"):
            torch.manual_seed(1)
            network = nn.Sequential(nn.Linear(3, 16), nn.Tanh(), nn.Linear(16, 2)).double()
            y0 = torch.randn(4, 2, dtype=torch.float64, requires_grad=True)
            t = torch.linspace(0, 1.5, 4, dtype=torch.float64).requires_grad_()
            inputs = {"initial state": y0, "times": t, "parameters": network[0].weight}

            def loss(
                gradient: str, network: nn.Module = network, y0: Tensor = y0, t: Tensor = t, m: str = method
            ) -> Tensor:
                def field(t: Tensor, y: Tensor) -> Tensor:
                    return network(torch.cat([y, t[:, None]], 1))

                options = {"steps": 300} if m == "rk4" else {"rtol": 1e-11, "atol": 1e-11}
                return odeint(field, y0, t, method=m, gradient=gradient, **options).y.sin().sum()

            found = torch.autograd.grad(loss(gradient), inputs.values())
            direct = torch.autograd.grad(loss("direct"), inputs.values())
            row: Row = {"solver": method, "gradient": gradient}
            for (name, x), by_x in zip(inputs.items(), found, strict=True):
                direction = torch.randn_like(x)
                expected = central_difference(lambda: loss("direct"), x, direction)
                row[f"{name}, to differences"] = abs(float((by_x * direction).sum()) / expected - 1)
            differences = [float((a - b).norm() / b.norm()) for a, b in zip(found, direct, strict=True)]
            rows.append({**row, "to direct": max(differences)})
    return rows


def central_difference(function: Callable[[], Tensor], x: Tensor, direction: Tensor, h: float = 1e-4) -> float:
    """Fourth-order central difference along a direction."""
    with torch.no_grad():
        original = x.clone()
        values = []
        for shift in (-2, -1, 1, 2):
            x.copy_(original + shift * h * direction)
            values.append(float(function()))
        x.copy_(original)
    return (values[0] - 8 * values[1] + 8 * values[2] - values[3]) / (12 * h)


def main() -> None:
    torch.set_num_threads(1)
    report(
        "ode_gradients",
        "Gradients of the solvers",
        gradients(),
        notes=[
            "Relative difference in float64, tolerance 1e-11 (rk4: 300 steps between outputs), a network of 16 hidden "
            "units and four output times; central differences of fourth order along a random direction.",
        ],
    )


if __name__ == "__main__":
    main()
