"""Densities of maps of the cosmic web, 64 x 64: likelihood, statistics of samples, and parameters inferred with them.

`glow`, `trenf` and `tarflow` learn the density of maps given Omega_m and sigma_8, each for as many steps as fit into
the budget (processor seconds of one core), and are compared by

- log p(x | Omega_m, sigma_8) of test members, nats per cell;
- the statistics of samples at the conditions of test members, as `judge` gives them;
- the posterior of both parameters of one map, under a uniform prior over the range of training, from the likelihood at
  10 x 10 points with a cubic spline between them. Its calibration is measured with new maps, one per simulation, of
  parameters from the prior; its widths with new maps of Omega_m = 0.3, sigma_8 = 0.8, beside the forecast of a Fisher
  matrix from the logarithm of P(k) of one map (derivatives and covariance from simulations; the prior is taken in as a
  normal one of equal variance);
- the same posterior from the likelihood to a power, the one at which validation members, one per simulation, give their
  parameters the highest density: an approximate likelihood of thousands of cells counts its errors as evidence, and a
  power below one makes it as cautious as it is wrong.

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
POWERS = np.geomspace(0.003, 1, 60)
Maps = NDArray[np.float32]
Grids = NDArray[np.float64]


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
        for name, found_at in ((family, run["plain"]), (f"{family}, power {run['power']:.3f}", run["tempered"])):
            posteriors.append(
                {"posterior": name, **widths(np.array(found_at["covariance"]))}
                | {
                    "spread of ranks (Omega_m, sigma_8)": ", ".join(
                        f"{value:.2f} (p {p:.2g})"
                        for value, p in zip(found_at["spread"], found_at["spread_p"], strict=True)
                    ),
                    "largest departure of coverage": f"{found_at['coverage']:.3f} (p {found_at['coverage_p']:.2g})",
                    "log-density of the truth, nats": f"{found_at['truth']:.2f}",
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
    likelihoods = np.stack([likelihood(emulator, x) for x in maps])
    fiducial = np.stack([likelihood(emulator, x) for x in fiducial_maps()])
    print(f"{family}: likelihoods of new maps", flush=True)
    power = best_power(emulator, data.validation)
    return {
        "power": power,
        "plain": judged(likelihoods, truth, fiducial),
        "tempered": judged(power * likelihoods, truth, power * fiducial),
        "steps": steps,
        "seconds": seconds,
        "parameters": count(emulator.model),
        "train": float(scores["train"].mean()),
        "test": float(scores["test"].mean()),
        "error": float(scores["test"].std() / SCORED**0.5),
        "statistics": {each.label: shown_verdict(each) for each in verdicts if each.statistic in STATISTICS},
    }


def judged(likelihoods: Grids, truth: Maps, fiducial: Grids) -> dict[str, Any]:
    """Calibration over maps of known parameters, and mean covariance at the fiducial ones."""
    masses = [posterior(each) for each in likelihoods]
    drawn = np.stack([draws_of(mass, number) for number, mass in enumerate(masses)])
    calibrated = posterior_calibration(drawn, truth)
    departure = (calibrated.coverage - calibrated.credibility).abs().max()
    null = (calibrated.coverage_null - calibrated.credibility).abs().amax(1)
    off, off_null = (calibrated.single.spread - 1).abs(), (calibrated.single.spread_null - 1).abs()
    return {
        "covariance": np.mean([covariance_of(posterior(each)) for each in fiducial], 0).tolist(),
        "spread": calibrated.single.spread.tolist(),
        "spread_p": (off_null >= off).double().mean(0).tolist(),
        "coverage": float(departure),
        "coverage_p": float((null >= departure).double().mean()),
        "truth": float(np.mean([log_density(mass, theta) for mass, theta in zip(masses, truth, strict=True)])),
    }


def best_power(emulator: pf.Emulator, members: Any) -> float:
    """The power of the likelihood at which parameters of held-out members are most probable, on average."""
    _, first = np.unique(members.groups, return_index=True)
    x, truth = members.tensor()[first].numpy(), members.conditions[first]
    likelihoods = [likelihood(emulator, each) for each in x]

    def score(power: float) -> float:
        masses = [posterior(power * each) for each in likelihoods]
        return float(np.mean([log_density(mass, theta) for mass, theta in zip(masses, truth, strict=True)]))

    return float(max(POWERS, key=score))


def shown_verdict(verdict: Any) -> str:
    unit = f" {verdict.unit}" if verdict.unit else ""
    return f"{verdict.value:.3g} ± {verdict.error:.2g}{unit}; floor {verdict.floor:.3g}"


def axes(points: int) -> list[NDArray[np.float64]]:
    return [np.linspace(low, high, points) for low, high in RANGES]


def likelihood(emulator: pf.Emulator, x: Maps) -> Grids:
    """log p(x | parameters) of one map (1, cells, cells), at POINTS x POINTS parameters, in nats."""
    coarse = np.stack(np.meshgrid(*axes(POINTS), indexing="ij"), -1).reshape(-1, 2).astype(np.float32)
    logs = emulator.log_prob(torch.from_numpy(x)[None].expand(len(coarse), -1, -1, -1), coarse).double().numpy()
    return logs.reshape(POINTS, POINTS)


def posterior(logs: Grids) -> Grids:
    """Mass on FINE x FINE points, from log-likelihoods at POINTS x POINTS."""
    fine = RectBivariateSpline(*axes(POINTS), logs)(*axes(FINE))
    mass = np.exp(fine - fine.max())
    return mass / mass.sum()


def log_density(mass: Grids, theta: NDArray[np.float32]) -> float:
    """Log of the posterior's density at some parameters, relative to the uniform prior."""
    place = tuple(
        round((value - low) / (high - low) * (FINE - 1)) for value, (low, high) in zip(theta, RANGES, strict=True)
    )
    return float(np.log(max(mass[place], 1e-300) * mass.size))


def draws_of(mass: Grids, seed: int) -> NDArray[np.float64]:
    """DRAWS samples, spread within the cells of the points."""
    rng = np.random.default_rng(seed)
    places = np.unravel_index(rng.choice(mass.size, DRAWS, p=mass.ravel()), mass.shape)
    width = [(high - low) / (FINE - 1) for low, high in RANGES]
    columns = [axis[place] for axis, place in zip(axes(FINE), places, strict=True)]
    return np.stack(columns, 1) + rng.uniform(-0.5, 0.5, (DRAWS, 2)) * width


def covariance_of(mass: Grids) -> NDArray[np.float64]:
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
