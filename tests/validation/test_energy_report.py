"""A model that learnt an energy alone is judged by the weights of its samples, beside what is known of the energy."""

from __future__ import annotations

import json
import math
from dataclasses import replace

import pytest
import torch

import pushforward as pf
from pushforward.energies import Energy, Facts, reweight
from pushforward.errors import UsageError
from pushforward.spaces import Vector

DIM = 3
NORMAL = Energy(
    lambda x: x.square().sum(1) / 2,
    Vector(DIM),
    name="normal",
    facts=Facts(log_z=DIM / 2 * math.log(2 * math.pi), mean_energy=DIM / 2, virial=float(DIM)),
)


class StandIn:
    """Normal samples of some width with their density."""

    name, abilities, run, model = "stand-in", ("sampler", "density", "joint"), None, None

    def __init__(self, width: float, energy: Energy | None = NORMAL):
        self.width, self.energy = width, energy
        self.config = {"data": {"kind": "energy", "spec": None}}

    def reweight(self, n, *, energy, seed):
        x = self.width * torch.randn(n, DIM, generator=torch.Generator().manual_seed(seed))
        return reweight(energy, x, torch.distributions.Normal(0, self.width).log_prob(x).sum(1))


def test_what_is_known_of_the_energy_is_found_by_weights(tmp_path):
    report = pf.validate(StandIn(1.2), out=tmp_path, progress=False)
    assert {each.statistic for each in report.verdicts} == {"ess", "log_z", "mean_energy", "virial"}
    for name in ("log_z", "mean_energy", "virial"):
        assert report.verdict(name).verdict == "at the floor", report.verdict(name).sentence
    share = (2 * 1.2**2 - 1) ** (DIM / 2) / 1.2 ** (2 * DIM)
    assert abs(report.verdict("ess").value - 100 * share) < 3
    assert json.loads((tmp_path / "report.json").read_text())["verdicts"][0]["statistic"] == "ess"
    assert "no test split" in (tmp_path / "report.html").read_text()


def test_a_number_is_called_exact_only_where_it_has_no_error():
    measured = replace(NORMAL.facts, log_z_error=0.007, mean_energy_error=0.004)
    for facts, word in ((NORMAL.facts, "exact"), (measured, "measured")):
        energy = Energy(lambda x: x.square().sum(1) / 2, Vector(DIM), name="normal", facts=facts)
        report = pf.validate(StandIn(1.2, energy), progress=False)
        assert report.verdict("virial").floor_text.startswith("3.000 kT exact")
        for name in ("log_z", "mean_energy"):
            verdict = report.verdict(name)
            assert f" {word} (" in verdict.floor_text
            assert verdict.reference == word
    assert "the known value is 2.757 ± 0.007 nats measured" in report.verdict("log_z").sentence


def test_a_missing_region_shows_in_the_virial_where_it_matters():
    class Half(StandIn):
        def reweight(self, n, *, energy, seed):
            x = torch.randn(n, DIM, generator=torch.Generator().manual_seed(seed)).clamp(max=1.0)
            return reweight(energy, x, torch.distributions.Normal(0, 1).log_prob(x).sum(1))

    assert pf.validate(Half(1.0), progress=False).verdict("virial").verdict == "off"


def test_an_energy_that_is_not_at_hand_is_asked_for():
    with pytest.raises(UsageError, match="was trained on an energy that is not built in"):
        pf.validate(StandIn(1.0, None), progress=False)


def test_a_run_on_an_energy_is_validated_on_the_command_line(tmp_path, monkeypatch, command):
    monkeypatch.chdir(tmp_path)
    command("fit", "phi4", "--from", "energy", "--model", "realnvp", "--steps", 2, "--set", "width=4", "--out", "run")
    command("validate", "run", "--samples", 64)
    report = json.loads((tmp_path / "run" / "report.json").read_text())
    assert [each["statistic"] for each in report["verdicts"]] == ["ess", "log_z", "mean_energy", "virial"]
    command("sample", "run", "-n", 4, "-o", "samples.npz")
