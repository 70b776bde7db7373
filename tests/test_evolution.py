"""From a file of simulations to evolved ones, by the command line and from Python, and the report between them."""

import json
import sys

import numpy as np
import pytest
import torch

import pushforward as pf
from pushforward import cli
from pushforward.errors import UsageError

OPTIONS = ("--particles", 8, "--box", 16, "--times", 3, "--steps", 6)


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A run on the command line's own file, with the file."""
    folder = tmp_path_factory.mktemp("evolution")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(folder / "cache"))
        for words in (
            ("simulate", "n-body", "-n", 6, "-o", folder / "fine.h5", *OPTIONS),
            ("fit", folder / "fine.h5", "--model", "hybrid-nbody", "--steps", 40, "--out", folder / "run"),
        ):
            patch.setattr(sys, "argv", ["pushforward", *map(str, words)])
            with pytest.raises(SystemExit) as stop:
                cli.main()
            assert stop.value.code == 0
    return folder / "run", folder / "fine.h5"


@pytest.fixture
def emulator(run):
    return pf.Emulator.load(run[0], device="cpu")


def test_a_run_can_evolve_and_correct_and_nothing_else(emulator):
    assert emulator.abilities == ("evolver", "corrected")
    with pytest.raises(UsageError, match="cannot sample"):
        emulator.sample(1)


def test_the_report_sets_the_model_beside_the_coarse_run_and_the_floor(run, emulator):
    report = pf.validate(emulator, out=run[0], progress=False)
    values = json.loads((run[0] / "report.json").read_text())
    assert (run[0] / "report.html").read_text().count("<img") == 1
    assert [line["statistic"] for line in values["verdicts"]] == [line.statistic for line in report.lines]
    for line in report.lines:
        assert 0 < line.value < line.uncorrected, f"{line.label} is no better than without the correction"
        assert line.floor_low <= line.floor <= line.floor_high
    assert set(values["curves"]) == {"evolved", "uncorrected", "floor"}


def test_one_simulation_is_enough_to_learn_from_but_not_to_be_judged_by(command, tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    for name, seed in (("one", 0), ("other", 1)):
        command("simulate", "n-body", "-n", 1, "--seed", seed, "-o", tmp_path / f"{name}.h5", *OPTIONS)
    command("fit", tmp_path / "one.h5", "--model", "hybrid-nbody", "--steps", 10, "--out", tmp_path / "run")
    monkeypatch.setattr(sys, "argv", ["pushforward", "validate", str(tmp_path / "run")])
    with pytest.raises(SystemExit) as stop:
        cli.main()
    assert stop.value.code == 2
    assert "give others" in capsys.readouterr().err
    command("validate", tmp_path / "run", tmp_path / "other.h5")
    report = json.loads((tmp_path / "run" / "report.json").read_text())
    assert report["verdicts"][2]["value"] < report["verdicts"][2]["uncorrected"]
    assert "another data set" in report["notes"][0]


def test_a_reference_is_at_no_distance_from_itself(run):
    from pushforward.validation.evolution import compare_trajectories

    fine = pf.read(str(run[1]))
    found = compare_trajectories(fine.tensor(), fine.tensor(), fine.space)
    for errors in (found.power_error, found.decorrelation, found.distance):
        np.testing.assert_allclose(errors, 0, atol=1e-6)


def test_states_come_back_at_the_times_asked_for(run, emulator, command, tmp_path):
    command("evolve", run[0], run[1], "-o", tmp_path / "out.h5", "--times", "0.4,1")
    found, fine = pf.read(str(tmp_path / "out.h5")), pf.read(str(run[1]))
    assert found.space.times == (0.1, 0.4, 1.0)
    expected = emulator.evolve(fine.tensor()[:, 0], [0.1, 0.4, 1.0])
    np.testing.assert_allclose(found.tensor(), expected, rtol=1e-5, atol=1e-4)


def test_the_correction_can_be_left_out(run, command, tmp_path):
    for name, more in (("with", ()), ("without", ("--uncorrected",))):
        command("evolve", run[0], run[1], "-o", tmp_path / f"{name}.h5", *more)
    with_it, without = (pf.read(str(tmp_path / f"{name}.h5")).tensor() for name in ("with", "without"))
    torch.testing.assert_close(with_it[:, 0], without[:, 0])
    assert (with_it[:, -1] - without[:, -1]).abs().mean() > 1e-3


@pytest.mark.parametrize("times", [[0.1], [0.1, 0.5, 0.3], [[0.1, 1.0]]])
def test_impossible_times_are_refused(run, emulator, times):
    with pytest.raises(UsageError, match="at least two monotonic times"):
        emulator.evolve(pf.read(str(run[1])).tensor()[:, 0], times)


def test_states_of_another_shape_are_refused(emulator):
    with pytest.raises(UsageError, match="initial states have shape"):
        emulator.evolve(torch.zeros(1, 2, 7, 3), [0.1, 1.0])


def test_other_files_are_refused(run, tmp_path, monkeypatch, capsys):
    pf_words = ["pushforward", "evolve", run[0], "two-moons", "-o", tmp_path / "out.h5"]
    monkeypatch.setattr(sys, "argv", [str(word) for word in pf_words])
    with pytest.raises(SystemExit) as stop:
        cli.main()
    assert stop.value.code == 2
    assert "trajectories" in capsys.readouterr().err
