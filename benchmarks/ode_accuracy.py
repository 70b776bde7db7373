"""Accuracy of the solvers: orders of convergence, tolerances on the DETEST problems, gradients, memory of the adjoint.

DETEST: Hull, Enright, Fellen & Sedgwick, SIAM J. Numer. Anal. 9, 603 (1972); three or more problems of each class,
A (one equation), B (small systems), C (moderate systems), D (orbits), E (of higher order). The reference is scipy's
DOP853 at a tolerance of 1e-13.
"""

from __future__ import annotations

import gc
import math
from collections.abc import Callable, Sequence

import numpy as np
import torch
from scipy.integrate import solve_ivp
from torch import Tensor, nn

from benchmarks.timing import report
from pushforward.dynamics import METHODS, SYMPLECTIC, Controller, integrate_symplectic, odeint
from pushforward.dynamics.methods import find_method, take_step

Field = Callable[[Tensor, Tensor], Tensor]
Row = dict[str, str | int | float]

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
ADAPTIVE = [name for name, method in METHODS.items() if method.adaptive]

# a problem, and a number of steps at which the error is that of the leading term and well above rounding
ASYMPTOTIC = {
    "euler": ("E2", 8000), "midpoint": ("E2", 160), "heun": ("E2", 160), "rk4": ("E2", 80), "bosh3": ("E2", 160),
    "dopri5": ("D1", 160), "tsit5": ("D1", 160), "dopri8": ("E2", 20), "rodas4": ("E2", 320),
}  # fmt: skip


def orders() -> list[Row]:
    """Slope of the error at the end over the step size, for equal steps."""
    rows: list[Row] = []
    for name, method in METHODS.items():
        problem, steps = ASYMPTOTIC[name]
        field, start = PROBLEMS[problem]
        y0, end = torch.tensor([start], dtype=torch.float64), torch.tensor([3.0], dtype=torch.float64)
        exact = torch.from_numpy(reference(field, start, 3.0))
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


def reference(field: Field, start: Sequence[float], end: float) -> np.ndarray:
    def single(t: float, y: np.ndarray) -> np.ndarray:
        return field(torch.tensor([t], dtype=torch.float64), torch.from_numpy(y)[None])[0].numpy()

    return solve_ivp(single, (0.0, end), np.asarray(start), method="DOP853", rtol=1e-13, atol=1e-13).y[:, -1]


def tolerances() -> list[Row]:
    """Error at the end over the tolerance, and over how much the problem itself magnifies errors of one tolerance."""
    exact = {name: torch.from_numpy(reference(field, start, END)) for name, (field, start) in PROBLEMS.items()}
    rows: list[Row] = []
    t = torch.tensor([0.0, END], dtype=torch.float64)
    for solver in ADAPTIVE:
        for tolerance in (1e-4, 1e-6, 1e-8):
            if tolerance < 1e-6 and solver in ("bosh3", "rodas4"):
                continue  # of low order: they would take very many steps
            ratios, calls = {}, 0.0
            for name, (field, start) in PROBLEMS.items():
                y0 = torch.tensor([start], dtype=torch.float64)
                found = odeint(field, y0, t, method=solver, rtol=tolerance, atol=tolerance, max_steps=100_000)
                scale = tolerance * (1 + exact[name].abs())
                size = float(((found.y_end[0] - exact[name]) / scale).square().mean().sqrt())
                ratios[name] = size / magnification(name)
                calls += float(found.stats.evaluations)
            worst = max(ratios, key=lambda name: ratios[name])
            row: Row = {"solver": solver, "tolerance": f"{tolerance:g}"}
            for group in "ABCDE":
                row[f"class {group}"] = max(ratio for name, ratio in ratios.items() if name.startswith(group))
            rows.append({**row, "worst problem": worst, "evaluations": int(calls)})
    return rows


_MAGNIFICATION: dict[str, float] = {}


