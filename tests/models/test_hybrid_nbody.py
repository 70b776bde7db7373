"""A coarse simulation learns from a finer one, and does better on a universe that it has not seen."""

import numpy as np
import pytest
import torch

from pushforward.conditions import Condition, ConditionSpace
from pushforward.ensembles import Parameter
from pushforward.errors import UsageError
from pushforward.models.hybrid_nbody import HybridNBody
from pushforward.models.model import Batch
from pushforward.randomness import Draws
from pushforward.simulate import simulate
from pushforward.spaces import Particles, Trajectory
from pushforward.statistics import power_spectrum
from pushforward.validation.evolution import compare_trajectories

OPTIONS = {"particles": 12, "box": 24.0, "times": 3, "steps": 8}
SETTINGS = {"coarse_steps": 3, "Omega_m": 0.3}


@pytest.fixture(scope="module")
def fine(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))
        return simulate("n-body", 4, seed=3, **OPTIONS)


def model_for(fine, **settings):
    torch.manual_seed(0)
    return HybridNBody(fine.space, settings=HybridNBody.Settings(**SETTINGS | settings))


def batch_of(fine, row):
    return Batch(torch.from_numpy(fine.x[row : row + 1]), None, Draws(0, 1))


def train(model, fine, rows, steps):
    optimiser = torch.optim.Adam(model.parameters(), lr=0.01)
    losses = []
    for step in range(steps):
        (turn,) = model.turns(iter([batch_of(fine, rows[step % len(rows)])]))
        optimiser.zero_grad()
        turn.loss.backward()
        optimiser.step()
        losses.append(turn.loss.item())
    return losses


@pytest.fixture(scope="module")
def trained(fine):
    model = model_for(fine)
    train(model, fine, rows=(0, 1, 2), steps=60)
    return model.eval().requires_grad_(False)


def comparison(fine, evolve):
    times = torch.tensor(fine.space.times, dtype=torch.float64)
    unseen = torch.from_numpy(fine.x[3:])
    return compare_trajectories(evolve(unseen[:, 0], times), unseen, fine.space)


def test_an_unseen_universe_is_evolved_better_than_without_the_correction(fine, trained):
    before, after = comparison(fine, trained.uncorrected), comparison(fine, trained.evolve)
    assert (after.distance < 0.75 * before.distance).all()
    assert (after.power_error < 0.6 * before.power_error).all()
    assert (after.decorrelation < 0.75 * before.decorrelation).all()


def test_an_untrained_model_is_the_coarse_simulation(fine):
    model, times = model_for(fine), torch.tensor(fine.space.times)
    initial = torch.from_numpy(fine.x[:2, 0])
    with torch.no_grad():
        torch.testing.assert_close(model.evolve(initial, times), model.uncorrected(initial, times))


def test_the_initial_state_comes_first_and_states_stay_in_the_box(fine, trained):
    initial = torch.from_numpy(fine.x[:2, 0])
    found = trained.evolve(initial, torch.tensor([0.1, 0.2, 1.0]))
    torch.testing.assert_close(found[:, 0], initial, atol=1e-4, rtol=1e-5)
    assert found.shape == (2, 3, *initial.shape[1:])
    assert ((found[:, :, 0] >= 0) & (found[:, :, 0] < 24.0)).all()


def test_it_goes_back_in_time(fine, trained):
    initial = torch.from_numpy(fine.x[:1, 0]).double()
    there = trained.evolve(initial, torch.tensor([0.1, 0.55, 1.0]))
    back = trained.evolve(there[:, -1], torch.tensor([1.0, 0.55, 0.1]))
    apart = (back[:, -1, 0] - initial[:, 0] + 12) % 24 - 12
    assert apart.abs().max() < 1e-3


def test_momentum_is_kept_by_the_correction(fine, trained):
    found = trained.evolve(torch.from_numpy(fine.x[:1, 0]), torch.tensor([0.1, 1.0]))
    assert found[:, -1, 1].mean(1).abs().max() < 1e-4 * found[:, -1, 1].std()


