"""A run that is broken, full, watched or taken ends in one sentence and exit status 2, and nothing of it is lost."""

from __future__ import annotations

import errno
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import pytest

import pushforward as pf
from pushforward import cli
from pushforward.errors import TrainingError, UsageError
from pushforward.runs import files
from pushforward.runs.directory import LOCK, locked
from pushforward.training import trackers

SETTINGS = {"couplings": 2}
POINTS = Path(tempfile.mkdtemp()) / "points.npy"
np.save(POINTS, np.random.default_rng(0).normal(size=(400, 2)).astype(np.float32))


def fitted(out: Path, model: str = "realnvp", steps: int = 4, **options):
    options = {"settings": SETTINGS if model == "realnvp" else {}, "progress": False, **options}
    return pf.fit(str(POINTS), model, steps=steps, out=out, **options)


@pytest.fixture(scope="module")
def finished(tmp_path_factory) -> Path:
    out = tmp_path_factory.mktemp("runs") / "run"
    fitted(out)
    return out


@pytest.fixture
def run(finished, tmp_path) -> Path:
    return Path(shutil.copytree(finished, tmp_path / "run"))


def contents(run: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in run.iterdir()}


def test_the_checkpoint_of_another_family_is_refused(run, tmp_path):
    fitted(tmp_path / "vae", "vae")
    shutil.copy(tmp_path / "vae" / "checkpoint.safetensors", run)
    before = contents(run)
    with pytest.raises(UsageError, match=r"checkpoint.safetensors is not of the model that .*config.yaml describes"):
        fitted(run, steps=8, resume=True)
    assert contents(run) == before


def test_nested_brackets_are_no_configuration(run, monkeypatch, capsys):
    with (run / "config.yaml").open("a") as file:
        file.write(f"x: {'[' * 5000}{']' * 5000}\n")
    monkeypatch.setattr(sys, "argv", ["pushforward", "sample", str(run), "-n", "2", "-o", "x.npy"])
    with pytest.raises(SystemExit) as stop:
        cli.main()
    assert stop.value.code == 2
    (sentence,) = capsys.readouterr().err.splitlines()
    assert sentence.endswith("config.yaml is not readable YAML; it may be damaged")


@pytest.mark.parametrize("part", ["data", "settings", "settings.model", "data.spec"])
def test_a_configuration_with_a_part_of_another_type_is_refused(part, run):
    config = files.load_yaml(run / "config.yaml")
    *path, last = part.split(".")
    owner = config[path[0]] if path else config
    owner[last] = ["damaged"]
    files.save_yaml(run / "config.yaml", config)
    with pytest.raises(UsageError, match=rf"config.yaml cannot be used: {part} is \['damaged'\]"):
        pf.Emulator.load(run)
    with pytest.raises(UsageError, match=rf"config.yaml cannot be used: {part} is \['damaged'\]"):
        fitted(run, steps=6, resume=True)


def test_damaged_metrics_cost_a_line_of_the_curves_and_not_the_page(run):
    with (run / "metrics.jsonl").open("ab") as file:
        file.write(b'\xff\xfe{"step": 9}\n')
    report = pf.validate(pf.Emulator.load(run), samples=40, out=run, progress=False)
    assert any("1 damaged line of" in line for line in report.failures)
    assert (run / "report.html").exists()
    assert fitted(run, steps=6, resume=True) is not None


def test_weights_without_their_checkpoint_are_not_trained_over(run):
    (run / "checkpoint.safetensors").unlink()
    before = contents(run)
    with pytest.raises(UsageError, match=r"cannot go on: checkpoint.safetensors is missing; restore it, or train in"):
        fitted(run, steps=8, resume=True)
    assert contents(run) == before


@pytest.mark.parametrize("there", [False, True], ids=["no directory", "a directory without a checkpoint"])
def test_a_run_that_was_killed_before_its_first_checkpoint_begins_and_says_so(there, finished, tmp_path, capsys):
    if there:
        (tmp_path / "run").mkdir()
        shutil.copy(finished / "config.yaml", tmp_path / "run")
    fitted(tmp_path / "run", resume=True, progress=True)
    assert "it begins at step 0" in " ".join(capsys.readouterr().err.split())
    assert contents(tmp_path / "run")["model.safetensors"] == contents(finished)["model.safetensors"]


