"""Densities of emulators on the support of their data: exact zeros outside, one value per sample, sums of one."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

import pushforward as pf
from pushforward.errors import UsageError

FAMILIES = {
    "iaf": {"width": 8, "transforms": 1},
    "nsf": {"width": 8, "couplings": 2},
    "tarflow": {"width": 8, "depth": 1, "transforms": 1},
    "autoregressive": {"width": 8, "depth": 1},
}
RNG = np.random.default_rng(0)
COUNT = 300
# A spin, a grey level, a positive number, one in an interval, one that is zero or positive, one that is any, a count.
ROWS = np.stack(
    [
        RNG.choice([-1.0, 1.0], COUNT),
        RNG.integers(0, 4, COUNT),
        RNG.exponential(1.0, COUNT),
        RNG.uniform(0, 1, COUNT),
        RNG.exponential(1.0, COUNT) * (RNG.random(COUNT) < 0.6),
        RNG.standard_normal(COUNT),
        RNG.poisson(3.0, COUNT),
    ],
    axis=1,
).astype(np.float32)


@pytest.fixture(scope="module", params=FAMILIES)
def emulator(request, tmp_path_factory):
    out = tmp_path_factory.mktemp(request.param) / "run"
    return pf.fit(ROWS, request.param, steps=4, out=out, settings=FAMILIES[request.param], progress=False)


@pytest.mark.parametrize(
    ("column", "value"),
    [(0, 0.0), (0, 5.0), (1, 1.5), (1, -1.0), (1, 4.0), (2, -1.0), (3, 1.2), (4, -0.5), (6, -1.0), (6, 2.5)],
)
def test_a_value_outside_of_the_support_has_no_probability(emulator, column, value):
    rows = ROWS[:3].copy()
    rows[1, column] = value
    log_prob = emulator.log_prob(rows)
    assert log_prob[1] == -math.inf
    assert torch.equal(log_prob[[0, 2]], emulator.log_prob(ROWS[[0, 2]]))


@pytest.mark.parametrize("column", range(7))
def test_a_missing_value_gives_no_density(emulator, column):
    rows = ROWS[:2].copy()
    rows[1, column] = np.nan
    log_prob = emulator.log_prob(rows)
    assert log_prob[0].isfinite()
    assert log_prob[1].isnan()


def test_a_bound_of_the_density_is_that_of_the_support(tmp_path):
    emulator = pf.fit(ROWS, "vae", steps=4, out=tmp_path / "run", settings={"width": 8}, progress=False)
    rows = ROWS[:9].copy()
    rows[range(7), range(7)] = np.nan
    rows[7, 6] = 2.5
    bound = emulator.log_prob_bound(rows, 8)
    assert bound[:7].isnan().all()
    assert bound[7] == -math.inf
    assert bound[8].isfinite()


def test_the_density_of_a_sample_is_its_own(emulator):
    """Whether it is drawn with the sample or asked for later, alone or among others, in any order."""
    samples, log_prob = emulator.sample_and_log_prob(40, seed=0)
    assert torch.equal(samples, emulator.sample(40, seed=0))
    torch.testing.assert_close(log_prob, emulator.log_prob(samples), atol=1e-3, rtol=1e-4)
    torch.testing.assert_close(log_prob[[5, 2]], emulator.log_prob(samples[[5, 2]]), atol=1e-3, rtol=1e-4)


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        (ROWS[:0], "give at least one"),
        (ROWS[:2].astype(np.complex64), "complex"),
        ("rows", "arrays of numbers"),
        (1.0, "arrays of numbers"),
        (ROWS[:2, :3], r"expected \(n, 7\)"),
    ],
    ids=["none", "complex", "a name", "a number", "other columns"],
)
def test_what_has_no_density_is_one_sentence(emulator, rows, said):
    verbs = [emulator.log_prob] + ([emulator.encode] if "latent" in emulator.abilities else [])
    for verb in verbs:
        with pytest.raises(UsageError, match=said):
            verb(rows)


def test_densities_of_discrete_samples_at_another_temperature_are_refused(emulator):
    if emulator.name != "autoregressive":
        with pytest.raises(UsageError, match="known at temperature 1"):
            emulator.sample_and_log_prob(4, temperature=0.5)


def test_score_says_how_many_members_have_no_density(emulator, command, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    rows = ROWS[:5].copy()
    rows[1, 0] = 0.0
    np.save("rows.npy", rows)
    command("score", emulator.run, "rows.npy", "-o", "scores.npy")
    said = capsys.readouterr().out
    assert "over 4 members" in said
    assert "1 have none" in said
    assert np.isneginf(np.load("scores.npy")).tolist() == [False, True, False, False, False]
