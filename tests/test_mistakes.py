"""Whatever a user gets wrong ends in one plain sentence and exit status 2, before any long work, and loses nothing."""

from __future__ import annotations

import os
import pickle
import shutil
import sys
import time
from pathlib import Path

import h5py
import numpy as np
import pytest
import torch
from astropy.io import fits

from pushforward import cli

RNG = np.random.default_rng(0)
MAPS = RNG.normal(size=(24, 16, 16)).astype(np.float32)
ROWS = RNG.normal(size=(64, 3)).astype(np.float32)


def command(capsys, monkeypatch, *arguments: object) -> tuple[int, str, float]:
    """Exit status, what was said on standard error, and the seconds it took."""
    monkeypatch.setattr(sys, "argv", ["pushforward", *map(str, arguments)])
    start = time.perf_counter()
    status = 0
    try:
        cli.main()
    except SystemExit as stop:
        status = stop.code or 0
    return status, capsys.readouterr().err, time.perf_counter() - start


@pytest.fixture(scope="module")
def trained(tmp_path_factory) -> Path:
    """A real, briefly trained conditional run that the cases below may look at but not change."""
    import pushforward as pf

    folder = tmp_path_factory.mktemp("runs")
    conditions = RNG.uniform(size=(64, 1)).astype(np.float32)
    ensemble = pf.Ensemble.from_array(ROWS, conditions=conditions, names=("mass",))
    pf.fit(ensemble, "realnvp", steps=4, out=folder / "run", progress=False)
    return folder / "run"


@pytest.fixture(scope="module")
def given(tmp_path_factory) -> Path:
    """A briefly trained run whose samples are given with a field, and files beside it."""
    import pushforward as pf

    folder = tmp_path_factory.mktemp("given")
    for name, array in (
        ("maps", MAPS), ("maps2", MAPS[:2]), ("maps8", MAPS[:, ::2, ::2]), ("holes", with_value(MAPS, np.nan))
    ):  # fmt: skip
        save(folder, f"{name}.npy", array)
    small = {"width": 4, "multipliers": [1, 1]}
    ensemble = pf.read(MAPS, condition=MAPS)
    pf.fit(ensemble, steps=1, out=folder / "run", settings=small, progress=False)
    return folder / "run"


def save(folder: Path, name: str, array: np.ndarray) -> Path:
    np.save(folder / name, array)
    return folder / name


def truncated(path: Path, keep: float = 0.5) -> Path:
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * keep)])
    return path


def with_value(array: np.ndarray, value: float) -> np.ndarray:
    spoiled = array.copy()
    spoiled[7, 1] = value
    return spoiled


def truncated_hdf5(folder: Path) -> Path:
    with h5py.File(folder / "maps.h5", "w") as file:
        file["x"] = MAPS
    return truncated(folder / "maps.h5")


def truncated_fits(folder: Path) -> Path:
    fits.writeto(folder / "map.fits", MAPS, overwrite=True)
    return truncated(folder / "map.fits")


def table(folder: Path, name: str, text: str) -> Path:
    (folder / name).write_text(text)
    return folder / name


def disguised_pickle(folder: Path) -> Path:
    (folder / "maps.npy").write_bytes(pickle.dumps({"x": MAPS}))
    return folder / "maps.npy"


def object_array(folder: Path) -> Path:
    np.save(folder / "objects.npy", np.array([{"a": 1}, None], dtype=object), allow_pickle=True)
    return folder / "objects.npy"


DATA = {
    "missing file": (lambda f: f / "nothing.npy", "nothing.npy"),
    "empty glob": (lambda f: f / "*.npy", "no file"),
    "empty folder": (lambda f: f, "no"),
    "unknown ending": (lambda f: table(f, "maps.xyzzy", "1 2 3"), "xyzzy"),
    "scalar array": (lambda f: save(f, "x.npy", np.float32(1.0)), "1 member"),
    "one axis": (lambda f: save(f, "x.npy", np.ones(5, np.float32)), "5 members"),
    "too many axes": (lambda f: save(f, "x.npy", np.ones((3, 1, 2, 2, 2, 2), np.float32)), "shape"),
    "empty array": (lambda f: save(f, "x.npy", np.ones((0, 16, 16), np.float32)), "no members"),
    "complex numbers": (lambda f: save(f, "x.npy", MAPS.astype(np.complex64)), "complex"),
    "strings": (lambda f: save(f, "x.npy", np.array([["a", "b"]] * 20)), "number"),
    "NaN": (lambda f: save(f, "x.npy", with_value(MAPS, np.nan)), "7"),
    "infinity": (lambda f: save(f, "x.npy", with_value(MAPS, np.inf)), "7"),
    "constant": (lambda f: save(f, "x.npy", np.ones_like(MAPS)), "constant"),
    "two members": (lambda f: save(f, "x.npy", MAPS[:2]), "2"),
    "truncated npy": (lambda f: truncated(save(f, "x.npy", MAPS)), "truncated"),
    "truncated npy header": (lambda f: truncated(save(f, "x.npy", MAPS), 0.005), "x.npy"),
    "truncated hdf5": (truncated_hdf5, "maps.h5"),
    "truncated fits": (truncated_fits, "map.fits"),
    "pickle in disguise": (disguised_pickle, "pickle"),
    "object array": (object_array, "object"),
    "text in a table": (lambda f: table(f, "x.csv", "name\nalpha\nbeta\ngamma\n"), "numeric"),
    "ragged table": (lambda f: table(f, "x.csv", "a,b\n1,2\n3,4,5,6\n"), "x.csv"),
}


