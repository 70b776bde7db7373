"""Orders of convergence of all solvers, in float64."""

from __future__ import annotations

import math

import torch

from benchmarks.ode_problems.detest import PROBLEMS
from benchmarks.timing import report
from pushforward.dynamics import METHODS, SYMPLECTIC, integrate_symplectic, odeint
from pushforward.dynamics.methods import find_method, take_step

Row = dict[str, str | int | float]

# an orbit on which the leading term of the error dominates soon
ORBIT = (PROBLEMS["D1"][0], [0.7, 0.0, 0.0, 1.3])
# a problem, and a number of steps at which the error is that of the leading term and well above rounding
ASYMPTOTIC = {
    "euler": ("E2", 8000), "midpoint": ("E2", 160), "heun": ("E2", 160), "rk4": ("E2", 80), "bosh3": ("E2", 160),
    "dopri5": ("orbit", 160), "tsit5": ("orbit", 160), "dopri8": ("E2", 20), "rodas4": ("E2", 320),
}  # fmt: skip


def orders() -> list[Row]:
    """Slope of the error at the end over the step size, for equal steps."""
    rows: list[Row] = []
    for name, method in METHODS.items():
        problem, steps = ASYMPTOTIC[name]
        field, start = ORBIT if problem == "orbit" else PROBLEMS[problem]
        y0, end = torch.tensor([start], dtype=torch.float64), torch.tensor([3.0], dtype=torch.float64)
        # tighter than the reference of DETEST, whose error is seen by the methods of order five
        tight = odeint(field, y0, torch.tensor([0.0, 3.0]), method="dopri8", rtol=1e-15, atol=1e-15)
        exact = tight.y_end[0]
        errors = []
        for count in (steps, 2 * steps):
            y, dt = y0, end / count
            for i in range(count):
                y = take_step(find_method(name), field, i * dt, y, dt, None, False).y1
            errors.append(float((y[0] - exact).norm()))
        rows.append({"solver": name, "order": method.order, "measured": math.log2(errors[0] / errors[1])})
    one, zero = torch.ones(1, 1, dtype=torch.float64), torch.zeros(1, 1, dtype=torch.float64)
    t = torch.tensor([0.0, 2.0], dtype=torch.float64)
    for name, composition in SYMPLECTIC.items():
        ends = [
            integrate_symplectic(lambda t, x: -x, one, zero, t, steps=n, method=name).position[-1] for n in (50, 100)
        ]
        coarse, fine = (abs(float(end) - math.cos(2.0)) for end in ends)
        rows.append({"solver": name, "order": composition.order, "measured": math.log2(coarse / fine)})
    return rows


def main() -> None:
    report(
        "ode_orders",
        "Order of the solvers",
        orders(),
        notes=[
            "Slope between two numbers of equal steps in float64, up to t = 3, on problem E2 of DETEST; dopri5 and "
            "tsit5 on a Kepler orbit of eccentricity 0.18."
        ],
    )


if __name__ == "__main__":
    main()
