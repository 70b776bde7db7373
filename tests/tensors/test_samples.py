"""Samples know their Space: statistics of them measure lengths in its box."""

from __future__ import annotations

import copy
import io

import numpy as np
import pytest
import torch

import pushforward as pf
from pushforward.spaces import Field, Particles
from pushforward.tensors.samples import Samples

SPACE = Field(1, (8, 8), periodic=True, box=25.0)
X = Samples.of(torch.randn(6, 1, 8, 8, generator=torch.Generator().manual_seed(0)), SPACE)

KEPT = {
    "slice": lambda x: x[:2],
    "mask": lambda x: x[torch.arange(6) > 2],
    "logarithm": lambda x: x.abs().log(),
    "arithmetic": lambda x: 1 - 2 * x,
    "with a plain tensor": lambda x: torch.ones(6, 1, 8, 8) + x,
    "joined": lambda x: torch.cat([x, x]),
    "parts": lambda x: x.split(2)[1],
    "double": lambda x: x.double(),
    "copy": copy.deepcopy,
}
PLAIN = {
    "mean": lambda x: x.mean(),
    "one of them": lambda x: x[0],
    "channel taken out": lambda x: x[:, 0],
    "comparison": lambda x: x > 0,
    "transform": torch.fft.rfftn,
    "largest": lambda x: x.flatten(1).max(1).values,
}


@pytest.mark.parametrize("name", KEPT)
def test_what_has_the_shape_of_samples_knows_their_space(name):
    assert KEPT[name](X).box == 25.0
    assert torch.equal(KEPT[name](X).as_subclass(torch.Tensor), KEPT[name](X.as_subclass(torch.Tensor)))


@pytest.mark.parametrize("name", PLAIN)
def test_anything_else_is_a_plain_tensor(name):
    assert type(PLAIN[name](X)) is torch.Tensor


def test_they_are_stored_as_plain_tensors():
    torch.save(X, file := io.BytesIO())
    file.seek(0)
    again = torch.load(file)
    assert type(again) is torch.Tensor
    assert torch.equal(again, X)


def test_statistics_measure_lengths_in_their_box():
    plain = X.as_subclass(torch.Tensor)
    st = pf.statistics
    for statistic in (st.power_spectrum, st.quadrupole, st.bispectrum):
        assert torch.equal(statistic(X).k, statistic(plain, box=25.0).k)
        assert torch.equal(statistic(X, box=8.0).k, statistic(plain, box=8.0).k)
    crowd = Samples.of(torch.rand(6, 5, 3), Particles(5, 3, box=1.0))
    assert torch.equal(st.pair_distances(crowd), st.pair_distances(crowd.as_subclass(torch.Tensor), box=1.0))


def test_samples_and_members_carry_their_box(tmp_path):
    maps = pf.read(np.random.default_rng(0).normal(size=(40, 8, 8)), box=25.0, periodic=True)
    emulator = pf.fit(maps, "flow-matching", steps=1, out=tmp_path / "run", progress=False)
    drawn = emulator.sample(3)
    assert (drawn.box, drawn.space, maps.tensor().box) == (25.0, maps.space, 25.0)
    assert torch.equal(pf.statistics.power_spectrum(drawn).k, pf.statistics.power_spectrum(maps.test.tensor()).k)
    assert torch.equal(emulator.sample(3, seed=emulator.seed), drawn)
