"""Forecasts of series are judged wherever the model has them: coverage, uncertainty and error."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from stand_ins import StandIn

from pushforward.ensembles import Ensemble
from pushforward.forecasting import Forecast
from pushforward.spaces import Series
from pushforward.validation import forecasts, validate
from pushforward.validation.forecasts import judge_forecasts

MEMORY, ROWS = 5.0, 24


def walks(count: int, rng: np.random.Generator, timed: bool) -> np.ndarray:
    """Ornstein-Uhlenbeck processes of unit variance, a tenth missing, at even times or at random ones."""
    even = np.broadcast_to(np.arange(ROWS), (count, ROWS))
    times = np.sort(rng.uniform(0, ROWS, (count, ROWS)), axis=1) if timed else even
    values = rng.standard_normal((count, ROWS, 1))
    kept = np.exp(-np.diff(times, axis=1) / MEMORY)[..., None]
    for row in range(1, ROWS):
        values[:, row] = kept[:, row - 1] * values[:, row - 1] + np.sqrt(1 - kept[:, row - 1] ** 2) * values[:, row]
    values[rng.random(values.shape) < 0.1] = np.nan
    values[:, 0] = np.nan_to_num(values[:, 0])
    return (np.concatenate([times[..., None], values], -1) if timed else values).astype(np.float32)


class Exact(StandIn):
    """The exact forecast of these processes from the last value seen; ``scale`` multiplies its uncertainty."""

    scale = 1.0

    def forecast(self, x, times, condition=None, *, draws, level):
        seen, values = (
            (x[..., 0], x[..., 1]) if self.space.timed else (np.tile(np.arange(x.shape[1]), (len(x), 1)), x[..., 0])
        )
        last = values.shape[1] - 1 - np.isfinite(values)[:, ::-1].argmax(1)
        rows = np.arange(len(x))
        at = np.broadcast_to(times, (len(x), np.shape(times)[-1]))
        decay = np.exp(-(at - seen[rows, last][:, None]) / MEMORY)
        mean, width = decay * values[rows, last][:, None], self.scale * np.sqrt(1 - decay**2)
        noise = np.random.default_rng(1).standard_normal((draws, *mean.shape))
        observed = torch.from_numpy((mean + width * noise).astype(np.float32))[..., None]
        return Forecast.of(torch.from_numpy(at.copy()), observed.mean(0, keepdim=True), observed, level)


def forecaster(timed: bool, scale: float = 1.0, members: int = 800, abilities: tuple[str, ...] = ()) -> tuple:
    ensemble = Ensemble.from_array(walks(members, np.random.default_rng(0), timed), space=Series(1, ROWS, timed=timed))
    emulator = Exact(ensemble, lambda n, c, rng: walks(n, rng, timed), abilities=abilities)
    emulator.scale = scale
    return emulator, ensemble


def verdicts_on(timed: bool, scale: float) -> dict:
    emulator, ensemble = forecaster(timed, scale, members=1500)
    x = ensemble.take(np.arange(1500))
    data = SimpleNamespace(test=x, count=len(x), space=ensemble.space, given_to=lambda rows: None)
    return {verdict.statistic: verdict for verdict in judge_forecasts(data, emulator)}


@pytest.fixture(autouse=True)
def _many_series(monkeypatch):
    monkeypatch.setattr(forecasts, "SERIES", 1500)


@pytest.mark.parametrize("timed", [False, True], ids=["even times", "times of their own"])
def test_the_exact_forecast_covers_what_it_says(timed):
    verdicts = verdicts_on(timed, 1.0)
    assert verdicts["forecast_coverage"].verdict == "at the floor", verdicts["forecast_coverage"].sentence
    assert verdicts["forecast_spread"].verdict == "at the floor", verdicts["forecast_spread"].sentence
    assert verdicts["forecast_error"].value < 0.9


@pytest.mark.parametrize(("scale", "coverage"), [(0.5, 57.6), (2.0, 99.9)], ids=["too sure", "not sure enough"])
def test_a_forecast_that_misjudges_its_uncertainty_is_off(scale, coverage):
    verdicts = verdicts_on(True, scale)
    assert verdicts["forecast_coverage"].verdict == "off"
    assert abs(verdicts["forecast_coverage"].value - coverage) < 2
    assert abs(verdicts["forecast_spread"].value * scale - 1) < 0.03


@pytest.mark.parametrize("abilities", [(), ("forecaster",)], ids=["samples alone", "forecasts too"])
def test_the_ability_and_not_the_kind_decides_whether_forecasts_are_judged(abilities):
    emulator, ensemble = forecaster(True, abilities=("sampler", *abilities))
    report = validate(emulator, ensemble, samples=40, progress=False)
    assert not report.failures
    assert bool(abilities) == any(each.group == "forecasts" for each in report.verdicts)
    assert bool(abilities) == ("Coverage of forecasts" in report.html())


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_a_band_is_taken_in_the_precision_of_the_draws(dtype):
    draws = torch.linspace(0, 1, 101, dtype=dtype).reshape(101, 1, 1, 1)
    found = Forecast.of(torch.zeros(1, 1, dtype=dtype), draws, draws, 0.9)
    assert found.low.dtype == dtype
    torch.testing.assert_close(found.low.squeeze(), torch.tensor(0.05, dtype=dtype))
