"""A translator is judged in both directions, each by the test split of the ensemble that is translated into."""

from __future__ import annotations

import json
import sys
from types import SimpleNamespace

import numpy as np
import pytest
import torch

import pushforward as pf
from pushforward import cli
from pushforward.errors import UsageError
from pushforward.spaces import Vector
from pushforward.validation.translation_report import TranslationReport

RNG = np.random.default_rng(0)
A = RNG.normal(size=(800, 2)).astype(np.float32)
B = (RNG.normal(size=(700, 2)) * [2, 1] + [5, 0]).astype(np.float32)


class StandIn:
    """A translator that is known: of members of a it makes members of b, but for a shift, and back without one."""

    name, abilities, run, model, space = "stand-in", ("translator",), None, None, Vector(2)
    preprocessing = SimpleNamespace(towards=lambda to: (SimpleNamespace(space=Vector(2)),) * 2)

    def __init__(self, pair: pf.EnsemblePair, shift: float = 0.0):
        self.pair, self.shift, self.config, self.taken = pair, shift, {"data": pair.to_dict()}, []

    def translate(self, x, to):
        x = torch.as_tensor(x)
        self.taken.append((to, x))
        scale, centre = torch.tensor([2.0, 1.0]), torch.tensor([5.0, 0.0])
        return x * scale + centre + self.shift if to == "b" else (x - centre) / scale


@pytest.fixture(scope="module")
def pair() -> pf.EnsemblePair:
    return pf.EnsemblePair(pf.Ensemble.from_array(A, name="a"), pf.Ensemble.from_array(B, name="b"))


def test_a_perfect_translator_is_at_the_floor_both_ways(pair):
    emulator = StandIn(pair)
    report = pf.validate(emulator, pair, progress=False)
    assert isinstance(report, TranslationReport)
    assert not [name for name, verdict in report.verdicts if verdict.verdict == "off"]
    assert report.joint_p_value > 0.01
    assert all(trip < 1e-6 for trip in report.round_trips.values())
    held_out = {side: {row.tobytes() for row in each.test.take(np.arange(len(each.test)))} for side, each in
                (("a", pair.a), ("b", pair.b))}  # fmt: skip
    (to_b, from_a), (to_a, from_b) = emulator.taken[:2]
    assert (to_b, to_a) == ("b", "a")
    assert {row.numpy().tobytes() for row in from_a} <= held_out["a"]
    assert {row.numpy().tobytes() for row in from_b} <= held_out["b"]


def test_a_fault_of_one_direction_is_found_in_that_direction(pair):
    report = pf.validate(StandIn(pair, shift=1.0), pair, progress=False)
    assert report.verdict("to_b/marginals").verdict == "off"
    assert report.verdict("to_a/marginals").verdict == "at the floor"
    assert report.round_trips["a"] > 0.3
    assert "From a to b" in report.summary
    with pytest.raises(UsageError, match="no statistic 'marginals'"):
        report.verdict("marginals")


def test_other_data_than_those_of_training_are_judged_whole(pair):
    emulator = StandIn(pair)
    other = pf.EnsemblePair(pair.a, pf.Ensemble.from_array(B[:400] + 2, name="other b"))
    report = pf.validate(emulator, other, progress=False)
    (_, from_a), (_, from_b) = emulator.taken[:2]
    unseen = [{row.tobytes() for row in each.take(np.arange(len(each)))} for each in (pair.a.test, other.b)]
    assert {row.numpy().tobytes() for row in from_a} <= unseen[0]
    assert {row.numpy().tobytes() for row in from_b} <= unseen[1]
    assert report.reports["a"].counts["training"] == len(pair.a.train)
    assert not report.reports["b"].counts["training"]
    assert report.verdict("to_b/marginals").verdict == "off"


def test_what_is_not_a_pair_of_ensembles_is_refused(pair):
    with pytest.raises(UsageError, match="give both as an EnsemblePair"):
        pf.validate(StandIn(pair), pair.a, progress=False)
    with pytest.raises(UsageError, match="arrays in memory"):
        pf.validate(StandIn(pair), progress=False)


