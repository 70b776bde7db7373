"""Two ensembles without pairs, from the files to the translation."""

from __future__ import annotations

import numpy as np
import pytest
import torch

import pushforward as pf
from pushforward.errors import DataError, UsageError

RNG = np.random.default_rng(0)
A = RNG.normal(size=(400, 2)).astype(np.float32)
B = np.exp(0.5 * RNG.normal(size=(300, 2))).astype(np.float32) + 10


def test_translation_on_the_command_line(tmp_path, monkeypatch, capsys, command):
    monkeypatch.chdir(tmp_path)
    np.save("a.npy", A)
    np.save("b.npy", B)

    fit = ("fit", "a.npy", "--model", "between", "--set", "second=b.npy", "--set", "width=32", "--out", "run")
    command(*fit, "--steps", 100)
    command(*fit, "--steps", 200, "--resume")
    command("translate", "run", "b.npy", "--to", "a", "-o", "ba.npy")
    command("translate", "run", "a.npy", "--to", "b", "-o", "ab.npy")
    command("sample", "run", "-n", 200, "-o", "s.npy")
    capsys.readouterr()
    for made, like in (("ba.npy", A), ("ab.npy", B), ("s.npy", A)):
        found = np.load(made)
        assert abs(found.mean() - like.mean()) < 0.25, f"{made} has the mean {found.mean():.2f}"
        assert abs(found.std() / like.std() - 1) < 0.2, f"{made} has the deviation {found.std():.2f}"
    # There and back again is the identity, up to the solver.
    emulator = pf.Emulator.load("run")
    torch.testing.assert_close(
        emulator.translate(emulator.translate(A, "b"), "a"), torch.from_numpy(A), atol=0.02, rtol=0
    )


def test_fields_of_two_ensembles(tmp_path):
    a, b = (RNG.normal(size=(32, 8, 8)).astype(np.float32) * scale for scale in (1.0, 3.0))
    np.save(tmp_path / "b.npy", b)
    settings = {"second": str(tmp_path / "b.npy"), "width": 4}
    ensemble = pf.Ensemble.from_array(a, periodic=True, isotropic=True)
    emulator = pf.fit(ensemble, "between", steps=2, out=tmp_path / "run", settings=settings, progress=False)
    moved = pf.Emulator.load(tmp_path / "run").translate(a[:4, None], "b")
    torch.testing.assert_close(moved, emulator.translate(a[:4, None], "b"))
    assert moved.std() > 2


WRONG = {
    "no second ensemble": ({}, UsageError, "second=FILE"),
    "another space": ({"second": "three.npy"}, DataError, "one space"),
    "no such file": ({"second": "nothing.npy"}, DataError, "nothing.npy"),
}


@pytest.mark.parametrize("case", WRONG)
def test_ensembles_that_do_not_go_together(case, tmp_path, monkeypatch):
    settings, kind, words = WRONG[case]
    monkeypatch.chdir(tmp_path)
    np.save("three.npy", RNG.normal(size=(100, 3)))
    with pytest.raises(kind, match=words):
        pf.fit(pf.Ensemble.from_array(A), "between", steps=1, out="run", settings=settings, progress=False)
    assert not (tmp_path / "run").exists()


def test_conditions_are_refused(tmp_path):
    ensemble = pf.Ensemble.from_array(A, conditions=A[:, 0], names=("mass",))
    with pytest.raises(UsageError, match="conditions"):
        pf.fit(ensemble, "between", steps=1, out=tmp_path / "run", settings={"second": "two-moons"}, progress=False)
