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


def test_columns_of_other_data_are_those_of_the_run_by_name(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    x = RNG.normal(size=(60, 2)) * [1, 100]
    for name, columns in (("c", "a,b"), ("swapped", "b,a"), ("more", "z,a,b"), ("other", "a,q")):
        values = {"swapped": x[:, ::-1], "more": np.hstack([x[:, :1] - 7, x])}.get(name, x)
        np.savetxt(f"{name}.csv", values, delimiter=",", header=columns, comments="", fmt="%.17g")
    assert run(capsys, monkeypatch, "fit", "c.csv", "--model", "realnvp", "--steps", 2, "--out", "run")[0] == 0
    scores = {}
    for name in ("c", "swapped", "more"):
        assert run(capsys, monkeypatch, "score", "run", f"{name}.csv", "-o", f"{name}.npy")[0] == 0
        scores[name] = np.load(f"{name}.npy")
    np.testing.assert_array_equal(scores["c"], scores["swapped"])
    np.testing.assert_array_equal(scores["c"], scores["more"])
    status, said = run(capsys, monkeypatch, "score", "run", "other.csv", "-o", "s.npy")
    assert (status, "other.csv has no column 'b', and the run learnt a, b; --columns" in said) == (2, True)
    assert run(capsys, monkeypatch, "score", "run", "other.csv", "--columns", "a,q", "-o", "s.npy")[0] == 0


def test_a_report_of_other_columns_is_refused(tmp_path):
    import pandas as pd

    import pushforward as pf

    frame = pd.DataFrame(RNG.normal(size=(90, 2)), columns=["a", "b"])
    emulator = pf.fit(pf.read(frame), "realnvp", steps=1, out=tmp_path / "run", progress=False)
    with pytest.raises(pf.UsageError, match=r"has the columns b, a, but the emulator makes a, b"):
        pf.validate(emulator, pf.read(frame[["b", "a"]]), progress=False)
