"""Two ensembles without pairs, from the files to the translation."""

from __future__ import annotations

import numpy as np
import pytest
import torch

import pushforward as pf
from pushforward.errors import TrainingError, UsageError

RNG = np.random.default_rng(0)
A = RNG.normal(size=(400, 2)).astype(np.float32)
B = np.exp(0.5 * RNG.normal(size=(300, 2))).astype(np.float32) + 10


def test_translation_on_the_command_line(tmp_path, monkeypatch, capsys, command):
    monkeypatch.chdir(tmp_path)
    np.save("a.npy", A)
    np.save("b.npy", B)

    fit = ("fit", "a.npy", "--and", "b.npy", "--model", "between", "--set", "width=32", "--out", "run")
    command(*fit, "--steps", 100)
    command(*fit, "--steps", 200, "--resume")
    command("translate", "run", "b.npy", "--to", "a", "-o", "ba.npy")
    command("translate", "run", "a.npy", "--to", "b", "-o", "ab.npy")
    capsys.readouterr()
    for made, like in (("ba.npy", A), ("ab.npy", B)):
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
    pair = pf.EnsemblePair(*(pf.Ensemble.from_array(each, periodic=True, isotropic=True) for each in (a, b)))
    emulator = pf.fit(pair, "between", steps=2, out=tmp_path / "run", settings={"width": 4}, progress=False)
    assert emulator.abilities == ("translator",)
    moved = pf.Emulator.load(tmp_path / "run").translate(a[:4, None], "b")
    torch.testing.assert_close(moved, emulator.translate(a[:4, None], "b"))
    assert moved.std() > 2


def test_one_ensemble_is_not_enough(tmp_path):
    with pytest.raises(UsageError, match="--and"):
        pf.fit(pf.Ensemble.from_array(A), "between", steps=1, out=tmp_path / "run", progress=False)
    assert not (tmp_path / "run").exists()


def test_a_family_of_one_ensemble_refuses_two(tmp_path):
    pair = pf.EnsemblePair(pf.Ensemble.from_array(A), pf.Ensemble.from_array(B))
    with pytest.raises(UsageError, match=r"realnvp learns from an ensemble.*between"):
        pf.fit(pair, "realnvp", steps=1, out=tmp_path / "run", progress=False)


def test_members_of_another_shape_are_refused(tmp_path):
    pair = pf.EnsemblePair(pf.Ensemble.from_array(A), pf.Ensemble.from_array(RNG.normal(size=(100, 3))))
    with pytest.raises(UsageError, match="both ensembles need one shape"):
        pf.fit(pair, "between", steps=1, out=tmp_path / "run", progress=False)


def test_a_run_is_resumed_with_the_same_second_ensemble_only(tmp_path):
    a, b, other = (pf.Ensemble.from_array(each, name="points") for each in (A, B, B + 1))
    options = {"out": tmp_path / "run", "settings": {"width": 16}, "progress": False}
    pf.fit(pf.EnsemblePair(a, b), "between", steps=2, **options)
    with pytest.raises(TrainingError, match="other data"):
        pf.fit(pf.EnsemblePair(a, other), "between", steps=4, resume=True, **options)
    pf.fit(pf.EnsemblePair(a, b), "between", steps=4, resume=True, **options)


def test_crops_on_both_sides(tmp_path):
    fields = [pf.read(RNG.normal(size=(4, 40, 40)).astype(np.float32) * scale, crop=8) for scale in (1.0, 2.0)]
    emulator = pf.fit(pf.EnsemblePair(*fields), "between", steps=2, out=tmp_path / "run", settings={"width": 4})
    assert emulator.translate(fields[0].test.take([0, 1]), "b").shape == (2, 1, 8, 8)


def test_conditions_are_refused():
    given = pf.Ensemble.from_array(A, conditions=A[:, 0], names=("mass",))
    with pytest.raises(UsageError, match="conditions"):
        pf.EnsemblePair(given, pf.Ensemble.from_array(B))
