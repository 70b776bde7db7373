"""Data that are nearly too small are judged, or it is said before training that they cannot be."""

from __future__ import annotations

import numpy as np
import pytest

import pushforward as pf
from pushforward.ensembles import Ensemble

RNG = np.random.default_rng(0)


@pytest.fixture(scope="module", params=[(4, 4), (3, 3), (4, 4, 4)], ids=str)
def small_grid(request):
    shape = (80, 1, *request.param)
    data = Ensemble.from_array(RNG.normal(size=shape), space=pf.Field(1, request.param))
    return pf.judge(RNG.normal(size=shape).astype(np.float32), data, progress=False)


def test_small_grids_have_a_page(small_grid):
    names = {verdict.statistic for verdict in small_grid.verdicts}
    assert {"power_spectrum", "one_point_pdf", "coverage", "classifier"} <= names
    assert not [line for line in small_grid.failures if "Error" in line], "what fails says why in words"


@pytest.mark.parametrize("members", [16, 32])
def test_few_members_have_a_page(members):
    report = pf.judge(RNG.normal(size=(members, 2)), Ensemble.from_array(RNG.normal(size=(members, 2))), progress=False)
    assert {"energy_distance", "marginals"} <= {verdict.statistic for verdict in report.verdicts}
    assert not [line for line in report.failures if "Error" in line]


def test_a_class_of_one_member_has_a_page():
    labels = np.zeros((60, 1), np.float32)
    labels[17] = 1
    data = Ensemble.from_array(
        RNG.normal(size=(60, 2)), conditions=labels, names=("kind",), classes={"kind": ("many", "one")}
    )
    report = pf.judge(RNG.normal(size=(60, 2)), data, progress=False)
    assert not [line for line in report.failures if "Error" in line]


def one_of_a_kind():
    labels = np.zeros(100, int)
    labels[7] = 1
    return pf.read(RNG.normal(size=(100, 2)), condition={"label": labels})


SMALL = {
    "a class of one member": one_of_a_kind,
    "4 x 4": lambda: pf.read(RNG.normal(size=(100, 4, 4))),
    "3 x 3": lambda: pf.read(RNG.normal(size=(100, 3, 3))),
    "4 x 4 x 4": lambda: pf.read(RNG.normal(size=(100, 4, 4, 4)), space=pf.Field(1, (4, 4, 4))),
    "80 members": lambda: pf.read(RNG.normal(size=(80, 2))),
    "100 members": lambda: pf.read(RNG.normal(size=(100, 2))),
    "159 members": lambda: pf.read(RNG.normal(size=(159, 2))),
}


@pytest.mark.parametrize("name", SMALL)
def test_what_was_trained_is_judged(tmp_path, name):
    data = SMALL[name]()
    emulator = pf.fit(data, "flow-matching", steps=1, progress=False, out=tmp_path / "run", settings={"width": 8})
    report = pf.validate(emulator, data, progress=False)
    assert len(report.verdicts) >= 5
    assert not [line for line in report.failures if "Error" in line], "what fails says why in words"
    if name in ("a class of one member", "3 x 3", "80 members"):
        assert "Could not be measured" in report.html()


@pytest.mark.parametrize(("members", "told"), [(40, True), (200, False)])
def test_too_few_test_members_are_told_before_training(tmp_path, capsys, members, told):
    pf.fit(RNG.normal(size=(members, 2)), "realnvp", steps=1, out=tmp_path / "run")
    shown = capsys.readouterr().err
    assert ("only 4 members are held out for the test: validate needs 8" in shown) == told
