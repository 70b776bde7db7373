"""Defects planted into samples that are real data: what a judgement should notice, by a statistic that names them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from benchmarks.perfect_samples import (
    WEB_CONDITIONS,
    WEB_MAPS,
    Trial,
    catalogue,
    channels,
    cosmic_web,
    counts,
    digit_members,
    digit_pixels,
    gaussian_field,
    two_moons,
    unlabelled_digits,
    web_conditions,
    web_pool,
    web_samples,
)

__all__ = ["DEFECTS", "Defect"]


@dataclass(frozen=True)
class Defect:
    """One alteration of generated samples.

    Attributes:
        name: what is wrong. source: draws the trial.
        count: of test members.
        plant: from a perfect trial and a generator to the faulty samples.
        seen_by: statistics whose name says what is wrong; any that begins so.
    """

    name: str
    source: Callable[..., Trial]
    count: int
    plant: Callable[[Trial, np.random.Generator], np.ndarray]
    seen_by: tuple[str, ...]

    def trial(self, seed: int) -> Trial:
        perfect = self.source(seed, self.count)
        return replace(perfect, generated=self.plant(perfect, np.random.default_rng([seed, 11])).astype(np.float32))


def _filtered(x: np.ndarray, transfer: Callable[[np.ndarray, np.ndarray], np.ndarray]) -> np.ndarray:
    """Maps whose modes are multiplied by a function of the two wavenumbers, in cycles per map; the mean is kept."""
    side = x.shape[-1]
    ky, kx = np.meshgrid(np.fft.fftfreq(side) * side, np.fft.rfftfreq(side) * side, indexing="ij")
    with np.errstate(divide="ignore", invalid="ignore"):
        factor = transfer(ky, kx)
    factor[0, 0] = 1.0
    return np.fft.irfft2(np.fft.rfft2(x) * factor, s=x.shape[-2:])


def _tilted(slope: float) -> Callable[[Trial, np.random.Generator], np.ndarray]:
    """P(k) times (k / k0)^slope, with k0 in the middle of the range in ln k."""
    return lambda trial, rng: _filtered(
        trial.generated,
        lambda ky, kx: (np.hypot(ky, kx) / np.sqrt(trial.generated.shape[-1] / 2)) ** (slope / 2),
    )


def _scaled(factor: float) -> Callable[[Trial, np.random.Generator], np.ndarray]:
    """Fluctuations about the mean of each sample, times a factor."""

    def plant(trial: Trial, rng: np.random.Generator) -> np.ndarray:
        mean = trial.generated.mean(axis=(-2, -1), keepdims=True)
        return mean + factor * (trial.generated - mean)

    return plant


def _quadrupole(ky: np.ndarray, kx: np.ndarray) -> np.ndarray:
    return np.sqrt(1 + 0.3 * np.cos(2 * np.arctan2(ky, kx)))


def _scrambled(x: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """The same spectrum of each map with phases of white noise."""
    noise = np.fft.rfft2(rng.standard_normal(x.shape))
    noise[..., 0, 0] = np.abs(noise[..., 0, 0])
    return np.fft.irfft2(np.abs(np.fft.rfft2(x)) * noise / np.abs(noise), s=x.shape[-2:])


def _border(trial: Trial, rng: np.random.Generator) -> np.ndarray:
    """The outermost two cells at 85 %, about the mean of the data."""
    x, mean = trial.generated.copy(), trial.test.take(np.arange(len(trial.test))).mean()
    ring = np.ones(x.shape[-2:], bool)
    ring[2:-2, 2:-2] = False
    x[..., ring] = mean + 0.85 * (x[..., ring] - mean)
    return x


def _copies(share: float) -> Callable[[Trial, np.random.Generator], np.ndarray]:
    def plant(trial: Trial, rng: np.random.Generator) -> np.ndarray:
        x = trial.generated.copy()
        rows = rng.permutation(len(x))[: round(share * len(x))]
        x[rows] = trial.train.take(rng.choice(len(trial.train), len(rows), replace=False))
        return x

    return plant


def _without_class(digit: int) -> Callable[[Trial, np.random.Generator], np.ndarray]:
    """Samples of one digit are replaced by samples of others."""

    def plant(trial: Trial, rng: np.random.Generator) -> np.ndarray:
        every = digit_members()
        assert every.conditions is not None
        known = {x.tobytes(): label for x, label in zip(digit_pixels(), every.conditions[:, 0], strict=True)}
        absent = np.array([known[x.tobytes()] == digit for x in trial.generated])
        x = trial.generated.copy()
        x[absent] = trial.generated[rng.choice(np.flatnonzero(~absent), int(absent.sum()))]
        return x

    return plant


def _continuous(trial: Trial, rng: np.random.Generator) -> np.ndarray:
    """The 0/1 column and the -99 come out with a small scatter."""
    x = trial.generated.copy()
    x[:, 2] += 0.05 * rng.standard_normal(len(x))
    x[x[:, 1] == -99.0, 1] += 2.0 * rng.standard_normal(int((x[:, 1] == -99.0).sum()))
    return x


def _blurred(trial: Trial, rng: np.random.Generator) -> np.ndarray:
    """Points that are scattered and drawn together, so that mean and covariance stay what they were."""
    x = trial.generated
    centre = x.mean(axis=0)
    factor = np.linalg.cholesky(np.cov(x.T))
    white = np.linalg.solve(factor, (x - centre).T).T
    noise = 0.45
    return centre + (np.sqrt(1 - noise**2) * white + noise * rng.standard_normal(x.shape)) @ factor.T


def _moved_channel(trial: Trial, rng: np.random.Generator) -> np.ndarray:
    x = trial.generated.copy()
    x[:, 1] = np.roll(x[:, 1], x.shape[-1] // 2, axis=-1)
    return x


def _brighter(trial: Trial, rng: np.random.Generator) -> np.ndarray:
    """Samples of simulations whose sigma_8 is 3 % larger than that of the test members."""
    rows = trial.test.conditions
    assert rows is not None
    known = [row.tobytes() for row in web_conditions().astype(np.float32)]
    conditions = np.array([known.index(row.tobytes()) for row in rows[::WEB_MAPS]])
    order = rng.permuted(np.tile(np.arange(WEB_MAPS), (WEB_CONDITIONS, 1)), axis=1)
    return web_samples(web_pool(1.03), conditions, order, rng)


def _smoothed(trial: Trial, rng: np.random.Generator) -> np.ndarray:
    return _filtered(trial.generated, lambda ky, kx: np.exp(-0.5 * (np.hypot(ky, kx) / 12) ** 2))


def _one_times_ten(trial: Trial, rng: np.random.Generator) -> np.ndarray:
    x = trial.generated.copy()
    x[0] *= 10
    return x


def _twice(trial: Trial, rng: np.random.Generator) -> np.ndarray:
    return trial.generated[np.arange(len(trial.generated)) // 2 * 2]


def _wide(trial: Trial, rng: np.random.Generator) -> np.ndarray:
    """Fluctuations of each map times a factor of its own, whose mean square is one: P(k) scatters 1.3 times as much."""
    x = trial.generated
    mean = x.mean(axis=(-2, -1), keepdims=True)
    power = ((x - mean) ** 2).mean(axis=(1, 2, 3), keepdims=True)
    extra = np.sqrt(1.3**2 - 1) * np.log(power).std()
    factor = np.exp(extra * rng.standard_normal(power.shape))
    return mean + np.sqrt(factor / factor.mean()) * (x - mean)


def _ignored(trial: Trial, rng: np.random.Generator) -> np.ndarray:
    return trial.generated[rng.permutation(len(trial.generated))]


DEFECTS = (
    Defect("P(k) tilted by +5 %", gaussian_field, 1000, _tilted(0.05), ("power_slope", "power_amplitude")),
    Defect("P(k) tilted by -5 %", gaussian_field, 1000, _tilted(-0.05), ("power_slope", "power_amplitude")),
    Defect("fluctuations x 1.02", gaussian_field, 1000, _scaled(1.02), ("power_amplitude",)),
    Defect("fluctuations x 1.02, cosmic web", cosmic_web, 240, _scaled(1.02), ("power_amplitude",)),
    Defect(
        "white noise of 3 % of sigma",
        gaussian_field,
        1000,
        lambda t, rng: t.generated + 0.03 * t.generated.std() * rng.standard_normal(t.generated.shape),
        ("power_noise",),
    ),
    Defect("sigma_8 + 3 %", cosmic_web, 240, _brighter, ("condition_bias/sigma_8", "power_amplitude")),
    Defect("digit 7 absent", unlabelled_digits, 500, _without_class(7), ("classes", "clusters")),
    Defect("border ring at 85 %", gaussian_field, 1000, _border, ("position",)),
    Defect(
        "P(k) (1 + 0.3 cos 2 phi)",
        gaussian_field,
        1000,
        lambda t, rng: _filtered(t.generated, _quadrupole),
        ("quadrupole",),
    ),
    Defect("second channel moved by half a box", channels, 240, _moved_channel, ("cross_spectra",)),
    Defect("20 % copies, vectors", two_moons, 1000, _copies(0.2), ("memorisation",)),
    Defect("20 % copies, maps", gaussian_field, 400, _copies(0.2), ("memorisation",)),
    Defect("all samples copies, data with ties", counts, 1000, _copies(1.0), ("memorisation",)),
    Defect("0/1 and -99 come out continuous", catalogue, 1000, _continuous, ("value_support",)),
    Defect("blob on two-moons", two_moons, 600, _blurred, ("classifier",)),
    Defect(
        "phases scrambled",
        cosmic_web,
        240,
        lambda t, rng: _scrambled(t.generated, rng),
        ("one_point_pdf", "bispectrum", "peaks", "minkowski"),
    ),
    Defect("smoothed", cosmic_web, 240, _smoothed, ("power_",)),
    Defect("scatter of P(k) x 1.3", cosmic_web, 240, _wide, ("power_scatter",)),
    Defect("one map x 10", cosmic_web, 240, _one_times_ten, ("power_", "one_point_pdf")),
    Defect("each sample twice", cosmic_web, 240, _twice, ("recall", "coverage", "density", "clusters", "condition")),
    Defect("condition ignored", cosmic_web, 240, _ignored, ("condition_",)),
)
