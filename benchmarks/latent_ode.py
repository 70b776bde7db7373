"""Interpolation and forecasts of series: `latent-ode` beside a recurrent network and beside the simulator itself.

Both networks see the same series, for the same processor time on one core, from the same ten seeds. Of unseen series
half of the rows, picked at random, or all rows in the last two fifths of the time, are hidden and predicted. The third
contender knows the equation that made the series, and has only its constants to fit, starting from the true ones: the
least error to be hoped for.

A run keeps what it has done after every training and goes on from there (see `benchmarks.stored_results`):

    python -m benchmarks latent_ode
    python -m benchmarks.latent_ode measure 500    # for about 500 s, without a table
    python -m benchmarks.latent_ode table          # of what is measured so far
"""

from __future__ import annotations

import math
import statistics
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from benchmarks.stored_results import measure_in_turn, measure_once, run_part, stored
from benchmarks.timed_fits import timed_fit
from benchmarks.timing import report
from pushforward.ensembles import Ensemble, Preprocessing
from pushforward.simulate import Simulated, simulate
from pushforward.simulate.light_curves import draw_stars, magnitudes
from pushforward.simulate.pendulum import draw_pendulums, swing

STEPS, TRAINED, TESTED, SEEDS = 300, 1000, 100, 10
LEVEL = 0.9
SETTING = {"steps": STEPS, "trained": TRAINED, "tested": TESTED}
Array = np.ndarray


@dataclass(frozen=True)
class Set:
    """A set of series: names and units of its values, and the law that made them."""

    name: str
    values: tuple[str, ...]
    draw: Callable[[np.random.Generator, int], Array]
    law: Callable[[Array, Array], Array]


SETS = (
    Set("damped-pendulum", ("angle [rad]", "velocity [rad/s]"), draw_pendulums, swing),
    Set("light-curve", ("magnitude [mag]",), draw_stars, magnitudes),
)


@dataclass(frozen=True)
class Prediction:
    """Mean and 90 % band of every value, shape (n, length, dim), in the user's units."""

    mean: Array
    low: Array
    high: Array


class Recurrent(nn.Module):
    """A bidirectional GRU over all rows, also the hidden ones, of which it knows the time alone.

    At each row it gives mean and standard deviation of a Gaussian of the values; it is trained by the log-density of
    what is hidden.
    """

    def __init__(self, dim: int, hidden: int = 64) -> None:
        super().__init__()
        self.unit = nn.GRU(2 * dim + 2, hidden, batch_first=True, bidirectional=True)
        self.head = nn.Sequential(nn.Linear(2 * hidden, hidden), nn.SiLU(), nn.Linear(hidden, 2 * dim))

    def forward(self, x: Tensor, hidden: Tensor) -> tuple[Tensor, Tensor]:
        times, values = x[..., :1], x[..., 1:]
        seen = ~torch.isnan(values) & ~hidden[..., None]
        gaps = times.diff(dim=1, prepend=times[:, :1]) * x.shape[1]
        rows = torch.cat([torch.where(seen, values, 0.0), seen.float(), times, gaps], -1)
        mean, log_scale = self.head(self.unit(rows)[0]).chunk(2, -1)
        return mean, log_scale.clamp(-6, 3)


Run = tuple[str, int]
LAW = -1
"""In place of a seed: the equation fitted, which is not trained."""


def plan() -> list[Run]:
    """Every measurement, one of each set in turn."""
    return [(each.name, seed) for seed in (*range(SEEDS), LAW) for each in SETS]


def name_of(run: Run) -> str:
    name, seed = run
    return f"{name} equation" if seed == LAW else f"{name} {seed}"


def measure(run: Run) -> dict[str, Any]:
    """A measurement, made unless it was before."""
    each = next(each for each in SETS if each.name == run[0])
    made = (lambda: known(each)) if run[1] == LAW else (lambda: measured(each, run[1]))
    return measure_once("latent_ode", name_of(run), SETTING, made)


def main(seconds: float = float("inf"), *, table: bool = True) -> None:
    """Measure what is not measured yet, beginning nothing after so many seconds."""
    torch.set_num_threads(1)
    if measure_in_turn(plan(), measure, seconds) and table:
        tabulate()


