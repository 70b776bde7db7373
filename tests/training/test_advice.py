"""Advice before training."""

from __future__ import annotations

import numpy as np
import pytest

import pushforward as pf
from pushforward.errors import UsageError

RNG = np.random.default_rng(0)


@pytest.mark.parametrize(
    ("model", "shape", "said"),
    [
        ("realnvp", (300, 2), "realnvp keeps angles on the circle"),
        ("tarflow", (300, 2), "tarflow sees angles cut open"),
        ("glow", (60, 8, 8), "their cosine and sine, as two channels, have no cut"),
    ],
)
def test_angles_that_a_model_cuts_open_are_named(model, shape, said, tmp_path, capsys) -> None:
    angles = RNG.uniform(-np.pi, np.pi, size=shape).astype(np.float32)
    pf.fit(pf.read(angles, periodic=True if len(shape) == 3 else None), model, steps=1, out=tmp_path / "a")
    assert said in " ".join(capsys.readouterr().err.split())


@pytest.mark.parametrize("periodic", [True, False])
def test_trenf_says_that_it_takes_fields_as_periodic(periodic, tmp_path, capsys) -> None:
    fields = pf.read(RNG.normal(size=(60, 4, 4)), space="field", periodic=periodic)
    pf.fit(fields, "trenf", steps=1, out=tmp_path / "run", settings={"layers": 1})
    assert ("trenf takes fields as periodic" in " ".join(capsys.readouterr().err.split())) is not periodic


def test_a_family_that_cannot_learn_series_names_those_that_can() -> None:
    series = np.ones((60, 5, 2)).cumsum(1)
    with pytest.raises(UsageError, match=r"families that learn series data: .*latent-ode"):
        pf.fit(pf.read(series, space="timed-series"), "flow-matching", steps=1)


def test_a_model_much_larger_than_its_vectors_is_said_to_be(monkeypatch, tmp_path, capsys) -> None:
    monkeypatch.setattr("pushforward.training.advice.LARGE", 1000)
    pf.fit(RNG.normal(size=(60, 3)), "realnvp", steps=1, out=tmp_path / "a")
    assert "--set couplings=2 has fewer" in " ".join(capsys.readouterr().err.split())
