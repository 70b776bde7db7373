"""Options of reading are the same for all commands, and a run knows the kind of its samples."""

from __future__ import annotations

import sys

import numpy as np
import pytest
from typer.testing import CliRunner

from pushforward import cli
from pushforward.reading_options import READING

RNG = np.random.default_rng(0)


def run(capsys, monkeypatch, *arguments: object) -> tuple[int, str]:
    monkeypatch.setattr(sys, "argv", ["pushforward", *map(str, arguments)])
    try:
        cli.main()
    except SystemExit as stop:
        return stop.code or 0, capsys.readouterr().err
    return 0, capsys.readouterr().err


@pytest.mark.parametrize("command", ["fit", "validate", "compare", "score"])
def test_every_command_that_reads_data_has_the_reading_options(command):
    shown = CliRunner().invoke(cli.app, [command, "--help"]).output
    missing = [name for name in READING if f"--{name.replace('_', '-')}" not in shown]
    assert not missing


def test_a_run_knows_the_kind_of_its_samples(tmp_path, capsys, monkeypatch):
    np.save(tmp_path / "jets.npy", RNG.normal(size=(60, 6, 3)).astype(np.float32))
    jets, out = tmp_path / "jets.npy", tmp_path / "run"
    fit = ("fit", jets, "--model", "realnvp", "--steps", 2, "--out", out)
    status, said = run(capsys, monkeypatch, *fit)
    assert (status, "give --space particles, series or field" in said) == (2, True)
    assert run(capsys, monkeypatch, *fit, "--space", "vector")[0] == 0
    assert run(capsys, monkeypatch, "score", out, jets, "-o", tmp_path / "scores.npy")[0] == 0
    assert np.load(tmp_path / "scores.npy").shape == (60,)


def test_a_configuration_file_says_the_same(tmp_path, capsys, monkeypatch):
    np.savetxt(tmp_path / "c.csv", RNG.normal(size=(60, 3)), delimiter=",", header="a,b,c", comments="")
    (tmp_path / "run.yaml").write_text("columns: a,c\nsteps: 2\nmodel: realnvp\n")
    status, _ = run(
        capsys, monkeypatch, "fit", tmp_path / "c.csv", "--config", tmp_path / "run.yaml", "--out", tmp_path / "run"
    )
    assert status == 0
    assert "a" in (tmp_path / "run" / "config.yaml").read_text()
    assert run(capsys, monkeypatch, "sample", tmp_path / "run", "-n", 3, "-o", tmp_path / "s.csv")[0] == 0
    assert (tmp_path / "s.csv").read_text().startswith("a,c")