def tabulate() -> None:
    """The table of what is measured so far."""
    done = {run: result for run in plan() if (result := stored("latent_ode", name_of(run), SETTING))}
    rows, facts, pairs = [], [], []
    for each in SETS:
        runs = [done[each.name, seed] for seed in range(SEEDS) if (each.name, seed) in done]
        if not runs:
            continue
        best = done.get((each.name, LAW), {})
        for task in runs[0]["rows"]:
            found = [run["rows"][task] for run in runs]
            columns = {key: [one[key] for one in found] for key in found[0]}
            pairs += list(zip(columns["RMSE latent-ode"], columns["RMSE GRU"], strict=True))
            row: dict[str, Any] = {"set": each.name, "task": task, "seeds": len(runs)}
            row |= {key: _spread(columns[key]) for key in ("RMSE latent-ode", "RMSE GRU")}
            row |= best.get(task, {})
            row |= {key: f"{statistics.fmean(values):.3g}" for key, values in columns.items() if key not in row}
            rows.append(row)
        ours, theirs = (runs[0][f"weights {side}"] for side in ("latent-ode", "GRU"))
        seconds, steps = (statistics.fmean(run[key] for run in runs) for key in ("seconds", "steps GRU"))
        facts.append(
            f"{each.name}: {seconds:.0f} s of processor time each; {ours:,} weights of latent-ode; "
            f"{theirs:,} weights and {steps:,.0f} steps of the GRU."
        )
    wins = sum(ours < theirs for ours, theirs in pairs)
    report(
        "latent_ode",
        "Interpolation and forecasts of series",
        rows,
        notes=[
            f"{int(0.8 * TRAINED)} series to train on, {TESTED} unseen ones. latent-ode: defaults, {STEPS:,} steps, "
            "one thread; the GRU had as much processor time. Mean +- standard deviation over seeds of the training.",
            "RMSE: against the hidden observations, which hold noise: no prediction can be better than the truth.",
            "Equation known: the constants of the simulator's own equation, fitted to what is shown of each series.",
            "In band: part of the hidden observations in the 90 % band; band: its mean width, in units of the value.",
            "ms/series: processor time of a forecast of one series by latent-ode.",
            "interpolation: half of the rows hidden at random; forecast: all rows in the last two fifths of the time.",
            *facts,
            *([] if len(done) == len(plan()) else [f"{len(plan()) - len(done)} of {len(plan())} runs are left to do."]),
            f"latent-ode has the smaller RMSE in {wins} of {len(pairs)} pairs of a row and a seed.",
        ],
    )


def known(each: Set) -> dict[str, Any]:
    """Errors of the simulator's equation, with constants fitted and with the true ones."""
    test = simulate(each.name, TESTED, seed=1)
    rows = {}
    for task, hidden in tasks(test).items():
        best = fitted_law(each, test, hidden)
        for number, value in enumerate(each.values):
            rows[f"{task}: {value}"] = {
                "RMSE equation known": error_of(best, test, hidden, number),
                "RMSE of the truth (noise)": error_of(test.truth, test, hidden, number),
            }
    return rows


def measured(each: Set, seed: int) -> dict[str, Any]:
    """Errors and bands of both networks for one set, and how they were trained."""
    data = simulate(each.name, TRAINED, seed=0)
    ensemble = Ensemble.from_array(data.x, space=data.space, name=each.name)
    test = simulate(each.name, TESTED, seed=1)
    emulator, seconds = timed_fit(ensemble, "latent-ode", steps=STEPS, seed=seed)
    network, preprocessing, steps = train_recurrent(ensemble, seconds, seed)
    rows = {}
    for task, hidden in tasks(test).items():
        given = test.x.copy()
        given[..., 1:][hidden] = np.nan
        begun = time.process_time()
        forecast = emulator.forecast(given, test.x[..., 0], level=LEVEL)
        spent = time.process_time() - begun
        ours = Prediction(*(tensor.numpy() for tensor in (forecast.mean, forecast.low, forecast.high)))
        theirs = predict_recurrent(network, preprocessing, test.x, hidden)
        for number, value in enumerate(each.values):
            row = rows[f"{task}: {value}"] = {}
            for side, prediction in (("latent-ode", ours), ("GRU", theirs)):
                found = error_and_band(prediction, test, hidden, number)
                row |= dict(zip((f"RMSE {side}", f"in band {side}", f"band {side}"), found, strict=True))
            row["ms/series"] = 1000 * spent / TESTED
    return {
        "rows": rows,
        "seconds": seconds,
        "steps GRU": steps,
        "weights latent-ode": sum(p.numel() for p in emulator.model.parameters()),
        "weights GRU": sum(p.numel() for p in network.parameters()),
    }


def tasks(test: Simulated) -> dict[str, Array]:
    """Mask of the hidden rows, shape (n, length)."""
    times = test.x[..., 0]
    return {
        "interpolation": np.random.default_rng(2).random(times.shape) < 0.5,
        "forecast": times > 0.6 * times.max(),
    }


