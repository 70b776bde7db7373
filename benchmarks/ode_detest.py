"""Errors of the adaptive solvers over their tolerance, on the DETEST problems."""

from __future__ import annotations

import math

import torch

from benchmarks.ode_problems.detest import END, PROBLEMS, reference
from benchmarks.timing import report
from pushforward.dynamics import METHODS, odeint

Row = dict[str, str | int | float]

ADAPTIVE = [name for name, method in METHODS.items() if method.adaptive]


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


def main() -> None:
    torch.set_num_threads(1)
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


if __name__ == "__main__":
    main()
