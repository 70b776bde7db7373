"""Particles from the simulator to the report, by the program itself, in extended XYZ."""

import json

import numpy as np
import pytest

import pushforward as pf
from pushforward.spaces import Particles


def test_every_verb_on_configurations(command, tmp_path, monkeypatch):
    pytest.importorskip("ase")
    monkeypatch.chdir(tmp_path)
    command("simulate", "dw4", "-n", 200, "-o", "dw4.extxyz")
    small = ["--set", "width=16", "--set", "depth=2", "--set", "batch_size=32"]
    command("fit", "dw4.extxyz", "--steps", 6, *small, "--out", "run", "--device", "cpu")
    command("sample", "run", "-n", 20, "-o", "samples.extxyz", "--seed", 1)
    command("score", "run", "dw4.extxyz", "-o", "scores.npy")
    command("validate", "run", "--samples", 20)
    samples = pf.read("samples.extxyz")
    assert samples.space == Particles(4, 2, centred=True)
    assert np.abs(samples.take(np.arange(20)).mean(1)).max() < 1e-5
    assert np.isfinite(np.load("scores.npy")).all()
    assert np.load("scores.npy").shape == (200,)
    report = json.loads((tmp_path / "run" / "report.json").read_text())
    assert {"distances", "size", "nll"} <= {each["statistic"] for each in report["verdicts"]}
    assert not report.get("failures")
