"""Built-in sets drawn from energies, and photon counts, against what is exactly known of them."""

import numpy as np
import pytest
import torch

from pushforward.energies import named_energy
from pushforward.simulate import simulate
from pushforward.simulate.cache import cache_folder
from pushforward.simulate.ising import TEMPERATURES
from pushforward.simulate.progress import shown


@pytest.fixture(autouse=True)
def _own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))


@pytest.mark.parametrize(
    ("name", "count", "options"),
    [
        # one draw per chain: as many again would be correlated with them
        ("dw4", 500, {}),
        ("phi4", 3000, {"coupling": 0.0, "mass_squared": 1.0}),
        ("ising", 3000, {"temperature": 2.5, "length": 8}),
    ],
)
def test_the_exact_density_has_its_entropy(name, count, options):
    """The mean of -log p over members is the entropy, within the scatter of that mean."""
    made = simulate(name, count, **options)
    surprise = -made.exact.log_prob(made.x)
    error = surprise.std() / np.sqrt(len(made))
    assert surprise.mean() == pytest.approx(made.exact.entropy, abs=5 * error)


def test_particles_are_centred_and_in_no_order():
    made = simulate("lj13", 300)
    assert made.space.centred
    assert np.abs(made.x.mean(1)).max() < 1e-5
    spread = made.x.std(0)
    assert spread.max() / spread.min() < 1.3, "each particle and axis scatters alike"
    assert named_energy("lj13")(torch.as_tensor(made.x)).mean().item() == pytest.approx(-43.1, abs=2.5)


def test_slow_draws_are_kept_with_their_quality(monkeypatch):
    monkeypatch.setattr("pushforward.simulate.cache.cached.__kwdefaults__", {"worth": 0.0})
    first = simulate("phi4", 2000)
    assert "autocorrelation time" in first.notes[-1]
    assert len(list(cache_folder().glob("phi4-*.npy"))) == 2
    monkeypatch.setattr("pushforward.energies.reference.replica_exchange", None)
    again = simulate("phi4", 2000)
    np.testing.assert_array_equal(first.x, again.x)
    assert first.notes == again.notes


@pytest.mark.parametrize(("patience", "told"), [(0.0, "phi4: 1 of 7 simulated, about 0 s to go\n"), (100.0, "")])
def test_progress_leaves_the_steps_as_they_are(patience, told, monkeypatch, capsys):
    monkeypatch.setattr("pushforward.simulate.progress._PATIENCE_SECONDS", patience)
    assert list(shown("phi4")(range(7))) == list(range(7))
    assert capsys.readouterr().err == told, "one line where standard error is no terminal"
    monkeypatch.setattr("sys.stderr.isatty", lambda: True, raising=False)
    assert list(shown("phi4")(range(7))) == list(range(7))


def test_ising_members_are_given_with_their_temperature():
    made = simulate("ising", 90, length=8)
    assert made.names == ("temperature",)
    magnetisation = np.abs(made.x.mean((1, 2, 3)))
    cold, critical, hot = (magnetisation[np.isclose(made.conditions[:, 0], each)].mean() for each in TEMPERATURES)
    assert cold > critical > hot
    assert made.exact is None
    assert sum("exactly" in note for note in made.notes) == 3


def test_photon_counts_are_whole_numbers_with_the_moments_of_a_log_normal_source():
    mean, contrast = 2.0, 0.5
    made = simulate("photon-counts", 6000, mean=mean, contrast=contrast, source=True)
    assert (made.x >= 0).all()
    assert (made.x == np.round(made.x)).all()
    assert made.x.mean() == pytest.approx(mean, rel=0.02)
    variance = mean + mean**2 * np.expm1(contrast**2)
    assert made.x.var() == pytest.approx(variance, rel=0.05)
    residual = (made.x - made.condition_fields) / np.sqrt(made.condition_fields)
    assert residual.mean() == pytest.approx(0, abs=0.003)
    assert residual.var() == pytest.approx(1, abs=0.01)
