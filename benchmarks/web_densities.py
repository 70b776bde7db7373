"""Densities of maps of the cosmic web, 64 x 64: likelihood, statistics of samples, and parameters inferred with them.

`glow`, `trenf` and `tarflow` learn the density of maps given Omega_m and sigma_8, each for as many steps as fit into
the budget (processor seconds of one core), and are compared by

- log p(x | Omega_m, sigma_8) of test members, nats per cell;
- the statistics of samples at the conditions of test members, as `judge` gives them;
- the posterior of both parameters of one map, under a uniform prior over the range of training, from the likelihood at
  10 x 10 points with a cubic spline between them. Its calibration is measured with new maps, one per simulation, of
  parameters from the prior; its widths with new maps of Omega_m = 0.3, sigma_8 = 0.8, beside the forecast of a Fisher
  matrix from the logarithm of P(k) of one map (derivatives and covariance from simulations; the prior is taken in as a
  normal one of equal variance).

    python -m benchmarks web_densities
    python -m benchmarks.web_densities trenf       # this alone, without a table
"""

from __future__ import annotations

import sys
from functools import cache
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.interpolate import RectBivariateSpline

import pushforward as pf
from benchmarks.flow_peers import count
from benchmarks.stored_results import measure_once, stored
from benchmarks.timed_fits import fit_for
from benchmarks.timing import report
from pushforward.ensembles import builtin
from pushforward.simulate import simulate
from pushforward.simulate.cosmic_web import OMEGA_M_RANGE, SIGMA_8_RANGE
from pushforward.statistics import posterior_calibration, power_spectrum
from pushforward.validation import judge

BUDGET, GRID, MAPS_EACH = 150.0, 64, 12
SCORED, CALIBRATED, POINTS, FINE, DRAWS = 200, 40, 10, 160, 99
FIDUCIAL, STEP, FIDUCIALS, BINS = (0.3, 0.8), (0.04, 0.04), 16, 10
RANGES = (OMEGA_M_RANGE, SIGMA_8_RANGE)
STATISTICS = ("power_spectrum", "one_point_pdf", "bispectrum", "peaks")
FAMILIES: dict[str, dict[str, Any]] = {
    "trenf": {},
    "glow": {"couplings": 4, "width": 48},
    "tarflow": {"width": 128, "depth": 2, "transforms": 4},
}
Maps = NDArray[np.float32]


def main() -> None:
    for family in FAMILIES:
        cell(family)
    tabulate()


def tabulate() -> None:
    """The tables of what is measured so far."""
    found = {family: stored("web_densities", family, setting(family)) for family in FAMILIES}
    runs = {family: run for family, run in found.items() if run is not None}
    densities, posteriors = [], []
    for family, run in runs.items():
        row = {
            "family": family,
            "test log-likelihood (nats per cell)": f"{run['test']:.4f} ± {run['error']:.4f}",
            "of training members": f"{run['train']:.4f}",
            "steps": run["steps"],
            "processor seconds": round(run["seconds"]),
            "parameters": run["parameters"],
        }
        densities.append(row | run["statistics"])
        posteriors.append(
            {"posterior": family, **widths(np.array(run["covariance"]))}
            | {
                "spread of ranks (Omega_m, sigma_8)": ", ".join(
                    f"{value:.2f} (p {p:.2g})" for value, p in zip(run["spread"], run["spread_p"], strict=True)
                ),
                "largest departure of coverage": f"{run['coverage']:.3f} (p {run['coverage_p']:.2g})",
            }
        )
    posteriors.append({"posterior": "Fisher forecast, P(k)", **widths(forecast())})
    columns = list(posteriors[0])
    posteriors = [{column: row.get(column, "") for column in columns} for row in posteriors]
    notes = [
        f"cosmic-web, {GRID} x {GRID}, 4800 maps; at most {BUDGET:g} processor seconds of training, one seed, one core",
        f"log-likelihood of {SCORED} test members; statistics: value ± error; floor that real maps have",
        "families without a row were not measured",
        f"widths: root of the mean posterior variance over {FIDUCIALS} maps at Omega_m = 0.3, sigma_8 = 0.8; area: "
        "root of the determinant of the mean covariance",
        f"calibration over {CALIBRATED} maps of as many simulations: spread of ranks is 1 if right and above 1 for "
        "posteriors that are too narrow; p: share of right posteriors that are as far off",
    ]
    tables = {"Posteriors of a map's parameters": posteriors}
    report("web_densities", "Densities of maps of the cosmic web", densities, notes=notes, further=tables)


def widths(covariance: NDArray[np.float64]) -> dict[str, str]:
    deviations = np.sqrt(np.diag(covariance))
    return {
        "deviation of Omega_m": f"{deviations[0]:.4f}",
        "of sigma_8": f"{deviations[1]:.4f}",
        "area": f"{np.sqrt(np.linalg.det(covariance)):.2e}",
    }


def setting(family: str) -> dict[str, Any]:
    return {"budget": BUDGET, "settings": FAMILIES[family]}


def cell(family: str) -> dict[str, Any]:
    return measure_once("web_densities", family, setting(family), lambda: measured(family))