def test_validate_on_the_command_line_reads_both_again(tmp_path, monkeypatch, command):
    monkeypatch.chdir(tmp_path)
    np.save("a.npy", A)
    np.save("b.npy", B)
    command("fit", "a.npy", "--and", "b.npy", "--model", "between", "--set", "width=32", "--steps", 100, "--out", "run")
    command("validate", "run", "--samples", 50)
    report = json.loads((tmp_path / "run" / "report.json").read_text())
    assert {name.split("/")[0] for name in (each["statistic"] for each in report["verdicts"])} == {"to_a", "to_b"}
    assert all(each["counts"]["generated"] == 50 for each in report["directions"].values())
    page = (tmp_path / "run" / "report.html").read_text()
    assert page.index("From a to b") < page.index("From b to a")


def test_either_ensemble_can_be_replaced_on_the_command_line(tmp_path, monkeypatch, capsys, command):
    monkeypatch.chdir(tmp_path)

    def refused(*words: str) -> str:
        monkeypatch.setattr(sys, "argv", ["pushforward", *words])
        with pytest.raises(SystemExit) as stop:
            cli.main()
        assert stop.value.code == 2
        return capsys.readouterr().err

    for name, x in (
        ("a", A),
        ("b", B),
        ("fresh-a", A[:300] + 0.1),
        ("fresh-b", B[:200] + 0.1),
        ("wide", B[:, [0, 1, 0]]),
    ):
        np.save(f"{name}.npy", x)
    command("fit", "a.npy", "--and", "b.npy", "--model", "between", "--set", "width=32", "--steps", 20, "--out", "run")

    def goals(*arguments: str) -> list[tuple[str, int]]:
        command("validate", "run", *arguments)
        directions = json.loads((tmp_path / "run" / "report.json").read_text())["directions"]
        return [(each["data"], each["counts"]["test"]) for each in (directions["to_a"], directions["to_b"])]

    assert goals("--and", "fresh-b.npy") == [("a.npy", 80), ("fresh-b.npy", 80)]
    assert goals("fresh-a.npy", "--and", "fresh-b.npy") == [("fresh-a.npy", 150), ("fresh-b.npy", 100)]
    assert "shape" in refused("validate", "run", "--and", "wide.npy")
    command("fit", "a.npy", "--model", "realnvp", "--steps", 2, "--out", "one")
    assert "leave --and out" in refused("validate", "one", "--and", "b.npy")
    np.save("b.npy", B + 1)
    assert "has changed" in refused("validate", "run", "fresh-a.npy")


def test_fields_of_crops_are_judged_both_ways(tmp_path):
    fields = [pf.read(RNG.normal(size=(4, 48, 48)).astype(np.float32) * scale, crop=8) for scale in (1.0, 2.0)]
    pair = pf.EnsemblePair(*fields)
    emulator = pf.fit(pair, "between", steps=2, out=tmp_path / "run", settings={"width": 4}, progress=False)
    report = pf.validate(emulator, pair, samples=8, progress=False)
    assert {"to_a/power_spectrum", "to_b/power_spectrum"} <= {name for name, _ in report.verdicts}


def test_columns_of_a_pair_are_matched_by_name(tmp_path, command, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name, columns in (("a", "mass,z"), ("b", "z,mass"), ("c", "flux,colour"), ("d", "z,flux")):
        np.savetxt(f"{name}.csv", RNG.normal(size=(40, 2)), header=columns, comments="", delimiter=",")
    fit = ("fit", "a.csv", "--model", "cyclegan", "--steps", 1)
    command(*fit, "--and", "b.csv", "--out", "same")
    assert pf.Emulator.load("same").preprocessing.b.space.names == ("mass", "z")
    command(*fit, "--and", "c.csv", "--out", "other")
    command("translate", "other", "a.csv", "--to", "b", "-o", "made.csv")
    command("translate", "other", "c.csv", "--to", "a", "-o", "back.csv")
    assert [pf.read(name).space.names for name in ("made.csv", "back.csv")] == [("flux", "colour"), ("mass", "z")]
    with pytest.raises(UsageError, match=r"a.csv has the columns mass, z, but d.csv has z, flux; read both with"):
        pf.EnsemblePair(pf.read("a.csv"), pf.read("d.csv"))


def test_a_pair_of_one_ensemble_says_so(pair):
    assert "a and b are the same members: there is nothing to translate" in pf.EnsemblePair(pair.a, pair.a).notes


def test_data_of_another_shape_are_named(pair):
    other = pf.EnsemblePair(pair.a, pf.Ensemble.from_array(RNG.normal(size=(40, 3)), name="wide"))
    emulator = StandIn(pair)
    with pytest.raises(UsageError, match=r"wide has members of shape \(3,\), but stand-in translates .* \(2,\)"):
        pf.validate(emulator, other, progress=False)
