"""Flows of tables with angles: no step in the density where the circle is cut, samples on the circle."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest
import torch
from scipy.special import i0

import pushforward as pf
from pushforward.models import model_class
from pushforward.spaces import Vector

FLOWS = {
    "realnvp": {},
    "nsf": {},
    "nsf-autoregressive": {"conditioner": "autoregressive"},
    "maf": {},
    "iaf": {},
}
flows = pytest.mark.parametrize("name", FLOWS)
CIRCLES = ((0, 0.3, 1.7), (2, -0.2, 2.0))


def built(name, dim=4, circles=CIRCLES, **settings):
    kind = model_class(name.partition("-")[0])
    sizes = {key: 3 for key in ("couplings", "transforms") if key in kind.Settings.model_fields}
    torch.manual_seed(0)
    settings = kind.Settings(**{**sizes, "width": 16, "circles": circles, **FLOWS[name], **settings})
    model = kind(Vector(dim), settings=settings)
    for parameter in model.parameters():
        parameter.data.add_(0.2 * torch.randn_like(parameter))
    return model.double()


@flows
def test_the_density_is_continuous_around_every_circle_and_periodic(name):
    model = built(name)
    x = torch.randn(30, 4, dtype=torch.float64)
    for column, centre, half in CIRCLES:
        low, high, turned = x.clone(), x.clone(), x.clone()
        low[:, column], high[:, column] = centre - half + 1e-7, centre + half - 1e-7
        turned[:, column] += 2 * half
        with torch.no_grad():
            torch.testing.assert_close(model.log_prob(low), model.log_prob(high), atol=1e-3, rtol=0)
            torch.testing.assert_close(model.log_prob(turned), model.log_prob(x), atol=1e-3, rtol=0)


@flows
def test_codes_come_back_and_samples_are_on_the_circle(name):
    model = built(name)
    z = torch.randn(300, 4, dtype=torch.float64)
    with torch.no_grad():
        x = model.decode(z)
        torch.testing.assert_close(model.encode(x), z, atol=1e-7, rtol=0)
    for column, centre, half in CIRCLES:
        assert (x[:, column] - centre).abs().max() <= half * (1 + 1e-6)


@flows
def test_a_density_on_a_circle_and_a_line_integrates_to_one(name):
    model = built(name, dim=2, circles=((1, 0.0, 1.7),))
    line, circle = torch.linspace(-12, 12, 1201).double(), (torch.arange(200).double() + 0.5) / 200 * 3.4 - 1.7
    x = torch.cartesian_prod(line, circle)
    with torch.no_grad():
        total = model.log_prob(x).exp().sum() * (line[1] - line[0]) * (circle[1] - circle[0])
    assert total == pytest.approx(1, abs=2e-3)


@pytest.mark.parametrize("name", ["nsf", "maf"])
def test_an_angle_alone(name):
    model = built(name, dim=1, circles=((0, 0.0, 1.7),))
    circle = (torch.arange(500).double() + 0.5) / 500 * 3.4 - 1.7
    with torch.no_grad():
        assert model.log_prob(circle[:, None]).exp().mean() * 3.4 == pytest.approx(1, abs=1e-4)


def table(count, seed):
    """An angle in degrees about a broad maximum, and a number that follows its cosine."""
    rng = np.random.default_rng(seed)
    phi = rng.vonmises(math.pi / 2, 0.7, count)
    height = np.cos(phi) + 0.3 * rng.normal(size=count)
    return pd.DataFrame({"phi": np.degrees(phi) % 360, "height": height})


def exact(data):
    phi = np.radians(data["phi"].to_numpy())
    of_angle = 0.7 * np.cos(phi - math.pi / 2) - np.log(360 * i0(0.7))
    deviation = (data["height"].to_numpy() - np.cos(phi)) / 0.3
    return of_angle - 0.5 * deviation**2 - math.log(0.3 * math.sqrt(2 * math.pi))


def test_a_table_with_an_angle_is_learned_across_the_cut(tmp_path):
    table(20_000, 0).to_csv(tmp_path / "table.csv", index=False)
    data = pf.read(tmp_path / "table.csv")
    emulator = pf.fit(
        data, "nsf", steps=250, settings={"couplings": 3, "width": 48}, out=tmp_path / "run", device="cpu",
        progress=False,
    )  # fmt: skip
    fresh = table(5000, 1)
    gap = exact(fresh) - emulator.log_prob(fresh.to_numpy()).numpy()
    assert -0.02 < gap.mean() < 0.06, "nats above the entropy"
    cut = emulator.preprocessing.supports.supports[0].cut
    near = [[(cut + side * 1e-3) % 360, height] for height in (-1.0, 0.0, 1.0) for side in (-1, 1)]
    below, above = emulator.log_prob(near).view(3, 2).unbind(1)
    torch.testing.assert_close(below, above, atol=0.02, rtol=0)
    samples = emulator.sample(4000, seed=0)
    assert samples[:, 0].min() >= 0
    assert samples[:, 0].max() < 360
    again = pf.Emulator.load(tmp_path / "run")
    torch.testing.assert_close(again.log_prob(near), emulator.log_prob(near))