@pytest.mark.parametrize("case", DATA)
def test_data(case, tmp_path, capsys, monkeypatch):
    make, word = DATA[case]
    status, said, seconds = command(capsys, monkeypatch, "fit", make(tmp_path), "--steps", 5, "--out", tmp_path / "run")
    judge(status, said, seconds, word)
    assert not (tmp_path / "run" / "model.safetensors").exists()


CONDITIONS = {
    "wrong length": (lambda f: save(f, "c.npy", np.ones((23, 2), np.float32)), "23"),
    "missing": (lambda f: f / "c.csv", "c.csv"),
    "not finite": (lambda f: save(f, "c.npy", np.full((24, 1), np.nan, np.float32)), "nan"),
    "constant fields": (lambda f: save(f, "c.npy", np.ones((24, 2, 2), np.float32)), "constant"),
    "fields that do not divide the grid": (lambda f: save(f, "c.npy", np.ones((24, 3, 3), np.float32)), "divide"),
    "fields of another dimension": (lambda f: save(f, "c.npy", np.ones((24, 2, 16, 16, 16), np.float32)), "axes"),
    "too few fields": (lambda f: save(f, "c.npy", MAPS[:23]), "23"),
    "fields with NaN": (lambda f: save(f, "c.npy", with_value(MAPS, np.nan)), "condition field of member 7"),
}


@pytest.mark.parametrize("case", CONDITIONS)
def test_conditions(case, tmp_path, capsys, monkeypatch):
    make, word = CONDITIONS[case]
    maps = save(tmp_path, "maps.npy", MAPS)
    arguments = ("fit", maps, "--condition", make(tmp_path), "--steps", 5, "--out", tmp_path / "run")
    judge(*command(capsys, monkeypatch, *arguments), word)


REQUESTS = {
    "unknown model": (("--model", "relnvp"), "realnvp"),
    "unknown setting": (("--set", "widht=3"), "width"),
    "setting out of range": (("--set", "batch_size=-1"), "batch_size"),
    "setting of the wrong type": (("--set", "learning_rate=fast"), "learning_rate"),
    "family without a denoiser": (("--model", "consistency", "--set", "family=vae"), "vae has no denoiser"),
    "setting without a value": (("--set", "width"), "NAME=VALUE"),
    "setting with an empty value": (("--set", "width="), "NAME=VALUE"),
    "setting given twice": (("--set", "width=8", "--set", "width=9"), "gives width twice"),
    "batch beyond any memory": (("--set", "batch_size=1000000000000"), "batch_size"),
    "steps and budget": (("--budget", "1m"), "one of them"),
    "unreadable budget": (("--steps", None, "--budget", "soon"), "soon"),
    "unknown device": (("--device", "abacus"), "abacus"),
    "unknown precision": (("--precision", "7"), "precision"),
    "crop larger than the field": (("--crop", 64), "64"),
    "unknown configuration": (("--config", "nothing.yaml"), "nothing.yaml"),
}


@pytest.mark.parametrize("case", REQUESTS)
def test_requests(case, tmp_path, capsys, monkeypatch):
    extra, word = REQUESTS[case]
    arguments = ["fit", save(tmp_path, "maps.npy", MAPS), "--out", tmp_path / "run"]
    arguments += extra[2:] if extra[:2] == ("--steps", None) else ["--steps", 5, *extra]
    judge(*command(capsys, monkeypatch, *arguments), word)


def test_unknown_built_in_set(capsys, monkeypatch):
    judge(*command(capsys, monkeypatch, "fit", "two-moonz"), "two-moons")


