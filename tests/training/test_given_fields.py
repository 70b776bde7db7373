"""Emulators of fields that are given with other fields: trained, resumed, kept, sampled, scored."""

from __future__ import annotations

import numpy as np
import pytest
import torch

import pushforward as pf
from pushforward.conditions import Condition, ConditionSpace
from pushforward.errors import UsageError
from pushforward.models import model_class
from pushforward.models.registry import families
from pushforward.spaces import Field

RNG = np.random.default_rng(0)
COARSE = RNG.normal(size=(48, 4, 4)).astype(np.float32)
FINE = np.repeat(np.repeat(COARSE, 2, 1), 2, 2) + 0.1 * RNG.normal(size=(48, 8, 8)).astype(np.float32)
TAKERS = [name for name, family in families().items() if family.takes_field]
SMALL = {"width": 4, "batch_size": 4, "multipliers": [1, 1]}
FLOWS = ("realnvp", "nsf", "glow")


def sizes(name: str) -> dict:
    """Settings of a small network; flows have no U-Net."""
    return {"width": 4, "batch_size": 4, "learning_rate": 0.02} if name in FLOWS else SMALL


def ensemble(**extra) -> pf.Ensemble:
    return pf.Ensemble.from_array(FINE, condition_fields=COARSE, periodic=True, isotropic=True, **extra)


@pytest.mark.parametrize("name", TAKERS)
def test_every_model_that_takes_fields(name, tmp_path):
    steps = 8 if name in FLOWS else 2
    emulator = pf.fit(ensemble(), name, steps=steps, out=tmp_path / "run", settings=sizes(name), progress=False)
    fields = COARSE[:3]
    samples = emulator.sample(3, fields, seed=1)
    assert samples.shape == (3, 1, 8, 8)
    assert samples.isfinite().all()
    again = pf.Emulator.load(tmp_path / "run")
    torch.testing.assert_close(again.sample(3, {"field": fields[:, None]}, seed=1), samples)
    # The field matters from the first steps on, and so does its order.
    assert not torch.equal(emulator.sample(3, fields[::-1].copy(), seed=1), samples)


def test_parameters_and_fields_together(tmp_path):
    given = ensemble(conditions=RNG.uniform(size=(48, 1)), names=("mass",))
    emulator = pf.fit(given, steps=2, out=tmp_path / "run", settings=SMALL, progress=False)
    one = emulator.sample(2, {"field": COARSE[:1], "mass": 0.3})
    assert one.shape == (2, 1, 8, 8)
    x, rows = given.take_given([0, 1])
    assert emulator.sample_at(rows).shape == (2, 1, 8, 8)
    assert emulator.log_prob(x, rows).isfinite().all()
    with pytest.raises(UsageError, match="mass"):
        emulator.sample(2, COARSE[:2])


@pytest.mark.parametrize("name", ["flow-matching", *FLOWS])
def test_a_field_decides_what_is_sampled(name, tmp_path):
    settings = {"width": 8, "couplings": 2, "learning_rate": 1e-2} if name in FLOWS else {"width": 8}
    steps = 80 if name in FLOWS else 150
    emulator = pf.fit(ensemble(), name, steps=steps, out=tmp_path / "run", settings=settings, progress=False)
    fresh = np.random.default_rng(5).normal(size=(64, 4, 4)).astype(np.float32)
    samples = emulator.sample(64, fresh, seed=0).numpy()[:, 0]
    r = np.corrcoef(samples.reshape(-1, 4, 2, 4, 2).mean((2, 4)).ravel(), fresh.ravel())[0, 1]
    assert r > 0.8, f"correlation of samples with their fields is {r:.2f}"


@pytest.mark.parametrize("name", FLOWS)
def test_a_flow_given_a_field_and_numbers_is_a_density(name):
    """Codes come back, and both conditions matter."""
    kind, space = model_class(name), Field(1, (8, 8))
    torch.manual_seed(0)
    model = kind(space, ConditionSpace(2, Field(1, (4, 4))), kind.Settings(width=4, couplings=2)).double()
    for parameter in model.parameters():
        parameter.data.add_(0.05 * torch.randn_like(parameter))
    x, numbers, field = (torch.randn(3, *shape).double() for shape in ((1, 8, 8), (2,), (1, 4, 4)))
    with torch.no_grad():
        z = model.encode(x, Condition(numbers, field))
        torch.testing.assert_close(model.decode(z, Condition(numbers, field)), x)
        for other in (Condition(numbers + 1, field), Condition(numbers, field.flip(-1))):
            assert not torch.allclose(model.log_prob(x, other), model.log_prob(x, Condition(numbers, field)))


WRONG = {
    "none": (None, "conditional on a field"),
    "too many": (COARSE[:4], "4 condition fields were given for 3"),
    "another grid": (FINE[:3], "those in training had"),
    "no divisor": (np.ones((3, 3, 3)), "do not divide"),
    "a hole": (np.full((3, 4, 4), np.nan), "NaN"),
    "words": ([["a"]], "numbers"),
}


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("fields") / "run"
    pf.fit(ensemble(), steps=1, out=folder, settings=SMALL, progress=False)
    return folder


@pytest.mark.parametrize("case", WRONG)
def test_fields_that_cannot_be_sampled_at(case, run):
    condition, words = WRONG[case]
    with pytest.raises(UsageError, match=words):
        pf.Emulator.load(run).sample(3, condition)


def test_a_model_that_takes_no_field_names_those_that_do(tmp_path):
    with pytest.raises(UsageError, match=r"wgan-gp cannot take a field.*flow-matching.*edm"):
        pf.fit(ensemble(), "wgan-gp", steps=1, out=tmp_path / "run")


def test_the_command_line_from_pairs_to_samples(tmp_path, monkeypatch, capsys, command):
    monkeypatch.chdir(tmp_path)
    np.save("fine.npy", FINE)
    np.save("coarse.npy", COARSE)

    settings = [word for name, value in SMALL.items() for word in ("--set", f"{name}={value}")]
    fit = ("fit", "fine.npy", "--condition", "coarse.npy", "--periodic", *settings, "--out", "run")
    command(*fit, "--steps", 2)
    command(*fit, "--steps", 4, "--resume")
    command("sample", "run", "--condition", "coarse.npy", "--seed", 0, "-o", "all.npy")
    command("sample", "run", "-n", 96, "--condition", "coarse.npy", "-o", "twice.npz")
    np.savez("pairs.npz", x=FINE, condition_fields=COARSE)
    command("sample", "run", "--condition", "pairs.npz", "--seed", 0, "-o", "again.npy")
    np.testing.assert_array_equal(np.load("again.npy"), np.load("all.npy"))
    command("score", "run", "fine.npy", "--condition", "coarse.npy", "-o", "score.csv")
    assert np.load("all.npy").shape == (48, 8, 8)
    assert np.load("twice.npz")["x"].shape == (96, 1, 8, 8)
    capsys.readouterr()
