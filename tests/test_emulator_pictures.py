"""Training curves and pictures of an emulator."""

from __future__ import annotations

import io

import numpy as np
import pytest

import pushforward as pf
from pushforward.emulator_pictures import picture
from pushforward.errors import UsageError
from pushforward.spaces import Field, Particles, Series, Trajectory, Vector

SPACES = [
    Vector(1),
    Vector(3, ("a", "b", "c")),
    Field(1, (8,)),
    Field(2, (8, 8)),
    Field(1, (6, 6, 6)),
    Particles(5, 3),
    Particles(5, 1),
    Series(2, 12),
    Series(1, 12, timed=True),
    Trajectory(4, 3, (0.0, 1.0)),
]


@pytest.mark.parametrize("space", SPACES, ids=lambda space: f"{space.kind}{space.shape}")
def test_samples_of_every_kind_are_drawn(space):
    samples = np.random.default_rng(0).normal(size=(4, *space.shape)).astype(np.float32)
    figure = picture(space, samples, None, "four samples")
    figure.savefig(content := io.BytesIO(), dpi=40)
    assert len(content.getvalue()) > 1000
    assert figure.axes


def test_losses_are_those_that_were_logged(tmp_path):
    emulator = pf.fit("two-moons", "realnvp", steps=7, out=tmp_path / "run", progress=False, settings={"log_every": 0})
    with (tmp_path / "run" / "metrics.jsonl").open("ab") as file:
        file.write(b'\xff{"step": 8, "model/lo')
    for each in (emulator, pf.Emulator.load(tmp_path / "run")):
        assert each.losses.index.tolist() == list(range(1, 8))
        assert np.isfinite(each.losses["model/loss"]).all()
        figure = each.plot(20)
        assert [axes.get_xlabel() for axes in figure.axes] == ["step", "x"]
    (tmp_path / "run" / "metrics.jsonl").unlink()
    assert len(emulator.plot(20).axes) == 1
    with pytest.raises(UsageError, match="there are no training curves"):
        _ = emulator.losses