def test_unknown_simulator_and_option(tmp_path, capsys, monkeypatch):
    output = ("-n", 5, "-o", tmp_path / "x.npy")
    judge(*command(capsys, monkeypatch, "simulate", "two-moonz", *output), "two-moons")
    judge(*command(capsys, monkeypatch, "simulate", "two-moons", *output, "--nois", 3), "noise")


@pytest.mark.parametrize("option", ["data.colour=1", "data.coupling=big"])
def test_options_of_an_energy(option, tmp_path, capsys, monkeypatch):
    arguments = ("fit", "phi4", "--from", "energy", "--model", "realnvp", "--out", tmp_path / "run", "--set", option)
    judge(*command(capsys, monkeypatch, *arguments), "the energy phi4")


def test_output_that_cannot_be_written(tmp_path, trained, capsys, monkeypatch):
    judge(*command(capsys, monkeypatch, "sample", trained, "-n", 2, "-o", tmp_path / "no" / "x.npy"), "x.npy")
    judge(*command(capsys, monkeypatch, "sample", trained, "-n", 2, "-o", tmp_path / "x.docx"), "docx")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full, a device that is always full")
def test_full_disk(tmp_path, capsys, monkeypatch):
    def refuse(*_: object) -> None:
        raise OSError(28, "No space left on device", str(tmp_path))

    monkeypatch.setattr(os, "fsync", refuse)
    arguments = ("fit", save(tmp_path, "maps.npy", MAPS), "--steps", 5, "--out", tmp_path / "run")
    judge(*command(capsys, monkeypatch, *arguments), "space")


def test_output_folder_that_is_a_file(tmp_path, capsys, monkeypatch):
    occupied = table(tmp_path, "run", "mine")
    arguments = ("fit", save(tmp_path, "maps.npy", MAPS), "--steps", 5, "--out", occupied)
    judge(*command(capsys, monkeypatch, *arguments), "run")
    assert occupied.read_text() == "mine"


def test_a_finished_run_is_not_overwritten(tmp_path, trained, capsys, monkeypatch):
    run = shutil.copytree(trained, tmp_path / "run")
    before = (run / "model.safetensors").read_bytes()
    arguments = ("fit", save(tmp_path, "maps.npy", MAPS), "--steps", 5, "--out", run)
    judge(*command(capsys, monkeypatch, *arguments), "resume")
    assert (run / "model.safetensors").read_bytes() == before


def test_resuming_the_run_of_another_model(tmp_path, trained, capsys, monkeypatch):
    run = shutil.copytree(trained, tmp_path / "run")
    before = (run / "checkpoint.safetensors").read_bytes()
    arguments = ("fit", save(tmp_path, "maps.npy", MAPS), "--model", "vae", "--steps", 9, "--out", run, "--resume")
    judge(*command(capsys, monkeypatch, *arguments), "realnvp")
    assert (run / "checkpoint.safetensors").read_bytes() == before