def measured(family: str) -> dict[str, Any]:
    data = builtin.simulate("cosmic-web")
    emulator, steps, seconds = fit_for(BUDGET, data, family, settings=FAMILIES[family])
    print(f"{family}: {steps} steps, {seconds:.0f} s", flush=True)
    scores = {}
    for name, part in (("train", data.train), ("test", data.test)):
        shown = part.subset(np.linspace(0, len(part) - 1, SCORED).astype(int))
        scores[name] = emulator.log_prob(shown.tensor(), shown.conditions).double().numpy() / GRID**2
    print(f"{family}: {scores['test'].mean():.4f} nats per cell", flush=True)
    samples = emulator.sample_at(data.test.conditions, seed=0)
    verdicts = judge(samples, data.test, train=data.train, progress=False).verdicts
    maps, truth = calibrating()
    drawn = np.stack([draws_of(posterior(emulator, x), number) for number, x in enumerate(maps)])
    calibrated = posterior_calibration(drawn, truth)
    covariance = np.mean([covariance_of(posterior(emulator, x)) for x in fiducial_maps()], 0)
    departure = (calibrated.coverage - calibrated.credibility).abs().max()
    null = (calibrated.coverage_null - calibrated.credibility).abs().amax(1)
    off, off_null = (calibrated.single.spread - 1).abs(), (calibrated.single.spread_null - 1).abs()
    return {
        "steps": steps,
        "seconds": seconds,
        "parameters": count(emulator.model),
        "train": float(scores["train"].mean()),
        "test": float(scores["test"].mean()),
        "error": float(scores["test"].std() / SCORED**0.5),
        "statistics": {each.label: shown_verdict(each) for each in verdicts if each.statistic in STATISTICS},
        "covariance": covariance.tolist(),
        "spread": calibrated.single.spread.tolist(),
        "spread_p": (off_null >= off).double().mean(0).tolist(),
        "coverage": float(departure),
        "coverage_p": float((null >= departure).double().mean()),
    }


def shown_verdict(verdict: Any) -> str:
    unit = f" {verdict.unit}" if verdict.unit else ""
    return f"{verdict.value:.3g} ± {verdict.error:.2g}{unit}; floor {verdict.floor:.3g}"


def axes(points: int) -> list[NDArray[np.float64]]:
    return [np.linspace(low, high, points) for low, high in RANGES]


def posterior(emulator: pf.Emulator, x: Maps) -> NDArray[np.float64]:
    """Mass on FINE x FINE points, of one map (1, cells, cells)."""
    coarse = np.stack(np.meshgrid(*axes(POINTS), indexing="ij"), -1).reshape(-1, 2).astype(np.float32)
    logs = emulator.log_prob(torch.from_numpy(x)[None].expand(len(coarse), -1, -1, -1), coarse).double().numpy()
    fine = RectBivariateSpline(*axes(POINTS), logs.reshape(POINTS, POINTS))(*axes(FINE))
    mass = np.exp(fine - fine.max())
    return mass / mass.sum()


def draws_of(mass: NDArray[np.float64], seed: int) -> NDArray[np.float64]:
    """DRAWS samples, spread within the cells of the points."""
    rng = np.random.default_rng(seed)
    places = np.unravel_index(rng.choice(mass.size, DRAWS, p=mass.ravel()), mass.shape)
    width = [(high - low) / (FINE - 1) for low, high in RANGES]
    columns = [axis[place] for axis, place in zip(axes(FINE), places, strict=True)]
    return np.stack(columns, 1) + rng.uniform(-0.5, 0.5, (DRAWS, 2)) * width


def covariance_of(mass: NDArray[np.float64]) -> NDArray[np.float64]:
    points = np.stack(np.meshgrid(*axes(FINE), indexing="ij"), -1).reshape(-1, 2)
    away = points - mass.ravel() @ points
    return (away * mass.reshape(-1, 1)).T @ away


@cache
def calibrating() -> tuple[Maps, NDArray[np.float32]]:
    """Maps of new simulations, one of each, and their parameters."""
    found = simulate("cosmic-web", CALIBRATED * MAPS_EACH, 1)
    assert found.conditions is not None
    return found.x[::MAPS_EACH], found.conditions[::MAPS_EACH]


def at(parameters: tuple[float, float]) -> Maps:
    """All maps of simulations with these parameters, from the same initial conditions for all."""
    matter, fluctuations = parameters
    return simulate("cosmic-web", FIDUCIALS * MAPS_EACH, 2, Omega_m=matter, sigma_8=fluctuations).x


def fiducial_maps() -> Maps:
    return at(FIDUCIAL)[::MAPS_EACH]


def log_power(maps: Maps) -> NDArray[np.float64]:
    """ln P(k) of maps in bins up to the Nyquist frequency: (n, BINS)."""
    edges = torch.from_numpy(np.geomspace(1, GRID / 2, BINS + 1) - 1e-9) * (2 * np.pi / GRID)
    return power_spectrum(torch.from_numpy(maps), bins=edges).power[:, 0].log().numpy()


def forecast() -> NDArray[np.float64]:
    """Covariance of both parameters from the Fisher matrix of ln P(k) of one map."""
    reference = log_power(at(FIDUCIAL))
    slopes = []
    for place, step in enumerate(STEP):
        up, down = (
            log_power(at(tuple(value + sign * step * (i == place) for i, value in enumerate(FIDUCIAL)))).mean(0)
            for sign in (1, -1)
        )
        slopes.append((up - down) / (2 * step))
    # Hartlap et al. 2007: the inverse of a covariance from finitely many maps is too large.
    factor = (len(reference) - reference.shape[1] - 2) / (len(reference) - 1)
    inverse = factor * np.linalg.inv(np.cov(reference.T))
    fisher = np.array(slopes) @ inverse @ np.array(slopes).T
    return np.linalg.inv(fisher + np.diag([12 / (high - low) ** 2 for low, high in RANGES]))


torch.set_num_threads(1)
if __name__ == "__main__":
    for wanted in sys.argv[1:]:
        cell(wanted)
