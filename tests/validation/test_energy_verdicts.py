"""Verdicts by a known energy: a perfect model, and one whose density is that of another temperature."""

import numpy as np
import pytest
import torch
from stand_ins import StandIn

from pushforward.energies import double_well
from pushforward.energies.weights import reweight
from pushforward.ensembles import Ensemble
from pushforward.simulate.boltzmann import BoltzmannDensity
from pushforward.validation.energies import energy_statistics, judge_weights
from pushforward.validation.gather import gather
from pushforward.validation.measure import measure

ENERGY = double_well()


@pytest.fixture(scope="module")
def members():
    x = ENERGY.sample(1600, seed=0).numpy().astype(np.float32)
    return Ensemble.from_array(x, space=ENERGY.space, name="dw4", exact=BoltzmannDensity(ENERGY))


class Boltzmann(StandIn):
    """Draws members of the energy, stretched by a factor, with the density that they then have."""

    def __init__(self, ensemble, stretch=1.0):
        pool = torch.from_numpy(ensemble.take(np.arange(len(ensemble)))) * stretch
        self.stretch = stretch
        super().__init__(
            ensemble,
            lambda n, c, rng: pool[rng.choice(len(pool), n, replace=False)].numpy(),
            ("density", "joint"),
            lambda x: self.density(torch.from_numpy(x)),
        )

    def density(self, x):
        return ENERGY.log_density(x.double() / self.stretch) - 6 * np.log(self.stretch)

    def reweight(self, n, *, energy, seed):
        x = self.sample(n, seed=seed)
        return reweight(energy, x.double(), self.density(x))


@pytest.fixture(scope="module")
def verdicts(members):
    def of(stretch):
        model = Boltzmann(members.train, stretch)
        data = gather(model, members.test, watch=lambda *_: None)
        found = measure(data, energy_statistics(data))
        assert not found.failures
        return {verdict.statistic: verdict for verdict in [*found.verdicts, *judge_weights(data, model)]}

    return {stretch: of(stretch) for stretch in (1.0, 1.05)}


def test_a_perfect_model_keeps_all_of_its_samples(verdicts):
    assert verdicts[1.0]["ess"].value == pytest.approx(100, abs=1e-3)
    assert "log_z" not in verdicts[1.0], "equal weights have no error to judge ln Z by"
    assert verdicts[1.0]["energies"].verdict == "at the floor"


def test_a_stretched_model_has_other_energies_and_unequal_weights(verdicts):
    assert verdicts[1.05]["energies"].verdict == "off"
    assert verdicts[1.05]["ess"].value < 60
    log_z = verdicts[1.05]["log_z"]
    assert abs(log_z.value - ENERGY.facts.log_z) < 4 * log_z.error, "weights are unbiased whatever the model"
