"""Why posteriors from a learned density of maps are too narrow: the scores of its likelihood on the cosmic web.

`trenf` learns the maps given Omega_m and sigma_8. With s the score of a map, the gradient of log p(x | parameters) at
its own parameters, and H the curvature there, a right density has

    E s = 0,      E s s^T = -E H      (the information equality).

The eigenvalues of (-E H)^-1 E s s^T are how many times over evidence is counted: on training maps, whose density was
fitted, and on maps of simulations that were held out, whose excess over those would be learning by heart. Part of the
scores is common to the maps of a simulation: a bias of the likelihood at its parameters would be such. Two lengths of
training tell whether more of it helps. The codes of the maps, white noise if the density were right, show where it is
wrong: the scatter of the power P(k) of one code, relative to that of white noise, and its mean over the shells of k.

    python -m benchmarks likelihood_information
    python -m benchmarks.likelihood_information measure     # goes on where it was stopped, without a table
"""

from __future__ import annotations

import sys
import warnings
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

import pushforward as pf
from benchmarks.stored_results import measure_once, run_part, stored
from benchmarks.timed_fits import timed_fit
from benchmarks.timing import report
from pushforward.ensembles import Ensemble, builtin
from pushforward.simulate.cosmic_web import OMEGA_M_RANGE, SIGMA_8_RANGE
from pushforward.statistics import power_spectrum

STEPS = (150, 500)
MAPS_EACH, SIMULATIONS, OFFSET, GRID, SHELLS = 3, 40, 0.01, 64, 10
Rows = NDArray[np.float64]


def main(seconds: float = float("inf"), *, table: bool = True) -> None:
    for steps in STEPS:
        cell(steps)
    if table:
        tabulate()


def tabulate() -> None:
    """The table of what is measured so far."""
    rows = []
    for steps in STEPS:
        run = stored("likelihood_information", f"trenf, {steps}", {"steps": steps})
        for name, found in (run or {"parts": {}})["parts"].items():
            rows.append(
                {
                    "steps": steps,
                    "maps": name,
                    "log-likelihood (nats per cell)": f"{found['log_prob']:.4f}",
                    "mean score, in deviations": ", ".join(f"{each:.2f}" for each in found["bias"]),
                    "evidence counted, times": ", ".join(f"{each:.1f}" for each in found["times"]),
                    "of scores within simulations": ", ".join(f"{each:.1f}" for each in found["within"]),
                    "power of a code": f"{found['least']:.2f} to {found['most']:.2f}",
                    "its scatter, of white noise": ", ".join(f"{each:.1f}" for each in found["scatter"]),
                }
            )
    notes = [
        f"cosmic-web, {GRID} x {GRID}: {MAPS_EACH} maps of each of up to {SIMULATIONS} simulations; trenf, one seed",
        "mean score: of Omega_m and sigma_8, in units of the scatter that scores of a right density have",
        "evidence counted: eigenvalues of the scores' second moments relative to the curvature; 1 if right",
        "power: mean over codes, least and largest over shells of k, 1 if right",
        f"scatter: of the power of one code, relative to that of white noise, in {SHELLS} shells from large scales "
        "to small; 1 if right",
    ]
    report("likelihood_information", "Evidence that a learned density of maps counts", rows, notes=notes)


def cell(steps: int) -> dict[str, Any]:
    return measure_once("likelihood_information", f"trenf, {steps}", {"steps": steps}, lambda: measured(steps))


def measured(steps: int) -> dict[str, Any]:
    data = builtin.simulate("cosmic-web")
    emulator, seconds = timed_fit(data, "trenf", steps=steps)
    parts = {"training": [data.train], "held out": [data.validation, data.test]}
    return {"seconds": seconds, "parts": {name: scored(emulator, each) for name, each in parts.items()}}


def scored(emulator: pf.Emulator, parts: list[Ensemble]) -> dict[str, Any]:
    x, theta, groups = chosen(parts)

    def log_prob(*offset: float) -> Rows:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message=".*extrapolates")
            return emulator.log_prob(x, (theta + OFFSET * np.array(offset)).astype(np.float32)).double().numpy()

    here, along = log_prob(0, 0), [(log_prob(*up), log_prob(*(-u for u in up))) for up in ((1, 0), (0, 1), (1, 1))]
    score = np.stack([(up - down) / (2 * OFFSET) for up, down in along[:2]], 1)
    first, second, both = (float((up + down - 2 * here).mean() / OFFSET**2) for up, down in along)
    mixed = (both - first - second) / 2
    information = -np.array([[first, mixed], [mixed, second]])
    within = np.mean([np.cov(score[groups == each].T) for each in np.unique(groups)], 0)
    power = code_power(emulator, x, theta)
    return {
        "log_prob": float(here.mean() / GRID**2),
        "bias": (score.mean(0) / np.sqrt(np.diag(information))).tolist(),
        "times": times(information, score.T @ score / len(score)),
        "within": times(information, within),
        "least": float(power.mean(0).min()),
        "most": float(power.mean(0).max()),
        "scatter": relative_scatter(power).tolist(),
    }


def chosen(parts: list[Ensemble]) -> tuple[torch.Tensor, Rows, NDArray[np.int64]]:
    """Maps of some simulations with parameters inside the range, their parameters, and numbers of the simulations."""
    maps, parameters, groups = [], [], []
    margins = np.array([OMEGA_M_RANGE, SIGMA_8_RANGE]).T + 3 * OFFSET * np.array([[1], [-1]])
    for part in parts:
        assert part.conditions is not None
        inside = ((part.conditions > margins[0]) & (part.conditions < margins[1])).all(1)
        for group in np.unique(part.groups[inside])[: SIMULATIONS // len(parts)]:
            rows = np.flatnonzero(part.groups == group)[:MAPS_EACH]
            maps.append(part.subset(rows).tensor())
            parameters.append(part.conditions[rows].astype(np.float64))
            groups.append(np.full(len(rows), len(groups)))
    return torch.cat(maps), np.concatenate(parameters), np.concatenate(groups)


def times(information: Rows, second_moment: Rows) -> list[float]:
    """Eigenvalues of the second moment of scores relative to the information."""
    return sorted(np.linalg.eigvals(np.linalg.solve(information, second_moment)).real.tolist(), reverse=True)


def code_power(emulator: pf.Emulator, x: torch.Tensor, theta: Rows) -> Rows:
    """P(k) of the code of each map, relative to that of white noise of variance 1: (maps, SHELLS)."""
    codes = emulator.encode(x, theta.astype(np.float32)).reshape(-1, 1, GRID, GRID)
    power = power_spectrum(codes, bins=edges()).power[:, 0]
    return (power / power_spectrum(white(), bins=edges()).power[:, 0].mean(0)).double().numpy()


def relative_scatter(power: Rows) -> Rows:
    reference = power_spectrum(white(), bins=edges()).power[:, 0].double()
    return power.std(0) / power.mean(0) / (reference.std(0) / reference.mean(0)).numpy()


def white() -> torch.Tensor:
    return torch.randn(400, 1, GRID, GRID, generator=torch.Generator().manual_seed(0))


def edges() -> torch.Tensor:
    return torch.from_numpy(np.geomspace(1, GRID / 2, SHELLS + 1) - 1e-9) * (2 * np.pi / GRID)


torch.set_num_threads(1)
if __name__ == "__main__":
    run_part(sys.argv[1:], main, tabulate)
