"""A latent ODE: its flow, its bound, its forecasts in the user's units."""

import numpy as np
import pytest
import torch

from pushforward import Emulator
from pushforward.ensembles import Ensemble, Preprocessing
from pushforward.errors import UsageError
from pushforward.models import Batch, model_class
from pushforward.models.forecasting import Forecaster
from pushforward.models.latent_ode import LatentODE, LatentODESettings
from pushforward.randomness import Draws
from pushforward.spaces import Series, Vector

SPACE = Series(1, 20, timed=True)


def waves(count: int, seed: int = 0, noise: float = 0.05) -> np.ndarray:
    """Cosines of several amplitudes about 10, observed at irregular times between 50 and 60."""
    rng = np.random.default_rng(seed)
    times = np.sort(rng.uniform(50, 60, (count, SPACE.length)), axis=1)
    amplitude, phase = rng.uniform(1, 3, (count, 1)), rng.uniform(0, 2 * np.pi, (count, 1))
    values = 10 + amplitude * np.cos(times + phase) + noise * rng.standard_normal(times.shape)
    return np.stack([times, values], -1).astype(np.float32)


@pytest.fixture(scope="module")
def emulator() -> Emulator:
    """A model trained for a few seconds, behind its preprocessing."""
    ensemble = Ensemble.from_array(waves(400), space=SPACE)
    preprocessing = Preprocessing.fit(ensemble)
    z = preprocessing(ensemble.tensor())
    torch.manual_seed(0)
    model = LatentODE(SPACE, 0, LatentODESettings(latent_dim=4, state_dim=2, width=32, rtol=1e-2, evaluation_rtol=1e-3))
    model.prepare(Batch(z[:128], None, Draws(0, 128)))
    optimiser = torch.optim.Adam(model.parameters(), lr=1e-2)
    steps = 150
    for step in range(steps):
        batch = Batch(z[torch.randint(len(z), (32,))], None, Draws(step, 32), step / steps)
        for turn in model.turns(batch):
            optimiser.zero_grad()
            turn.loss.backward()
            optimiser.step()
        optimiser.param_groups[0]["lr"] = 1e-2 * (1 - step / steps)
    return Emulator(model, preprocessing, name="latent-ode")


def test_only_series_are_learned():
    with pytest.raises(UsageError, match="latent-ode learns series, not vector"):
        LatentODE(Vector(2))


def test_a_forecast_is_near_the_truth_and_its_band_as_wide_as_it_should_be(emulator):
    assert isinstance(emulator.model, Forecaster)
    assert "forecaster" in emulator.abilities
    x = waves(40, seed=1)
    late = x[..., 0] > 57
    given = x.copy()
    given[..., 1][late] = np.nan
    found = emulator.forecast(given, x[..., 0], draws=60)
    error = (found.mean - torch.from_numpy(x[..., 1:]))[torch.from_numpy(late)]
    assert error.square().mean().sqrt() < 0.5, "the cosines, of standard deviation 1.5, must be followed"
    inside = (torch.from_numpy(x[..., 1:]) >= found.low) & (torch.from_numpy(x[..., 1:]) <= found.high)
    assert 0.8 <= inside[torch.from_numpy(late)].float().mean() <= 1.0


def test_weights_of_importance_mend_what_the_encoder_only_guesses(emulator):
    x = waves(20, seed=2)
    truth = torch.from_numpy(x[..., 1:])
    errors = [
        (emulator.forecast(x, x[..., 0], draws=60, rounds=rounds).mean - truth).square().mean() for rounds in (0, 3)
    ]
    assert errors[1] < errors[0]


def test_times_may_come_in_any_order_and_anywhere_from_the_first(emulator):
    x = waves(3, seed=3)
    times = torch.tensor([[58.0, 51.0, 63.0, 51.0]] * 3)
    found = emulator.forecast(x, times, draws=20, seed=4)
    order = [1, 3, 0, 2]
    again = emulator.forecast(x, times[:, order], draws=20, seed=4)
    torch.testing.assert_close(again.paths, found.paths[:, :, order])
    assert torch.equal(found.paths[:, :, 1], found.paths[:, :, 3])
    with pytest.raises(UsageError, match="not before the first of the training data"):
        emulator.forecast(x, [40.0])
    with pytest.raises(UsageError, match="expected"):
        emulator.forecast(x[..., 0], [55.0])
    with pytest.raises(UsageError, match="level"):
        emulator.forecast(x, [55.0], level=1.5)


def test_what_was_not_observed_cannot_matter(emulator):
    x = waves(2, seed=5)
    hidden = x.copy()
    hidden[:, 12:, 1] = np.nan
    longer = np.concatenate([hidden, hidden[:, -1:]], axis=1)
    first, second = (emulator.forecast(each, [55.0, 60.0], draws=50).mean for each in (hidden, longer))
    torch.testing.assert_close(first, second, atol=1e-4, rtol=1e-4)


