"""Variational dequantisation: a density of places within cells, and a closer bound on probabilities."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

import pushforward as pf
from pushforward.errors import UsageError
from pushforward.models import Batch, model_class
from pushforward.models.dequantisation import Dequantiser
from pushforward.randomness import Draws
from pushforward.spaces import Field, Vector

CELLS = ((-1.5, -0.5, 0.5, 1.5), (), (-1.0, 0.0, 1.0))
SPACES = {"vector": Vector(3), "field": Field(3, (2, 2))}
spaces = pytest.mark.parametrize("space", SPACES.values(), ids=SPACES)


def built(space, condition_dim=2):
    torch.manual_seed(0)
    dequantiser = Dequantiser(space, condition_dim, CELLS)
    for parameter in dequantiser.parameters():
        parameter.data.add_(0.1 * torch.randn_like(parameter))
    return dequantiser.double()


def drawn(space, count):
    x, u = torch.randn(count, *space.shape).double(), torch.rand(count, *space.shape).double()
    return x, 0.02 + 0.96 * u, torch.randn(count, 2).double()


@spaces
def test_the_density_of_places_is_that_of_autograd(space):
    dequantiser = built(space)
    x, u, numbers = drawn(space, 4)
    places, log_q = dequantiser.places(x, u, numbers)
    assert torch.equal(places[:, 1], u[:, 1]), "places of continuous channels are not touched"
    assert places[:, [0, 2]].min() > 0
    assert places[:, [0, 2]].max() < 1
    for row in range(4):
        one = slice(row, row + 1)
        jacobian = torch.autograd.functional.jacobian(
            lambda u, one=one: dequantiser.places(x[one], u, numbers[one])[0], u[one]
        )
        determinant = torch.linalg.slogdet(jacobian.reshape(space.size, space.size))[1]
        torch.testing.assert_close(-determinant, log_q[row], atol=1e-4, rtol=0)


@spaces
def test_values_stay_in_their_cells_and_the_place_in_the_cell_does_not_matter(space):
    dequantiser = built(space)
    x, u, numbers = drawn(space, 50)
    spread, log_q, log_volume = dequantiser.spread(x, u, numbers)
    assert torch.equal(spread[:, 1], x[:, 1])
    for number in (0, 2):
        edges = torch.tensor(CELLS[number]).double()
        cell = [torch.bucketize(y[:, number].contiguous(), edges[1:-1]) for y in (x, spread)]
        assert torch.equal(*cell)
    x[:, [0, 2]] = spread[:, [0, 2]]
    again = dequantiser.spread(x, u, numbers)
    torch.testing.assert_close(again, (spread, log_q, log_volume), atol=1e-9, rtol=0)
    assert log_volume.abs().max() < 1e-9, "all cells are of length one"


@spaces
def test_places_are_uniform_before_training(space):
    dequantiser = Dequantiser(space, 0, CELLS).double()
    x, u, _ = drawn(space, 5)
    places, log_q = dequantiser.places(x, u, None)
    torch.testing.assert_close(places, u, atol=1e-5, rtol=0)
    torch.testing.assert_close(log_q, torch.zeros_like(log_q), atol=1e-9, rtol=0)


def test_the_mean_weight_of_places_is_the_probability_of_the_cell():
    """In one dimension the integral over a cell is done by quadrature."""
    torch.manual_seed(0)
    kind = model_class("nsf")
    settings = kind.Settings(dequantisation="variational", cells=CELLS[:1], couplings=2, width=16)
    model = kind(Vector(1), settings=settings)
    for parameter in model.parameters():
        parameter.data.add_(0.3 * torch.randn_like(parameter))
    x = torch.zeros(20_000, 1)
    with torch.no_grad():
        u, log_q = model.places(x, torch.rand(20_000, 1))
        weights = (model.log_prob(u - 0.5) - log_q).exp()
        exact = model.log_prob(torch.linspace(-0.5, 0.5, 20_001)[:, None]).exp().mean()
    assert weights.mean() == pytest.approx(float(exact), rel=5 * float(weights.std() / weights.mean()) / 141)


def spins(count, seed):
    """Four spins in a row, each like the one before with probability .9: entropy ln 2 + 3 H(.1)."""
    rng = np.random.default_rng(seed)
    first, flips = rng.integers(0, 2, (count, 1)), rng.random((count, 3)) < 0.1
    return 2.0 * (np.concatenate([first, flips], 1).cumsum(1) % 2) - 1


ENTROPY = math.log(2) - 3 * (0.1 * math.log(0.1) + 0.9 * math.log(0.9))


def test_the_bound_of_spins_is_closer_to_their_entropy(tmp_path):
    bounds = {}
    for way in ("uniform", "variational"):
        settings = {"couplings": 3, "width": 24, "batch_size": 256, "dequantisation": way}
        emulator = pf.fit(
            pf.read(spins(8000, 0), space="vector"), "realnvp", steps=150, settings=settings, out=tmp_path / way,
            device="cpu", progress=False,
        )  # fmt: skip
        bounds[way] = -float(emulator.log_prob(spins(4000, 1)).mean())
        assert set(emulator.sample(200, seed=0).unique().tolist()) == {-1.0, 1.0}
    assert ENTROPY - 0.03 < bounds["variational"] < bounds["uniform"] - 0.1
    again = pf.Emulator.load(tmp_path / "variational")
    assert -float(again.log_prob(spins(4000, 1)).mean()) == pytest.approx(bounds["variational"], abs=1e-4)
    assert again.losses["model/bits_per_dim"].iloc[-1] * 4 * math.log(2) > ENTROPY - 0.1


@pytest.mark.parametrize("name", ["nsf", "glow", "tarflow", "trenf"])
def test_fields_of_grey_levels(name):
    kind, space = model_class(name), Field(1, (4, 4), periodic=name == "trenf")
    model = kind(space, settings=kind.Settings(dequantisation="variational", cells=(CELLS[0],)))
    x = torch.randint(-1, 2, (8, *space.shape)).float()
    model.prepare(Batch(x, None, Draws(0, 8)))
    turn = next(model.turns(iter([Batch(x, None, Draws(1, 8))])))
    turn.loss.backward()
    assert turn.logs["bits_per_dim"].isfinite()
    assert all(parameter.grad is not None for parameter in model.dequantiser.parameters())


def test_data_without_discrete_values_are_refused(tmp_path):
    with pytest.raises(UsageError, match="dequantisation=variational needs a channel with 2 to 256 discrete values"):
        pf.fit("two-moons", "nsf", steps=1, settings={"dequantisation": "variational"}, out=tmp_path / "run")