def flip_a_byte(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[-5] ^= 0xFF
    path.write_bytes(bytes(content))


SPOILED = {
    "no run": (lambda run: shutil.rmtree(run), "run"),
    "a folder of something else": (lambda run: [path.unlink() for path in run.iterdir() if path.is_file()], "run"),
    "a corrupted checkpoint": (lambda run: flip_a_byte(run / "model.safetensors"), "model.safetensors"),
    "a truncated checkpoint": (lambda run: truncated(run / "model.safetensors"), "model.safetensors"),
    "an unreadable configuration": (lambda run: (run / "config.yaml").write_text("{[}"), "config.yaml"),
    "a pickle in disguise": (lambda run: torch.save({"a": 1}, run / "model.safetensors"), "model.safetensors"),
}


@pytest.mark.parametrize("case", SPOILED)
def test_runs(case, tmp_path, trained, capsys, monkeypatch):
    spoil, word = SPOILED[case]
    run = shutil.copytree(trained, tmp_path / "run")
    spoil(run)
    judge(*command(capsys, monkeypatch, "sample", run, "-n", 2, "-o", tmp_path / "x.npy"), word)
    assert not (tmp_path / "x.npy").exists()


ASKED = {
    "unknown condition": (("sample", "-n", 2, "--condition", "weight=1"), "mass"),
    "condition without a value": (("sample", "-n", 2, "--condition", "mass"), "NAME=VALUE"),
    "condition that is no number": (("sample", "-n", 2, "--condition", "mass=heavy"), "mass"),
    "unknown sampling setting": (("sample", "-n", 2, "--set", "stepz=3"), "stepz"),
}


GIVEN = {
    "no field": (("sample", "-n", 2), "field"),
    "another grid": (("sample", "--condition", "maps8.npy"), "shape"),
    "no such file": (("sample", "--condition", "nothing.npy"), "nothing.npy"),
    "more samples than fields": (("sample", "-n", 5, "--condition", "maps2.npy"), "2 condition fields"),
    "fields with NaN": (("sample", "--condition", "holes.npy"), "NaN"),
    "score without fields": (("score", "maps.npy"), "field"),
}


@pytest.mark.parametrize("case", GIVEN)
def test_condition_fields_of_a_run(case, given, tmp_path, capsys, monkeypatch):
    (verb, *rest), word = GIVEN[case]
    monkeypatch.chdir(given.parent)
    judge(*command(capsys, monkeypatch, verb, given, *rest, "-o", tmp_path / "x.npy"), word)


def test_a_model_that_takes_no_field(given, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(given.parent)
    arguments = ("fit", "maps.npy", "--condition", "maps.npy", "--model", "wgan-gp", "--out", tmp_path / "run")
    judge(*command(capsys, monkeypatch, *arguments), "flow-matching")


def test_validation_without_the_fields(given, capsys, monkeypatch):
    monkeypatch.chdir(given.parent)
    judge(*command(capsys, monkeypatch, "validate", given, "maps.npy"), "--condition")


@pytest.mark.parametrize("case", ASKED)
def test_samples(case, tmp_path, trained, capsys, monkeypatch):
    (verb, *rest), word = ASKED[case]
    judge(*command(capsys, monkeypatch, verb, trained, *rest, "-o", tmp_path / "x.npy"), word)


def test_data_of_another_shape_than_the_run(tmp_path, trained, capsys, monkeypatch):
    maps = save(tmp_path, "maps.npy", MAPS)
    judge(*command(capsys, monkeypatch, "validate", trained, maps), "shape")
    judge(*command(capsys, monkeypatch, "score", trained, maps, "-o", tmp_path / "s.npy"), "shape")


def test_an_ability_that_the_model_lacks(tmp_path, trained, capsys, monkeypatch):
    rows = save(tmp_path, "rows.npy", ROWS)
    judge(
        *command(capsys, monkeypatch, "translate", trained, rows, "--to", "a", "-o", tmp_path / "t.npy"),
        "cannot translate",
    )


TEACHERS = {
    "missing": (lambda run, data: (data, run.parent / "none"), "there is no run"),
    "half a run": (lambda run, data: (data, [(run / "model.safetensors").unlink(), run][1]), "model.safetensors"),
    "of another space": (lambda run, data: (save(run.parent, "maps.npy", MAPS), run), "Vector"),
    "of other conditions": (lambda run, data: (save(run.parent, "rows.npy", ROWS), run), "mass"),
    "without a denoiser": (lambda run, data: (data, run), "realnvp has no denoiser"),
}


@pytest.mark.parametrize("case", TEACHERS)
def test_teachers(case, tmp_path, trained, capsys, monkeypatch):
    spoil, word = TEACHERS[case]
    rows = table(tmp_path, "c.csv", "mass\n" + "0.5\n0.6\n" * 32)
    data, teacher = spoil(shutil.copytree(trained, tmp_path / "run"), save(tmp_path, "x.npy", ROWS))
    given = ("--condition", rows) if data.name == "x.npy" else ()
    arguments = ("fit", data, *given, "--set", f"teacher={teacher}", "--steps", 5, "--out", tmp_path / "student")
    judge(*command(capsys, monkeypatch, *arguments, "--model", "consistency"), word)
    word = "does not move Gaussian noise" if case == "without a denoiser" else word
    judge(*command(capsys, monkeypatch, *arguments, "--model", "flow-matching"), word)
    assert command(capsys, monkeypatch, *arguments, "--model", "vae")[0] == 2
    assert not (tmp_path / "student").exists()


def test_compare_of_no_models(tmp_path, capsys, monkeypatch):
    maps = save(tmp_path, "maps.npy", MAPS)
    judge(*command(capsys, monkeypatch, "compare", maps, "--models", " , ", "--out", tmp_path / "c"), "--models")
    judge(*command(capsys, monkeypatch, "compare", maps, "--models", "ddpm,nope", "--out", tmp_path / "c"), "nope")


def judge(status: int, said: str, seconds: float, word: str) -> None:
    assert status == 2, f"exit status {status}, and it said: {said}"
    assert "Traceback" not in said
    # what was recognised of the data may be told first; the answer is one line, and the last
    *notes, answer = said.strip().splitlines()
    assert answer.startswith("pushforward: "), f"one sentence expected, not: {said}"
    assert not any(note.startswith("pushforward: ") for note in notes), f"one sentence expected, not: {said}"
    assert word.lower() in answer.lower(), f"{word!r} should be in: {answer}"
    assert seconds < 20, f"the answer took {seconds:.0f} s"
