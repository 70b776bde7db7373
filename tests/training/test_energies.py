"""A model that learns an energy without a single sample of it."""

from __future__ import annotations

import math
from collections.abc import Iterator

import pytest
import torch
from torch import nn

import pushforward as pf
from pushforward.conditions import ConditionSpace
from pushforward.ensembles.energy_source import EnergySource, Rescaled
from pushforward.errors import DataError, TrainingError, UsageError
from pushforward.models import REGISTRY, Batch, EnergyBatch, Family, Turn

NOTHING = ConditionSpace()


class Normal(pf.Model):
    """A diagonal normal distribution, which reverse divergence fits to a diagonal normal target exactly."""

    def __init__(self, space, condition=NOTHING, settings=None):
        super().__init__(space, condition, settings)
        self.centre, self.log_width = nn.Parameter(torch.zeros(space.size)), nn.Parameter(torch.zeros(space.size))

    @classmethod
    def training_defaults_for(cls, space):
        return {"learning_rate": 0.05, "batch_size": 64}

    def turns(self, batches: Iterator[Batch]) -> Iterator[Turn]:
        batch = next(batches)
        assert isinstance(batch, EnergyBatch)
        x, log_prob = self.sample_and_log_prob(batch.draws)
        yield Turn("model", (log_prob + batch.energy(x)).mean(), {})

    def sample_and_log_prob(self, draws, condition=None, sampling=None):
        noise = draws.normal(self.space.size)
        x = self.centre + self.log_width.exp() * noise
        log_prob = -(0.5 * noise.square() + 0.5 * math.log(2 * math.pi) + self.log_width).sum(1)
        return x.reshape(-1, *self.space.shape), log_prob

    def sample(self, draws, condition=None, sampling=None):
        return self.sample_and_log_prob(draws)[0]


@pytest.fixture(autouse=True)
def _known():
    REGISTRY["toy-normal"] = Family(Normal, "a normal distribution", sources=("energy",))
    yield
    del REGISTRY["toy-normal"]


WIDTHS, CENTRE = torch.tensor([0.5, 2.0, 1.0]), torch.tensor([3.0, -1.0, 0.0])
LOG_Z = 1.5 * math.log(2 * math.pi) + math.log(1.0)


def target(**options) -> pf.Energy:
    def action(x):
        return 0.5 * ((x - CENTRE.to(x)) / WIDTHS.to(x)).square().sum(1)

    return pf.Energy(action, pf.Vector(3), name="target", **options)


def test_the_energy_of_network_units_has_the_normalisation_of_the_users_units():
    source = EnergySource(target(location=1.0, scale=3.0))
    preprocessing = source.preprocessing({})
    batches, ready = source.batches(preprocessing, shard(), 0, augmented=False, device=torch.device("cpu"))
    batch = batches(1)
    assert ready
    assert len(batch.x) == 0
    axis = torch.linspace(-4, 4, 81, dtype=torch.float64)
    grid = torch.cartesian_prod(axis, axis, axis)
    mass = (-batch.energy(grid)).exp().sum() * (axis[1] - axis[0]) ** 3
    assert float(mass.log()) == pytest.approx(LOG_Z, abs=0.01)
    x = torch.randn(5, 3)
    torch.testing.assert_close(preprocessing.inverse(preprocessing(x)), x)
    assert preprocessing.log_abs_det(x)[0] == pytest.approx(-3 * math.log(3.0))


def shard():
    from pushforward.ensembles.batching import Shard

    return Shard(16)


def test_samples_follow_the_energy_by_their_weights(tmp_path):
    emulator = pf.fit(target(scale=2.0), "toy-normal", steps=400, out=tmp_path / "run", progress=False)
    weighted = emulator.reweight(2000, seed=1)
    assert weighted.samples.shape == (2000, 3)
    assert weighted.ess > 1900
    assert weighted.log_z == pytest.approx(LOG_Z, abs=5 * weighted.log_z_error + 1e-3)
    again = pf.Emulator.load(tmp_path / "run")
    with pytest.raises(UsageError, match="has no energy of its own"):
        again.reweight(10)
    assert torch.equal(again.reweight(2000, energy=target(), seed=1).log_weights, weighted.log_weights)


def test_a_run_is_resumed_with_the_same_energy_only(tmp_path):
    options = {"model": "toy-normal", "out": tmp_path / "run", "progress": False}
    pf.fit(target(), steps=3, **options)
    other = pf.Energy(lambda x: x.square().sum(1), pf.Vector(3), name="target")
    with pytest.raises(TrainingError, match="other data"):
        pf.fit(other, steps=6, resume=True, **options)
    pf.fit(target(), steps=6, resume=True, **options)


def test_energies_that_cannot_be_learnt_are_refused(tmp_path):
    with pytest.raises(UsageError, match="flow-matching learns from an ensemble"):
        pf.fit(target(), "flow-matching", steps=1, out=tmp_path / "run", progress=False)
    far = pf.Energy(lambda x: 1 / (x.sum(1) - x.sum(1)), pf.Vector(3), name="nowhere")
    with pytest.raises(DataError, match="not finite at any of 16"):
        pf.fit(far, "toy-normal", steps=1, out=tmp_path / "run", progress=False)
    assert not (tmp_path / "run").exists()


def test_a_rescaling_comes_back_from_plain_values():
    made = Rescaled(pf.Particles(4, 2, centred=True), 0.0, 2.0)
    again = Rescaled.from_dict(made.to_dict())
    again.load_state_dict(made.state_dict())
    x = torch.randn(3, 4, 2)
    assert torch.equal(again(x), made(x))
    assert made.log_abs_det(x)[0] == pytest.approx(-6 * math.log(2.0)), "centred particles have (N - 1) d degrees"
