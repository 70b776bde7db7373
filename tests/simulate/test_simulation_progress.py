"""Simulations that take more than a few seconds tell how long the rest will take."""

import time

import pytest

from pushforward.simulate import progress


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
