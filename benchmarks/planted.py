"""Real data handed out as generated samples, unaltered or with one planted defect: what a judgement is measured by.

A `Trial` holds generated samples, test members and training members that are independent draws of one distribution;
`DEFECTS` alter the generated ones. Conditional samples have the conditions of the test members, in their order, and
are independent of one another, as those of an emulator are; test members come in groups, as maps of simulations do.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cache
from typing import Any

import numpy as np

from benchmarks.stored_results import WORK
from pushforward.ensembles import Ensemble
from pushforward.ensembles.builtin import simulate
from pushforward.simulate import Cosmology
from pushforward.simulate.cosmic_web import OMEGA_M_RANGE, SIGMA_8_RANGE, simulation_maps
from pushforward.spaces import Field, Vector
from pushforward.validation import Report, judge
from pushforward.validation.verdict import AT_FLOOR, SCORES, UNJUDGED, level_of

__all__ = ["DEFECTS", "SETS", "Defect", "Trial"]

WEB_GRID, WEB_MAPS, WEB_BOX = 32, 12, 100.0
WEB_CONDITIONS = 80
"""Parameters of the cosmic web of which a trial takes some: enough simulations of each are kept for many trials."""
CATALOGUE = ("flux", "colour", "detected", "spectral index")


@dataclass(frozen=True)
class Trial:
    """Samples and the members that they are judged by.

    Attributes:
        generated: shape ``(n, *space.shape)``, at the conditions of the test members where there are any.
        test: n members. train: others, which a model would have been trained on; None if they are not at hand.
        asked: whether samples were made at the conditions of the test members.
    """

    generated: np.ndarray
    test: Ensemble
    train: Ensemble | None
    asked: bool = True

    def judged(self, seed: int) -> Report:
        """The report on the samples."""
        condition = None if self.asked else False
        return judge(self.generated, self.test, condition=condition, train=self.train, seed=seed, progress=False)

    def record(self, seed: int) -> dict[str, Any]:
        """The report as plain numbers; ``value`` is the distance to real data where it has a sign."""
        report = self.judged(seed)
        return {
            "joint": report.joint_p_value,
            "members": len(self.test),
            "seconds": report.timing["validation_seconds"],
            "failures": list(report.failures),
            "verdicts": {
                v.statistic: {
                    "p": v.p_value,
                    "value": v.size if v.kind == "excess" else v.value - v.floor if v.kind in SCORES else v.value,
                    "size": v.size,
                    "error": v.error,
                    "noticeable": v.smallest_noticeable,
                    "unit": v.unit,
                    "beyond": v.verdict != AT_FLOOR,
                    "level": level_of(v.kind),
                    "label": v.label,
                }
                for v in report.verdicts
                if v.verdict != UNJUDGED
            },
        }


def _split(ensemble: Ensemble, count: int, seed: int) -> Trial:
    """Samples, as many test members, and the rest for training, from independent members."""
    order = np.random.default_rng([seed, 7]).permutation(len(ensemble))
    parts = [ensemble.subset(rows) for rows in np.split(order, [count, 2 * count])]
    return Trial(parts[0].take(np.arange(count)), parts[1], parts[2])


def two_moons(seed: int, count: int = 400) -> Trial:
    return _split(simulate("two-moons", 10 * count, seed=seed), count, seed)


def gaussian(seed: int, count: int = 400) -> Trial:
    """Correlated normal numbers in ten dimensions."""
    rng = np.random.default_rng([seed, 1])
    x = rng.standard_normal((10 * count, 10)) @ (np.eye(10) + 0.3 * np.tri(10, k=-1))
    return _split(Ensemble.from_array(x.astype(np.float32), name="gaussian"), count, seed)


def gaussian_field(seed: int, count: int = 100) -> Trial:
    """Gaussian maps of 32 x 32 cells."""
    return _split(simulate("gaussian-field", 5 * count, seed=seed, grid=32), count, seed)


def digits(seed: int, count: int = 162) -> Trial:
    return _split(_digits().with_conditions(None), count, seed)


def unlabelled_digits(seed: int, count: int) -> Trial:
    """Data with labels, samples without."""
    return replace(_split(_digits(), count, seed), asked=False)


def labelled_digits(seed: int, count: int = 120) -> Trial:
    """Digits with labels: a sample is another digit of the test member's class."""
    every = _digits()
    assert every.conditions is not None
    rng, labels = np.random.default_rng([seed, 7]), every.conditions[:, 0]
    order = rng.permutation(len(every))
    test, rest = order[:count], order[count:]
    samples = np.empty(count, dtype=int)
    for label in np.unique(labels):
        wanted = np.flatnonzero(labels[test] == label)
        samples[wanted] = rest[labels[rest] == label][: len(wanted)]
    return Trial(every.take(samples), every.subset(test), every.subset(np.setdiff1d(rest, samples)))