def magnification(name: str) -> float:
    """The end's change over changes of the tolerance's size made at each unit of time, at least 1.

    An error of one tolerance a unit of time is what error control promises; the problem then carries it to the end.
    """
    if name not in _MAGNIFICATION:
        field, start = PROBLEMS[name]
        size = 1e-7
        y = torch.tensor([start], dtype=torch.float64)
        total = torch.zeros(len(start), dtype=torch.float64)
        for unit in range(int(END)):
            now = torch.tensor([unit, END], dtype=torch.float64)
            tight = {"method": "dopri8", "rtol": 1e-12, "atol": 1e-12}
            moved = y + size * (1 + y.abs()) * torch.cat([torch.eye(len(start)), -torch.eye(len(start))]).double()
            ends = odeint(field, torch.cat([y, moved]), now, **tight).y_end
            total += ((ends[1:] - ends[0]) / size / (1 + ends[0].abs())).square().mean(0).sqrt() * math.sqrt(len(start))
            y = odeint(field, y, torch.tensor([unit, unit + 1.0], dtype=torch.float64), **tight).y_end
        _MAGNIFICATION[name] = max(1.0, float(total.square().mean().sqrt()))
    return _MAGNIFICATION[name]


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


def memory() -> list[Row]:
    """Peak bytes of the tensors that autograd keeps, forward and backward pass together."""
    rows: list[Row] = []
    for gradient in ("direct", "checkpointed", "adjoint"):
        row: Row = {"gradient": gradient}
        for steps in (10, 100, 1000):
            row[f"{steps} steps (kB)"] = saved_bytes(gradient, steps) / 1000
        rows.append(row)
    return rows


def saved_bytes(gradient: str, steps: int) -> int:
    network = nn.Sequential(nn.Linear(4, 32), nn.Tanh(), nn.Linear(32, 4))
    y0 = torch.randn(16, 4, requires_grad=True)
    alive = peak = 0

    class Kept:
        def __init__(self, tensor: Tensor) -> None:
            nonlocal alive, peak
            self.tensor = tensor.detach()  # an output that knows its own graph would keep itself alive
            self.size = tensor.numel() * tensor.element_size()
            alive += self.size
            peak = max(peak, alive)

        def __del__(self) -> None:
            nonlocal alive
            alive -= self.size

    with torch.autograd.graph.saved_tensors_hooks(Kept, lambda kept: kept.tensor):
        odeint(
            lambda t, y: network(y), y0, torch.tensor([0.0, 1.0]), rtol=1e9, atol=1e9, first_step=1 / steps,
            gradient=gradient, controller=Controller(smallest=1.0, largest=1.0),
        ).y_end.sum().backward()  # fmt: skip
    gc.collect()
    return peak


def main() -> None:
    torch.manual_seed(0)
    torch.set_num_threads(1)
    report(
        "ode_order",
        "Order of the solvers",
        orders(),
        notes=["Slope between two numbers of equal steps in float64, on problems E2 and D1 of DETEST up to t = 3."],
    )
    report(
        "ode_detest",
        "Tolerances on the DETEST problems",
        tolerances(),
        notes=[
            "Largest error at t = 20 over the tolerance (relative and absolute the same, root mean square over the "
            "coordinates), over the problems of a class. 1 is an error of one tolerance in each unit of time, carried "
            "to the end by the problem itself: how much it magnifies such errors is measured for each.",
            f"Problems: {', '.join(PROBLEMS)}. Reference: scipy's DOP853 at 1e-13. Evaluations: sum over the problems.",
        ],
        packages=("scipy",),
    )
    report(
        "ode_gradients",
        "Gradients of the solvers",
        gradients(),
        notes=[
            "Relative difference in float64, tolerance 1e-11 (rk4: 300 steps between outputs), a network of 16 hidden "
            "units and four output times; central differences of fourth order along a random direction.",
        ],
    )
    report(
        "ode_memory",
        "Memory of the gradients",
        memory(),
        notes=[
            "Peak of what autograd keeps, forward and backward pass together; 16 samples of 4 numbers, a network of 32 "
            "hidden units, dopri5. The states that the checkpointed gradient keeps for itself are not counted.",
        ],
    )


if __name__ == "__main__":
    main()