def train_recurrent(ensemble: Ensemble, seconds: float, seed: int) -> tuple[Recurrent, Preprocessing, int]:
    """The baseline, for some seconds of processor time, with warm-up and decay of the learning rate; batches of 64."""
    torch.manual_seed(seed)
    preprocessing = Preprocessing.fit(ensemble.train)
    x = preprocessing(ensemble.train.tensor())
    network = Recurrent(x.shape[-1] - 1)
    optimiser = torch.optim.Adam(network.parameters(), lr=3e-3)
    begun, steps, batch = time.process_time(), 0, 64
    while (progress := (time.process_time() - begun) / seconds) < 1:
        for group in optimiser.param_groups:
            group["lr"] = 3e-3 * min(1.0, progress / 0.02) * 0.5 * (1 + math.cos(math.pi * progress))
        some = x[torch.randint(len(x), (batch,))]
        times = some[..., 0]
        beginning = times > torch.rand(batch, 1) * times[:, -1:]
        scattered = torch.rand(times.shape) > torch.rand(batch, 1)
        hidden = torch.where(torch.rand(batch, 1) < 0.5, beginning, scattered)
        mean, log_scale = network(some, hidden)
        wanted = hidden[..., None] & ~torch.isnan(some[..., 1:])
        standard = (torch.where(wanted, some[..., 1:], 0.0) - mean) * (-log_scale).exp()
        loss = torch.where(wanted, 0.5 * standard.square() + log_scale, 0.0).sum() / wanted.sum().clamp_min(1)
        optimiser.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(network.parameters(), 10.0)
        optimiser.step()
        steps += 1
    return network.eval(), preprocessing, steps


@torch.no_grad()
def predict_recurrent(network: Recurrent, preprocessing: Preprocessing, x: Array, hidden: Array) -> Prediction:
    z = preprocessing(torch.from_numpy(x))
    mean, log_scale = network(z, torch.from_numpy(hidden))
    reach = math.sqrt(2) * float(torch.erfinv(torch.tensor(LEVEL))) * log_scale.exp()
    quantiles = [
        preprocessing.inverse(torch.cat([z[..., :1], values], -1))[..., 1:].numpy()
        for values in (mean, mean - reach, mean + reach)
    ]
    return Prediction(*quantiles)


def fitted_law(each: Set, test: Simulated, hidden: Array, steps: int = 15) -> Array:
    """Values of the simulator's equation with constants fitted to what is shown, by damped Gauss-Newton steps."""
    constants = each.draw(np.random.default_rng(1), len(test.x))  # the true ones: simulated with this seed
    times = test.x[..., 0].astype(float)
    shown = ~np.isnan(test.x[..., 1:]) & ~hidden[..., None]

    def residual(p: Array) -> Array:
        return np.where(shown, np.nan_to_num(test.x[..., 1:]) - each.law(p, times), 0.0).reshape(len(p), -1)

    damping = np.full(len(constants), 1e-3)
    now = residual(constants)
    for _ in range(steps):
        columns = []
        for number in range(constants.shape[1]):
            change = 1e-4 * np.maximum(1e-2, np.abs(constants[:, number]))
            moved = constants.copy()
            moved[:, number] += change
            columns.append((now - residual(moved)) / change[:, None])
        slope = np.stack(columns, -1)
        normal = np.einsum("nri,nrj->nij", slope, slope)
        size = np.einsum("nii->ni", normal)
        normal += np.eye(normal.shape[1]) * (damping[:, None] * size + 1e-12)[:, None]
        move = np.linalg.solve(normal, np.einsum("nri,nr->ni", slope, now)[..., None])[..., 0]
        after = residual(constants + move)
        better = (after**2).sum(1) < (now**2).sum(1)
        constants = np.where(better[:, None], constants + move, constants)
        now = np.where(better[:, None], after, now)
        damping = np.where(better, damping / 3, damping * 10)
    return each.law(constants, times)


def error_and_band(prediction: Prediction, test: Simulated, hidden: Array, number: int) -> tuple[float, float, float]:
    """RMSE, part of the hidden observations inside of the band, and its mean width."""
    wanted = test.x[..., 1 + number]
    asked = hidden & ~np.isnan(wanted)
    low, high = prediction.low[..., number][asked], prediction.high[..., number][asked]
    inside = (wanted[asked] >= low) & (wanted[asked] <= high)
    return error_of(prediction.mean, test, hidden, number), float(inside.mean()), float((high - low).mean())


def error_of(values: Array, test: Simulated, hidden: Array, number: int) -> float:
    wanted = test.x[..., 1 + number]
    asked = hidden & ~np.isnan(wanted)
    return float(np.sqrt(np.mean((values[..., number][asked] - wanted[asked]) ** 2)))


def _spread(values: list[float]) -> str:
    spread = f" +- {statistics.stdev(values):.4f}" if len(values) > 1 else ""
    return f"{statistics.fmean(values):.4f}{spread}"


if __name__ == "__main__":
    run_part(sys.argv[1:], main, tabulate)