def no_space(*_: object, **__: object) -> None:
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def test_a_disk_that_fills_up_keeps_the_checkpoint_before(run, finished, monkeypatch):
    before = contents(run)
    monkeypatch.setattr(files, "save_file", no_space)
    with pytest.raises(TrainingError, match="No space left on device"):
        fitted(run, steps=8, resume=True, settings={**SETTINGS, "checkpoint_every": 0})
    monkeypatch.undo()
    assert contents(run)["checkpoint.safetensors"] == before["checkpoint.safetensors"]
    assert contents(run)["model.safetensors"] == before["model.safetensors"]
    assert LOCK not in contents(run)
    whole = fitted(finished.parent / "whole", steps=4)
    assert fitted(run, steps=8, resume=True) is not None
    assert whole.sample(2, seed=1).shape == (2, 2)


def test_metrics_that_cannot_be_written_are_one_sentence(run, monkeypatch):
    class Full:
        def write(self, _: str) -> None:
            no_space()

        def close(self) -> None:
            no_space()

    real = trackers.JsonLines.__init__

    def opened(self, path, after=0):
        real(self, path, after)
        self._file.close()
        self._file = Full()

    monkeypatch.setattr(trackers.JsonLines, "__init__", opened)
    with pytest.raises((UsageError, TrainingError), match=r"metrics.jsonl cannot be written: No space left on device"):
        fitted(run, steps=8, resume=True)


def test_a_directory_that_cannot_be_written_to_is_one_sentence(run, monkeypatch):
    real = Path.open

    def refuse(path, mode="r", *arguments, **options):
        if mode != "r" and run in path.parents:
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
        return real(path, mode, *arguments, **options)

    before = contents(run)
    monkeypatch.setattr(Path, "open", refuse)
    with pytest.raises(UsageError, match="cannot be written to: Permission denied"):
        fitted(run, steps=8, resume=True)
    monkeypatch.undo()
    assert contents(run) == before


def test_a_run_is_trained_by_one_process_at_a_time(run):
    before = contents(run)
    with locked(run):
        with pytest.raises(UsageError, match="is being trained by another process"):
            fitted(run, steps=8, resume=True)
        assert {name: text for name, text in contents(run).items() if name != LOCK} == before
    fitted(run, steps=8, resume=True)
    assert LOCK not in contents(run)


def test_a_killed_process_leaves_no_lock(run):
    code = f"import os, pathlib; from pushforward.runs.directory import locked; l = locked(pathlib.Path({str(run)!r}))"
    subprocess.run([sys.executable, "-c", f"{code}; l.__enter__(); os.kill(os.getpid(), 9)"], check=False)
    assert LOCK in contents(run)
    fitted(run, steps=6, resume=True)


@pytest.mark.parametrize("command", ["validate", "compare"])
def test_a_request_to_end_is_answered_in_one_sentence(command, run, tmp_path):
    words = {
        "validate": ("validate", str(run)),
        "compare": ("compare", str(POINTS), "--models", "realnvp", "--budget", "60s", "--out", str(tmp_path / "all")),
    }[command]
    code = "import sys; from pushforward.cli import main; print('ready', flush=True); main()"
    process = subprocess.Popen(
        [sys.executable, "-c", code, *words], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    process.stdout.readline()
    time.sleep(1.0)
    process.send_signal(signal.SIGTERM)
    _, said = process.communicate(timeout=120)
    assert process.returncode == 128 + signal.SIGTERM, said
    last = said.strip().splitlines()[-1]
    assert last.startswith(f"pushforward: {command} was stopped by SIGTERM; "), said
    assert "Traceback" not in said
    assert not (run / "report.html").exists()


def test_a_request_to_end_between_two_models_of_a_comparison_keeps_the_first(tmp_path, monkeypatch, capsys):
    from pushforward.validation import compare as comparing
    from pushforward.validation.model_result import ModelResult

    trained = []

    def train(model, contest):
        if trained:
            os.kill(os.getpid(), signal.SIGTERM)
        trained.append(model)
        return ModelResult(model, failure="not judged here")

    monkeypatch.setattr(sys.modules[comparing.__module__], "train_and_judge", train)
    out = tmp_path / "all"
    words = ["compare", str(POINTS), "--models", "realnvp,vae", "--budget", "1s", "--out", str(out)]
    monkeypatch.setattr(sys, "argv", ["pushforward", *words])
    with pytest.raises(SystemExit) as stop:
        cli.main()
    assert stop.value.code == 128 + signal.SIGTERM
    last = capsys.readouterr().err.strip().splitlines()[-1]
    assert last.startswith("pushforward: compare was stopped by SIGTERM; the models that it had finished are kept"), (
        last
    )
    assert "realnvp" in (out / "compare.json").read_text()
    assert trained == ["realnvp"]
