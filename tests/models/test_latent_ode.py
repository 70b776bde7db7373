"""A latent ODE: its flow, its bound, its forecasts in the user's units."""

from itertools import repeat

import numpy as np
import pytest
import torch

from pushforward import Emulator
from pushforward.ensembles import Ensemble, Preprocessing
from pushforward.errors import UsageError
from pushforward.models import Batch, Forecaster
from pushforward.models.latent_ode import LatentODE, LatentODESettings
from pushforward.models.linear_series import Rows
from pushforward.models.linearised_series import linearised_residuals
from pushforward.models.motion import Motion
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
    model = LatentODE(SPACE, settings=LatentODESettings(slow=1, width=32, codes=24))
    model.prepare(Batch(z[:128], None, Draws(0, 128)))
    optimiser = torch.optim.Adam(model.parameters(), lr=1e-2)
    steps = 60
    for step in range(steps):
        batch = Batch(z[torch.randint(len(z), (32,))], None, Draws(step, 32), step / steps)
        for turn in model.turns(repeat(batch)):
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


def test_climbs_and_weights_mend_what_the_encoder_only_guesses(emulator):
    x = waves(40, seed=2)
    late = x[..., 0] > 55
    given = x.copy()
    given[..., 1][late] = np.nan
    truth = torch.from_numpy(x[..., 1:])
    errors = [
        (emulator.forecast(given, x[..., 0], draws=60, starts=starts).mean - truth)[torch.from_numpy(late)]
        .square()
        .mean()
        for starts in (0, 4)
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


def test_forecasts_at_julian_dates_have_a_band():
    x = waves(40).astype(np.float64)
    x[..., 0] += 2_450_000
    preprocessing = Preprocessing.fit(Ensemble.from_array(x, space=SPACE))
    emulator = Emulator(LatentODE(SPACE), preprocessing, name="latent-ode")
    found = emulator.forecast(x[:2], np.array([2_450_055.0, 2_450_058.0]), draws=20, starts=0)
    assert (found.low <= found.high).all()


def test_what_was_not_observed_cannot_matter(emulator):
    x = waves(2, seed=5)
    hidden = x.copy()
    hidden[:, 12:, 1] = np.nan
    longer = np.concatenate([hidden, hidden[:, -1:]], axis=1)
    first, second = (emulator.forecast(each, [55.0, 60.0], draws=50).mean for each in (hidden, longer))
    torch.testing.assert_close(first, second, atol=0.03, rtol=0)


def test_nothing_observed_gives_the_prior(emulator):
    nothing = np.full((1, 4, 2), np.nan, np.float32)
    nothing[..., 0] = 50
    found = emulator.forecast(nothing, np.linspace(51, 59, 9), draws=400, starts=0)
    sampled = emulator.sample(400, seed=0)[..., 1]
    # Without refinement the codes are those of the encoder, which is a little wider than the prior.
    assert found.observed.std() == pytest.approx(float(sampled[~sampled.isnan()].std()), rel=0.2)


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
    assert emulator.sample(400, seed=0)[..., 1].isnan().float().mean() == pytest.approx(0.375, abs=0.08)
    assert not emulator.sample(20, complete=True).isnan().any()


def test_a_step_uses_few_rows_of_long_series():
    model = LatentODE(SPACE, settings=LatentODESettings(rows=7))
    batch = Batch(torch.from_numpy(waves(4)) / 60, None, Draws(0, 4), 0.0)
    turns = list(model.turns(repeat(batch)))
    assert len(turns) == 2
    assert all(torch.isfinite(turn.loss) for turn in turns)


def test_codes_and_coefficients_give_the_series_back(emulator):
    x = waves(20, seed=7)
    encoded = emulator.encode(x)
    decoded = emulator.decode(encoded)
    regular = emulator.forecast(x, decoded[0, :, 0], draws=60, starts=0).mean
    assert (decoded[..., 1:] - regular).square().mean().sqrt() < 0.5


def test_what_a_code_changes_is_known_to_the_climb(emulator):
    model = emulator.model
    times, values, seen = model._parts(emulator.preprocessing(torch.from_numpy(waves(3, seed=6))))
    rows = Rows(times, values, seen, model._roughness())
    generator = torch.Generator().manual_seed(0)
    n = model.coefficients + model.settings.latent_dim
    u = torch.randn(2, 3, n, generator=generator)
    linearised = linearised_residuals(lambda z: model._basis(z, rows.times, None), rows, model.coefficients)
    with torch.no_grad():
        standard, slopes = linearised(u)

    def residuals(u):
        a, z = u.split([model.coefficients, n - model.coefficients], -1)
        path = model._basis(z, times, None).path(a)
        return rows.whitened_paths(path[..., None])[..., 0] - rows.standard.flatten(1)

    torch.testing.assert_close(standard, residuals(u).detach(), atol=1e-3, rtol=1e-4)
    change = torch.randn(n, generator=generator)
    _, expected = torch.func.jvp(residuals, (u,), (change.expand_as(u),))
    expected = expected.detach()
    torch.testing.assert_close((slopes @ change).detach(), expected, atol=0.02 * float(expected.abs().max()), rtol=0)


def test_the_motion_is_that_of_the_equation():
    """Growth, phases and slow coordinates, solved as they stand by another package."""
    from scipy.integrate import solve_ivp

    torch.manual_seed(2)
    motion = Motion(3, pairs=2, slow=1, width=16, steps=40, harmonics=2).double()
    motion.rate.fill_(5.0)
    torch.nn.init.normal_(motion.push.weight, std=0.5)
    context = torch.randn(1, 1, 3).double()
    amplitude, still = motion.start(context)[0, 0].detach().split([2, 1])
    told, straight = (each(context)[0, 0].detach() for each in (motion.told, motion.straight))

    def slope(_, y):
        growth, still = torch.from_numpy(y[:2]), torch.from_numpy(y[4:])
        hidden = torch.sigmoid(told + motion.seen(torch.cat([(amplitude + growth).exp(), still])))
        damping, tempo, drift = (straight + motion.push(hidden)).detach().split([2, 2, 1])
        frequency = 5.0 * motion.highest * torch.sigmoid(tempo)
        return torch.cat([-0.5 * torch.nn.functional.softplus(damping), frequency, 0.5 * (drift - still)]).numpy()

    times = torch.tensor([[0.3, 0.7, 1.0, 1.2]], dtype=torch.float64)
    begin = torch.cat([torch.zeros(4), still]).numpy()
    y = solve_ivp(slope, (0, 1.2), begin, t_eval=times[0].numpy(), rtol=1e-11, atol=1e-11).y.T
    growth, angle = y[:, :2], y[:, 2:4]
    waves = [np.exp(h * growth) * turn(h * angle) for h in (1, 2) for turn in (np.cos, np.sin)]
    expected = np.concatenate([*waves, y[:, 4:], np.ones((4, 1))], 1)
    np.testing.assert_allclose(motion(context, times)[0, 0].detach().numpy(), expected, atol=1e-6)