def test_the_gradient_of_the_loss_is_that_of_finite_differences():
    """With respect to the coefficients of the correction, through all steps, in float64."""
    fine = simulate("n-body", 1, particles=4, box=16.0, times=3, steps=2)
    model = model_for(fine, coarse_mesh=4, coarse_steps=2, splines=4, width=3).double()
    torch.nn.init.normal_(model.filter.last.weight, std=0.3)
    x = torch.from_numpy(fine.x).double()
    # Evolve an independent copy, or the loss would have its minimum nearby.
    x[:, 1:, 0] += 0.5

    def loss(bias):
        with torch.no_grad():
            model.filter.last.bias.copy_(bias)
        model.zero_grad()
        (turn,) = model.turns(iter([Batch(x, None, Draws(0, 1))]))
        return turn.loss

    bias = torch.full((4,), 0.2, dtype=torch.float64)
    loss(bias).backward()
    found = model.filter.last.bias.grad.clone()
    h = 1e-6
    expected = torch.stack([(loss(bias + e) - loss(bias - e)).detach() / (2 * h) for e in h * torch.eye(4).double()])
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-8)


@pytest.mark.parametrize("mesh", [12, 15])
def test_the_power_of_the_loss_is_that_of_the_statistics(fine, mesh):
    model = model_for(fine, coarse_mesh=mesh)
    x = torch.from_numpy(fine.x[:2, -1, 0])
    found = model._power(x)
    spectrum = power_spectrum(model.gravity.overdensity(x)[:, None], 24.0)
    counts = model._power(x).new_zeros(mesh // 2 + 1).index_add(0, model.shells, model.conjugates.flatten())[1:-1]
    shown = spectrum.power[:, 0, : found.shape[1]]
    ratio = (found / counts).double() / shown
    torch.testing.assert_close(ratio, ratio[:1, :1].expand_as(ratio), rtol=1e-4, atol=0)


class Told:
    """A source whose simulations say their matter densities."""

    name = "told"
    parameters = (Parameter("sigma_8"), Parameter("Omega_m"))

    def __init__(self, *matter):
        self.rows = np.array([[0.8, each] for each in matter], np.float32)

    def condition_rows(self):
        return self.rows


def test_the_matter_density_is_that_of_the_data():
    settled = HybridNBody.settled(HybridNBody.Settings(), Told(0.25, 0.25))
    assert (settled.Omega_m, settled.Omega_m_column) == (pytest.approx(0.25), 1)
    with pytest.raises(UsageError, match="leave the setting out"):
        HybridNBody.settled(HybridNBody.Settings(Omega_m=0.3), Told(0.25, 0.25))


def test_the_matter_density_must_be_known():
    nameless = Told(0.3)
    nameless.parameters = (Parameter("sigma_8"),)
    with pytest.raises(UsageError, match="matter density"):
        HybridNBody.settled(HybridNBody.Settings(), nameless)


def test_simulations_of_several_matter_densities_move_each_by_its_own(fine):
    settings = HybridNBody.settled(HybridNBody.Settings(), Told(0.2, 0.4))
    model = HybridNBody(fine.space, ConditionSpace(2), settings)
    initial, times = torch.from_numpy(fine.x[:2, 0]), torch.tensor([0.1, 1.0])
    with torch.no_grad():
        both = model.evolve(initial, times, Condition(torch.tensor([[0.8, 0.2], [0.8, 0.4]])))
        for row, matter in enumerate((0.2, 0.4)):
            alone = model_for(fine, Omega_m=matter).evolve(initial[row : row + 1], times)
            torch.testing.assert_close(both[row : row + 1], alone, atol=2e-3, rtol=1e-4)
        with pytest.raises(UsageError, match="give the condition Omega_m"):
            model.evolve(initial, times)


def test_checkpointed_forces_give_the_same_gradients(fine):
    found = []
    for checkpointed in (False, True):
        model = model_for(fine, checkpointed=checkpointed)
        torch.nn.init.normal_(model.filter.last.weight, std=0.1, generator=torch.Generator().manual_seed(0))
        (turn,) = model.turns(iter([batch_of(fine, 0)]))
        turn.loss.backward()
        found.append(model.filter.first.weight.grad)
    torch.testing.assert_close(*found, rtol=1e-4, atol=1e-7)


@pytest.mark.parametrize(
    ("space", "words"),
    [
        (Particles(8, 3), "trajectories"),
        (Trajectory(8, 3, times=(0.1, 1.0)), "box"),
        (Trajectory(8, 3, times=(0.0, 1.0), box=1.0), "scale factors"),
    ],
)
def test_other_data_are_refused(space, words):
    with pytest.raises(UsageError, match=words):
        HybridNBody(space)
