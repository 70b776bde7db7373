"""Numbers with a large offset are judged as they would be without it."""

from __future__ import annotations

import numpy as np
import pytest

import pushforward as pf


def test_verdicts_do_not_depend_on_an_offset(tmp_path):
    x = np.random.default_rng(0).normal(size=(1000, 2))
    values = []
    for number, offset in enumerate((0, 2**30)):
        ensemble = pf.read(x + offset)
        emulator = pf.fit(ensemble, "realnvp", steps=20, seed=1, progress=False, out=tmp_path / str(number))
        verdicts = pf.validate(emulator, ensemble.test).to_dict()["verdicts"]
        values.append({each["statistic"]: each["value"] for each in verdicts})
    assert values[0] == pytest.approx(values[1], rel=0.02, abs=0.02)
