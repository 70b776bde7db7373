"""Real data handed out as generated samples: trials in which a judgement should find nothing.

A `Trial` holds generated samples, test members and training members that are independent draws of one distribution.
Conditional samples have the conditions of the test members, in their order, and are independent of one another, as
those of an emulator are; test members come in groups, as maps of simulations do.
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

__all__ = ["SETS", "WITHOUT_TRAINING", "Trial"]

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
    return _split(digit_members().with_conditions(None), count, seed)


def unlabelled_digits(seed: int, count: int) -> Trial:
    """Data with labels, samples without."""
    return replace(_split(digit_members(), count, seed), asked=False)


def labelled_digits(seed: int, count: int = 120) -> Trial:
    """Digits with labels: a sample is another digit of the test member's class."""
    every = digit_members()
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
    pool = web_pool(1.0)
    # Of each condition one simulation is real and all others give a map each.
    order = rng.permuted(np.tile(np.arange(WEB_MAPS + 1), (WEB_CONDITIONS, 1)), axis=1)
    members = [pool[condition, order[condition, 0]] for condition in (*test, *train)]
    groups = np.arange(len(members)).repeat(WEB_MAPS)
    whole = Ensemble.from_array(
        np.concatenate(members)[:, None],
        space=Field(1, (WEB_GRID, WEB_GRID), periodic=True, box=WEB_BOX, isotropic=True),
        conditions=web_conditions()[chosen][groups].astype(np.float32),
        names=("Omega_m", "sigma_8"),
        groups=groups,
        name="cosmic-web",
    )
    generated = web_samples(pool, test, order[:, 1:], rng)
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


@cache
def digit_members() -> Ensemble:
    return simulate("digits")


@cache
def digit_pixels() -> np.ndarray:
    return digit_members().take(np.arange(len(digit_members())))


@cache
def web_conditions() -> np.ndarray:
    """Omega_m and sigma_8, shape (conditions, 2)."""
    rng = np.random.default_rng(2)
    return np.stack([rng.uniform(*limits, WEB_CONDITIONS) for limits in (OMEGA_M_RANGE, SIGMA_8_RANGE)], axis=1)


@cache
def web_pool(factor: float) -> np.ndarray:
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
            for condition, (matter, fluctuations) in enumerate(web_conditions().tolist())
            for simulation in range(WEB_MAPS + 1)
        ]
        path.parent.mkdir(parents=True, exist_ok=True)
        np.save(path, np.reshape(maps, (WEB_CONDITIONS, WEB_MAPS + 1, WEB_MAPS, WEB_GRID, WEB_GRID)))
    return np.asarray(np.load(path))


def web_samples(
    pool: np.ndarray, conditions: np.ndarray, simulations: np.ndarray, rng: np.random.Generator
) -> np.ndarray:
    """One map, picked at random, of each of twelve simulations at each condition."""
    rows = conditions.repeat(WEB_MAPS)
    return pool[rows, simulations[conditions].ravel(), rng.integers(WEB_MAPS, size=len(rows)), None]