def test_nothing_observed_gives_the_prior(emulator):
    nothing = np.full((1, 4, 2), np.nan, np.float32)
    nothing[..., 0] = 50
    found = emulator.forecast(nothing, np.linspace(51, 59, 9), draws=400, rounds=0)
    sampled = emulator.sample(400)[..., 1]
    assert found.observed.std() == pytest.approx(float(sampled[~sampled.isnan()].std()), rel=0.15)


def test_samples_have_times_of_members_and_the_noise_of_the_data(emulator):
    x = emulator.sample(50, seed=1)
    members = {tuple(row) for row in emulator.preprocessing(torch.from_numpy(waves(400)))[:128, :, 0].tolist()}
    drawn = emulator.preprocessing(x)[..., 0]
    near = torch.cdist(drawn, torch.tensor(sorted(members))).min(1).values
    assert near.max() < 1e-2
    smooth = emulator.sample(50, seed=1, noise=False)
    noise = emulator.model.log_noise.exp().item() * emulator.preprocessing.constants[1, 1].item()
    assert (x - smooth)[..., 1].std() == pytest.approx(noise, rel=0.15)


def test_missing_values_are_as_common_in_samples_as_in_members_unless_all_are_wanted():
    x = waves(64)
    x[::2, 5:, 1] = np.nan
    ensemble = Ensemble.from_array(x, space=SPACE)
    preprocessing = Preprocessing.fit(ensemble)
    model = LatentODE(SPACE).eval()
    model.prepare(Batch(preprocessing(ensemble.tensor()), None, Draws(0, 64)))
    emulator = Emulator(model, preprocessing, name="latent-ode")
    assert emulator.sample(400)[..., 1].isnan().float().mean() == pytest.approx(0.375, abs=0.08)
    assert not emulator.sample(20, complete=True).isnan().any()


def test_the_three_gradients_of_the_solver_agree():
    torch.manual_seed(1)
    model, z = (
        LatentODE(SPACE, 0, LatentODESettings(latent_dim=4, evaluation_rtol=1e-10)).double().eval(),
        torch.randn(3, 4),
    )
    z = z.double()
    times = torch.linspace(0.1, 1, 5).double().expand(3, -1)
    wanted = list(model.parameters())
    found = []
    for gradient in ("direct", "checkpointed", "adjoint"):
        model.flow.gradient = gradient
        value = model._paths(z, times, None).square().sum()
        found.append(
            [
                torch.zeros_like(p) if g is None else g
                for p, g in zip(wanted, torch.autograd.grad(value, wanted, allow_unused=True), strict=True)
            ]
        )
    scale = max(float(g.abs().max()) for g in found[0])
    for other in found[1:]:
        assert max(float((a - b).abs().max()) for a, b in zip(found[0], other, strict=True)) < 1e-6 * scale


def test_only_what_lies_within_the_horizon_is_learned_at_first():
    model = model_class("latent-ode")(SPACE)
    x = torch.from_numpy(waves(16))
    x[..., 0] = (x[..., 0] - 50) / 10
    changed = x.clone()
    model.field.rate.fill_(12.0)
    late = x[..., 0] > float(model._horizon(0.0))
    changed[..., 1][late] += 100
    losses = [next(iter(model.turns(Batch(each, None, Draws(0, 16), 0.0)))).loss for each in (x, changed)]
    assert torch.equal(*losses)
    assert float(model._horizon(1.0)) == 1.0


def test_the_motion_in_turning_frames_is_that_of_the_equation():
    """dh/dt = r [(Omega - Gamma) h + N(h)], solved as it stands by another package."""
    from scipy.integrate import solve_ivp

    torch.manual_seed(2)
    model = LatentODE(SPACE, 0, LatentODESettings(latent_dim=3, state_dim=4, evaluation_rtol=1e-10)).double().eval()
    field = model.field
    field.rate.fill_(5.0)
    torch.nn.init.normal_(field.network[-1].weight, std=0.5)
    z = torch.randn(1, 3).double()
    state = field.joined(model.start(z), z)
    h, context, damping, frequency = (part[0].detach() for part in state.split(field.sizes, 1))

    def slope(t, h):
        h = torch.from_numpy(h)
        push = field.network(torch.cat([h, context])[None])[0].detach()
        turned = torch.cat([-frequency * h[2:], frequency * h[:2]])
        return (5.0 * (turned - damping.repeat(2) * h + push)).numpy()

    times = torch.tensor([[0.3, 0.7, 1.0]]).double()
    expected = solve_ivp(slope, (0, 1), h.numpy(), t_eval=times[0].numpy(), rtol=1e-11, atol=1e-11).y.T
    found = field.parts(times, model.flow.solve(state, torch.cat([torch.zeros(1, 1), times], 1)).y[1:].transpose(0, 1))
    np.testing.assert_allclose(found[0, :, :4].detach().numpy(), expected, atol=1e-8)