def cosmic_web(seed: int, count: int = 240) -> Trial:
    """Maps over Omega_m and sigma_8; twelve test members are of one simulation, each sample is of its own."""
    rng = np.random.default_rng([seed, 2])
    chosen = rng.permutation(WEB_CONDITIONS)
    test, train = np.split(chosen, [count // WEB_MAPS])
    pool = _web_pool(1.0)
    # Of each condition one simulation is real and all others give a map each.
    order = rng.permuted(np.tile(np.arange(WEB_MAPS + 1), (WEB_CONDITIONS, 1)), axis=1)
    members = [pool[condition, order[condition, 0]] for condition in (*test, *train)]
    groups = np.arange(len(members)).repeat(WEB_MAPS)
    whole = Ensemble.from_array(
        np.concatenate(members)[:, None],
        space=Field(1, (WEB_GRID, WEB_GRID), periodic=True, box=WEB_BOX, isotropic=True),
        conditions=_web_conditions()[chosen][groups].astype(np.float32),
        names=("Omega_m", "sigma_8"),
        groups=groups,
        name="cosmic-web",
    )
    generated = _web_samples(pool, test, order[:, 1:], rng)
    return Trial(generated, whole.subset(np.arange(count)), whole.subset(np.arange(count, len(whole))))


def catalogue(seed: int, count: int = 1000) -> Trial:
    """Columns of a flux, a colour that is -99 where nothing was detected, whether it was, and a spectral index."""
    rng = np.random.default_rng([seed, 3])
    flux, index = rng.lognormal(0.0, 1.0, 10 * count), rng.normal(-0.7, 0.2, 10 * count)
    detected = rng.random(10 * count) < 0.8
    colour = np.where(detected, 0.5 + 0.3 * np.log(flux) + 0.1 * rng.standard_normal(10 * count), -99.0)
    x = np.stack([flux, colour, detected, index], axis=1).astype(np.float32)
    return _split(Ensemble.from_array(x, space=Vector(4, CATALOGUE), name="catalogue"), count, seed)


def channels(seed: int, count: int = 240) -> Trial:
    """Two channels with a correlation of 0.9 in every mode."""
    one, other = (simulate("gaussian-field", 5 * count, seed=2 * seed + i, grid=32) for i in (0, 1))
    a, b = (each.take(np.arange(5 * count)) for each in (one, other))
    x = np.concatenate([a, 0.9 * a + np.sqrt(1 - 0.9**2) * b], axis=1)
    space = Field(2, (32, 32), periodic=True, isotropic=True)
    return _split(Ensemble.from_array(x, space=space, name="channels"), count, seed)


def counts(seed: int, count: int = 1000) -> Trial:
    """Two columns of whole numbers; about a fifth of the test members equal some training member."""
    x = np.random.default_rng([seed, 4]).poisson(3000.0, (9 * count, 2)).astype(np.float32)
    return _split(Ensemble.from_array(x, space=Vector(2), name="counts"), count, seed)


SETS: dict[str, Callable[..., Trial]] = {
    "two-moons": two_moons,
    "10-D Gaussian": gaussian,
    "gaussian-field": gaussian_field,
    "digits": digits,
    "digits with labels": labelled_digits,
    "conditional cosmic-web": cosmic_web,
}

WITHOUT_TRAINING: dict[str, Callable[..., Trial]] = {
    "two-moons alone": lambda seed: replace(two_moons(seed), train=None),
    "gaussian-field alone": lambda seed: replace(gaussian_field(seed), train=None),
}
"""The same with no members but those that are compared, half of which give the floor."""


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
        every = _digits()
        assert every.conditions is not None
        known = {x.tobytes(): label for x, label in zip(_digit_pixels(), every.conditions[:, 0], strict=True)}
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
    known = [row.tobytes() for row in _web_conditions().astype(np.float32)]
    conditions = np.array([known.index(row.tobytes()) for row in rows[::WEB_MAPS]])
    order = rng.permuted(np.tile(np.arange(WEB_MAPS), (WEB_CONDITIONS, 1)), axis=1)
    return _web_samples(_web_pool(1.03), conditions, order, rng)


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


@cache
def _digits() -> Ensemble:
    return simulate("digits")


@cache
def _digit_pixels() -> np.ndarray:
    return _digits().take(np.arange(len(_digits())))


@cache
def _web_conditions() -> np.ndarray:
    """Omega_m and sigma_8, shape (conditions, 2)."""
    rng = np.random.default_rng(2)
    return np.stack([rng.uniform(*limits, WEB_CONDITIONS) for limits in (OMEGA_M_RANGE, SIGMA_8_RANGE)], axis=1)


@cache
def _web_pool(factor: float) -> np.ndarray:
    """Maps of 13 simulations of each condition, with sigma_8 times a factor, (conditions, 13, maps, side, side)."""
    path = WORK / "planted" / f"cosmic-web-{factor}.npy"
    if not path.exists():
        maps = [
            simulation_maps(
                Cosmology(Omega_m=matter, sigma_8=factor * fluctuations),
                np.random.default_rng([round(1000 * factor), condition, simulation]),
                grid=WEB_GRID,
                box=WEB_BOX,
            )[:WEB_MAPS]
            for condition, (matter, fluctuations) in enumerate(_web_conditions().tolist())
            for simulation in range(WEB_MAPS + 1)
        ]
        path.parent.mkdir(parents=True, exist_ok=True)
        np.save(path, np.reshape(maps, (WEB_CONDITIONS, WEB_MAPS + 1, WEB_MAPS, WEB_GRID, WEB_GRID)))
    return np.asarray(np.load(path))


def _web_samples(
    pool: np.ndarray, conditions: np.ndarray, simulations: np.ndarray, rng: np.random.Generator
) -> np.ndarray:
    """One map, picked at random, of each of twelve simulations at each condition."""
    rows = conditions.repeat(WEB_MAPS)
    return pool[rows, simulations[conditions].ravel(), rng.integers(WEB_MAPS, size=len(rows)), None]
