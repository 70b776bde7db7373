"""Interpolation and forecasts of series: `latent-ode` beside a recurrent network and beside the simulator itself.

Both networks see the same series, for the same processor time on one core. Of unseen series half of the rows, picked at
random, or all rows in the last two fifths of the time, are hidden and predicted. The third contender knows the equation
that made the series, and has only its constants to fit, starting from the true ones: the least error to be hoped for.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from benchmarks.stored_results import measure_once
from benchmarks.timed_fits import timed_fit
from benchmarks.timing import report
from pushforward.ensembles import Ensemble, Preprocessing
from pushforward.simulate import Simulated, simulate
from pushforward.simulate.light_curves import draw_stars, magnitudes
from pushforward.simulate.pendulum import draw_pendulums, swing

STEPS, TRAINED, TESTED = 800, 1000, 100
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


def main() -> None:
    torch.set_num_threads(1)
    rows, facts = [], []
    for each in SETS:
        result = measure_once("latent_ode", each.name, SETTING, lambda each=each: measured(each))
        rows += result["rows"]
        facts.append(result["fact"])
    wins = sum(row["RMSE latent-ode"] < row["RMSE GRU"] for row in rows)
    report(
        "latent_ode",
        "Interpolation and forecasts of series",
        rows,
        notes=[
            f"{int(0.8 * TRAINED)} series to train on, {TESTED} unseen ones. latent-ode: defaults, {STEPS:,} steps, "
            "one thread; the GRU had as much processor time.",
            "RMSE: against the hidden observations, which hold noise: no prediction can be better than the truth.",
            "Equation known: the constants of the simulator's own equation, fitted to what is shown of each series.",
            "In 90 % band: part of the hidden observations inside; band: its mean width, in the unit of the value.",
            "ms/series: processor time of a forecast of one series by latent-ode.",
            "interpolation: half of the rows hidden at random; forecast: all rows in the last two fifths of the time.",
            *facts,
            f"latent-ode has the smaller RMSE in {wins} of {len(rows)} rows.",
        ],
    )


def measured(each: Set) -> dict[str, Any]:
    """Rows of the table for one set, and what was trained."""
    data = simulate(each.name, TRAINED, seed=0)
    ensemble = Ensemble.from_array(data.x, space=data.space, name=each.name)
    test = simulate(each.name, TESTED, seed=1)
    emulator, seconds = timed_fit(ensemble, "latent-ode", steps=STEPS)
    network, preprocessing, steps = train_recurrent(ensemble, seconds)
    rows = []
    for task, hidden in tasks(test).items():
        given = test.x.copy()
        given[..., 1:][hidden] = np.nan
        begun = time.process_time()
        forecast = emulator.forecast(given, test.x[..., 0], level=LEVEL)
        spent = time.process_time() - begun
        ours = Prediction(*(tensor.numpy() for tensor in (forecast.mean, forecast.low, forecast.high)))
        theirs = predict_recurrent(network, preprocessing, test.x, hidden)
        best = fitted_law(each, test, hidden)
        for number, value in enumerate(each.values):
            error_ours, inside_ours, width_ours = error_and_band(ours, test, hidden, number)
            error_theirs, inside_theirs, width_theirs = error_and_band(theirs, test, hidden, number)
            rows.append(
                {
                    "set": each.name,
                    "task": task,
                    "value": value,
                    "RMSE latent-ode": error_ours,
                    "RMSE GRU": error_theirs,
                    "RMSE equation known": error_of(best, test, hidden, number),
                    "RMSE of the truth (noise)": error_of(test.truth, test, hidden, number),
                    "in 90 % band latent-ode": inside_ours,
                    "in 90 % band GRU": inside_theirs,
                    "band latent-ode": width_ours,
                    "band GRU": width_theirs,
                    "ms/series": 1000 * spent / TESTED,
                }
            )
    of_ours, of_theirs = (sum(p.numel() for p in each.parameters()) for each in (emulator.model, network))
    fact = (
        f"{each.name}: {seconds:.0f} s of processor time each; {of_ours:,} weights of latent-ode; "
        f"{of_theirs:,} weights and {steps:,} steps of the GRU."
    )
    return {"rows": rows, "fact": fact}


def tasks(test: Simulated) -> dict[str, Array]:
    """Mask of the hidden rows, shape (n, length)."""
    times = test.x[..., 0]
    return {
        "interpolation": np.random.default_rng(2).random(times.shape) < 0.5,
        "forecast": times > 0.6 * times.max(),
    }


def train_recurrent(ensemble: Ensemble, seconds: float) -> tuple[Recurrent, Preprocessing, int]:
    """The baseline, for some seconds of processor time, with warm-up and decay of the learning rate; batches of 64."""
    torch.manual_seed(0)
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
