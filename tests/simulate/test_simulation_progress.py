"""Simulations that take more than a few seconds tell how long the rest will take."""

import time

import pytest

from pushforward.simulate import progress, simulate


@pytest.mark.parametrize("patience", [0.02, 10.0])
def test_long_simulations_tell_what_is_left(capsys, monkeypatch, patience):
    monkeypatch.setattr(progress, "_PATIENCE_SECONDS", patience)
    seen = []
    for step in progress.shown("cubes")(range(20)):
        time.sleep(0.005)
        seen.append(step)
    assert seen == list(range(20))
    told = capsys.readouterr().err
    assert (told == "") if patience == 10.0 else ("of 20 simulated, about" in told)


LONG = {
    "cosmic-web": (36, {"grid": 16}),
    "cosmic-gas": (24, {"grid": 16}),
    "field-pairs": (24, {"grid": 16}),
    "cosmic-cubes": (2, {"grid": 8}),
    "n-body": (2, {"particles": 4, "mesh": 8}),
    "ising": (9, {"length": 4}),
    "phi4": (8, {"length": 4}),
}


@pytest.mark.parametrize("name", LONG)
def test_a_new_seed_of_a_long_simulation_is_not_silent(capsys, monkeypatch, tmp_path, name):
    monkeypatch.setattr(progress, "_PATIENCE_SECONDS", 0.0)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    count, options = LONG[name]
    simulate(name, count, seed=4711, **options)
    assert " simulated, about " in capsys.readouterr().err
